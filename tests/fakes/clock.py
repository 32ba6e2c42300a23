"""Clocks that stand still, are set, or follow the virtual time of a seeded event loop."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)  # a Sunday noon in Shanghai


class FakeClock:
    """Stands still until told otherwise."""

    def __init__(self, at: datetime = START) -> None:
        self._now = at

    def now(self) -> datetime:
        return self._now

    def set(self, at: datetime) -> None:
        assert at.utcoffset() == timedelta(0), "instants are aware UTC"
        self._now = at

    def advance(self, seconds: float) -> datetime:
        """Let time pass; returns the new now."""
        self._now += timedelta(seconds=seconds)
        return self._now


class FakeLoopClock:
    """Follows the running loop's time, which a simulation makes virtual."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._zero: float | None = None
        self._last = (0.0, start)  # most ask again before time has gone on

    def now(self) -> datetime:
        time = asyncio.get_running_loop().time()
        if self._zero is None:
            self._zero = time
        seconds = time - self._zero
        if seconds != self._last[0]:
            self._last = (seconds, self._start + timedelta(seconds=seconds))
        return self._last[1]
