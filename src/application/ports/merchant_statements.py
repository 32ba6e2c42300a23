"""Merchants' own statements in the database: which days there are, what is on them, and the bytes of frozen ones."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import IO, Protocol

from domain.channels import Mode
from domain.merchant_statements import Entry, MerchantStatement


class MerchantStatements(Protocol):
    """A statement is unique by (merchant, mode, day). A frozen one is never changed, by anybody."""

    async def unopened(self, until: date) -> Sequence[MerchantStatement]:
        """Days up to ``until`` on which something was posted to a merchant's accounts and that are not open yet."""
        ...

    async def open(self, statement: MerchantStatement, *, next_at: datetime) -> None:
        """It will be looked at. Open or frozen already: nothing changes."""
        ...

    async def claim_due(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[MerchantStatement]:
        """Open ones with ``next_at`` <= now, the oldest first, each moved to ``retry_at`` so that no one else takes it
        now."""
        ...

    async def waits_for(self, statement: MerchantStatement) -> int:
        """How many days of channel accounts that tell of its entries are not closed."""
        ...

    def entries(self, statement: MerchantStatement) -> AsyncIterator[Sequence[Entry]]:
        """The opening balances as the first entry, then all entries in the order of posting: one snapshot, some at a
        time."""
        ...

    async def freeze(self, statement: MerchantStatement, source: IO[bytes]) -> None:
        """Keep it and its bytes for good; it is open no longer. Raises AlreadyExists for one that is frozen."""
        ...

    async def frozen(self, merchant_id: str, mode: Mode, day: date) -> MerchantStatement | None: ...
    async def piece(self, statement: MerchantStatement, n: int) -> bytes | None:
        """A part of a frozen one, from 0; None behind the last."""
        ...

    async def listed(
        self, merchant_id: str, mode: Mode, *, before: date | None, limit: int
    ) -> Sequence[MerchantStatement]:
        """Open and frozen ones, newest first."""
        ...
