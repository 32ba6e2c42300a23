"""What was read a moment ago, so that a burst of calls reads it once (docs/decisions/0003-recent-reads.md)."""

from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KEPT_FOR = timedelta(seconds=1)
KEPT_AT_MOST = 1_000


class Recent(Generic[K, V]):
    """For configuration alone: a change of it is seen a second late. What is not there is looked for each time.

    One caller reads it again when half of that time is over, so that at its end not all of them do at once.
    """

    def __init__(self) -> None:
        self._kept: dict[K, tuple[datetime, V]] = {}
        self._renewed: set[K] = set()

    async def get(self, key: K, now: datetime, read: Callable[[K], Awaitable[V | None]]) -> V | None:
        """What ``read`` said of this key less than a second ago, or says now."""
        at, value = self._kept.get(key, (None, None))
        if at is not None and at <= now < at + KEPT_FOR:
            if now < at + KEPT_FOR / 2 or key in self._renewed:
                return value
            self._renewed.add(key)
        try:
            value = await read(key)
        finally:
            self._renewed.discard(key)
        if value is None:
            self._kept.pop(key, None)
            return None
        if len(self._kept) >= KEPT_AT_MOST:
            self._kept.clear()
        self._kept[key] = (now, value)
        return value
