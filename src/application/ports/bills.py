"""Statements in the database: days, files, lines, and what is left of them when the equal pairs are taken away."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Protocol, TypeAlias

from domain.channels import Mode
from domain.reconciliation import Discrepancy, Ours
from domain.statements import FundLine, Line, Lines, StatementDay, StatementFile

FundLines: TypeAlias = Sequence[FundLine]


@dataclass(frozen=True, slots=True)
class Compared:
    """What a set comparison of one day's trade bill leaves for the rules.

    ``matched`` and ``foreign`` are counted; ``lines`` and ``ours`` are everything that stands under a key of which one
    side is alone, doubled or unlike the other. ``fee`` and ``fee_returned`` are the bill's totals in minor units; what
    it says has failed counts only where the day's fund bill has it moved all the same.
    """

    matched: int
    foreign: int
    lines: Sequence[Line]
    ours: Sequence[Ours]
    fee: int
    fee_returned: int


@dataclass(frozen=True, slots=True)
class Moved:
    """One transaction of a day that its trade bill and its fund bill do not tell alike. Signed minor units, None where
    a bill has nothing of it. ``number`` is the merchant's, where either bill says it."""

    transaction_id: str
    number: str
    traded: int | None
    moved: int | None


@dataclass(frozen=True, slots=True)
class Sides:
    """What stands about a discrepancy on either side: on the trade bills of its day and the days around it, on the fund
    bills of its day, and in our records, those of other accounts too."""

    theirs: Sequence[Line]
    moved: Sequence[FundLine]
    ours: Sequence[Ours]


@dataclass(frozen=True, slots=True)
class FundBalance:
    """A fund account's day in minor units: the bill's balances and movement, the closing balance of the bill before
    (None: there is none), and what our books say that moved in it on that day."""

    fund: str
    opening: int
    closing: int
    movement: int
    previous_closing: int | None
    booked_movement: int


@dataclass(frozen=True, slots=True)
class Span:
    """From which day on an account has money, the newest day opened for it, and the newest whose bill was read."""

    account_id: str
    mode: Mode
    first_money: date
    last_opened: date | None
    last_read: date | None


class Bills(Protocol):
    """``get`` and ``lock`` raise NotFound. A day is unique by (account, day), a discrepancy by (account, day, key)."""

    async def open_day(self, day: StatementDay) -> bool:
        """Add it; False when it exists, and then nothing changes."""
        ...

    async def day(self, account_id: str, day: date) -> StatementDay: ...
    async def lock_day(self, account_id: str, day: date) -> StatementDay: ...
    async def save_day(self, day: StatementDay) -> None: ...
    async def claim_due(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[StatementDay]:
        """Days with ``next_at`` <= now, each moved to ``retry_at`` so that no one else takes it now."""
        ...

    async def ready_to_close(self, *, limit: int) -> Sequence[StatementDay]:
        """Matched days that wait for nothing, neither a bill nor a neighbour's: the oldest first."""
        ...

    async def spans(self, account_id: str | None = None) -> Sequence[Span]:
        """Every channel account that has seen money (or this one, if it has), and which of its days are open."""
        ...

    async def store(self, file: StatementFile, source: IO[bytes], lines: Iterable[Lines | FundLines]) -> int:
        """Keep the file and its lines, in place of the lines of an earlier file of the same bill; how many there are.

        The day is open. What ``lines`` raises goes through, and nothing of the file is kept.
        """
        ...

    async def file(self, account_id: str, day: date, bill: str) -> StatementFile | None:
        """The file in force."""
        ...

    def content(self, file: StatementFile) -> AsyncIterator[bytes]:
        """The raw file, piece by piece."""
        ...

    async def line(self, account_id: str, day: date, n: int) -> Line:
        """One line of the trade bill in force. Raises NotFound."""
        ...

    async def compare(self, account_id: str, day: date, *, ours_only: bool) -> Compared:
        """The day's trade bill against what we recorded (set-based). ``ours_only``: numbers that are not of our scheme
        are foreign and only counted (a merchant's own account)."""
        ...

    async def compare_funds(self, account_id: str, day: date) -> Sequence[Moved]:
        """Trade bill against fund bills of one day, by transaction of the channel. Empty without a fund bill. A refund
        that failed may have moved there and back, or there alone and back on a later day, or not at all."""
        ...

    async def kept_of_closed(self, account_id: str, day: date) -> int:
        """Of refunds of ours that the channel gave up, and that came back into the account on that day: the fee that
        had come back with them and is kept again, in minor units."""
        ...

    async def balances(self, account_id: str, day: date) -> Sequence[FundBalance]:
        """Fund bills against our receivable. Empty without a fund bill."""
        ...

    async def strange_movements(self, account_id: str, day: date) -> Sequence[FundLine]:
        """Lines of the fund bills that are neither payment, refund nor fee."""
        ...

    async def discrepancies(self, account_id: str, day: date) -> Sequence[Discrepancy]: ...
    async def discrepancy(self, discrepancy_id: str) -> Discrepancy: ...
    async def lock_discrepancy(self, discrepancy_id: str) -> Discrepancy: ...
    async def sides(self, discrepancy: Discrepancy) -> Sides:
        """Empty for what is about no transaction, a balance."""
        ...

    async def add_discrepancy(self, discrepancy: Discrepancy) -> None: ...
    async def save_discrepancy(self, discrepancy: Discrepancy) -> None: ...
