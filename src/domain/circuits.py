"""Circuits: what is remembered of an address that fails, so that trying it costs nobody else anything."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

# Failures in a row before we pause, and the pauses: after each, one try alone finds out whether it works again.
TRIP = 5
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)
# Five days of nothing but failures, and an endpoint is given up. Whoever was not tried for two days (longer than the
# longest wait between two tries) begins anew: a quiet endpoint has not been failing all the time.
PATIENCE = timedelta(days=5)
SILENCE = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """An address that has failed and not succeeded since. The first success deletes it: there is none for the others.

    ``lane`` is what shares tries and fate (``Endpoint.lane``). ``pauses``: how often it was paused in a row.
    """

    lane: str
    endpoint_id: str
    failing_since: datetime
    failed_at: datetime
    failures: int = 1
    pauses: int = 0
    paused_until: datetime | None = None

    @classmethod
    def first(cls, lane: str, endpoint_id: str, now: datetime) -> Self:
        return cls(lane=lane, endpoint_id=endpoint_id, failing_since=now, failed_at=now)

    def failed(self, now: datetime) -> Self:
        """One more failure. Tries that were under way when the pause began do not lengthen it."""
        since = now if now - self.failed_at > SILENCE else self.failing_since
        after = replace(self, failures=self.failures + 1, failing_since=since, failed_at=now)
        if after.failures < TRIP or (self.paused_until is not None and now < self.paused_until):
            return after
        pause = min(FIRST_PAUSE * 2 ** min(self.pauses, 10), LONGEST_PAUSE)
        return replace(after, pauses=self.pauses + 1, paused_until=now + pause)

    def room(self, now: datetime, each: int) -> int:
        """How many tries may be in flight: as many as anybody's at first, none in a pause, one after it."""
        if self.paused_until is None:
            return each
        return 0 if now < self.paused_until else 1

    def hopeless(self, now: datetime) -> bool:
        """Nothing but failures for so long that we stop."""
        return now - self.failing_since >= PATIENCE
