"""The port of daily closing."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from domain.closing import Closing, Content, Position


class Closings(Protocol):
    """Closed ledger days. A day's transfers are those posted on it by a transaction below its cut, and those posted on
    an earlier day by a transaction from the cut before on."""

    async def lock(self) -> Closing | None:
        """The last closed day; whoever else closes waits until this unit of work ends."""
        ...

    async def of(self, day: date) -> Closing | None: ...
    async def after(self, day: date | None, *, limit: int) -> Sequence[Closing]:
        """The next closed days, oldest first."""
        ...

    async def first_day(self) -> date | None:
        """The day on which the first transfer was posted."""
        ...

    async def horizon(self) -> int:
        """Every transaction below it has ended."""
        ...

    async def content(self, day: date, *, before: int, cut: int) -> Content: ...
    async def add(self, closing: Closing, *, before: int) -> None:
        """The closing, and for each account that moved its opening, movement and closing."""
        ...

    async def amiss(self, closing: Closing, *, before: int) -> Sequence[str]:
        """Accounts whose figures of that day are not what the ledger's rows come to now, in words."""
        ...

    async def trial(self, day: date) -> Sequence[Position]:
        """The trial balance at the end of a closed day, by mode, currency and kind."""
        ...
