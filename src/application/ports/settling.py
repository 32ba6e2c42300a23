"""Release and settlement: what they keep in the database, and the calendar that they go by."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from domain.channels import Mode
from domain.ledger import Account
from domain.releases import Hold, Release
from domain.settlement_postings import StatementLine
from domain.settlement_rules import SettlementRule
from domain.settlements import Settlement


class Settlements(Protocol):
    """``get`` and ``lock`` raise NotFound. ``add`` may raise AlreadyExists("uq_settlement_number")."""

    async def get(self, settlement_id: str) -> Settlement: ...
    async def lock(self, settlement_id: str) -> Settlement: ...
    async def numbered(self, number: str) -> Settlement | None:
        """By its payout's number."""
        ...

    async def add(self, settlement: Settlement) -> None: ...
    async def save(self, settlement: Settlement) -> None: ...
    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Settlement]:
        """Those UNDER_WAY with ``next_at`` <= now, oldest due first, already moved on by ``Settlement.polled``.

        Rows locked by others are skipped.
        """
        ...

    async def page(self, merchant_id: str, mode: Mode, *, before: str | None, limit: int) -> Sequence[Settlement]:
        """A merchant's settlements, newest first, from below this id on."""
        ...


class Sweeps(Protocol):
    """The transfers that move an available balance. Each is inside one settlement at most, and open until then:
    whatever commits after a sweep, however early it began, is open for the next. Sweep under the account's guard
    (Ledger.guard), or what goes out meanwhile would not be in it."""

    async def available(self, account: Account) -> int:
        """The sum of an available balance's open transfers: the balance itself."""
        ...

    async def sweep(self, account: Account, settlement_id: str) -> tuple[int, int]:
        """Put all its open transfers into a settlement, which is to be added in the same unit of work: their sum and
        how many they are."""
        ...

    async def inside(self, settlement_id: str) -> Sequence[StatementLine]:
        """The transfers of a settlement, in the order in which they were posted."""
        ...


class Workdays(Protocol):
    """The calendar of mainland China: public holidays and make-up workdays. Answers for every day, also of a year
    whose holidays are not announced yet, by presumption (domain.workdays)."""

    def is_workday(self, day: date) -> bool: ...
    def known(self, day: date) -> bool:
        """Whether it is not by presumption."""
        ...


class SettlementRules(Protocol):
    """One rule a merchant; one that has none is as the defaults say."""

    async def of(self, merchant_id: str) -> SettlementRule: ...
    async def many(self, merchant_ids: Collection[str]) -> Mapping[str, SettlementRule]:
        """For every one of them."""
        ...

    async def lock(self, merchant_id: str) -> SettlementRule: ...
    async def claim_due(self, now: datetime) -> SettlementRule | None:
        """One whose ``next_at`` has come, the oldest, locked until the end. Rows locked by others are skipped."""
        ...

    async def save(self, rule: SettlementRule) -> None: ...


class ReleaseDays(Protocol):
    """Statement days whose payments are still to be scheduled for release."""

    async def due(self, account_id: str, day: date, now: datetime) -> None:
        """It is closed, or a payment of it counts only now: look at it. Any number of times."""
        ...

    async def claim(self, now: datetime, *, retry_at: datetime) -> tuple[str, date] | None:
        """One that is due, moved to ``retry_at`` so that no one else takes it now. Rows locked by others are
        skipped."""
        ...

    async def merchants(self, account_id: str, day: date) -> Sequence[str]:
        """Whose payments of that day wait to be scheduled."""
        ...

    async def schedule(self, account_id: str, day: date, dues: Mapping[str, datetime]) -> int:
        """A release for each payment of these merchants that an order of theirs counts (collect mode), due as said,
        where there is none yet; how many that were."""
        ...

    async def done(self, account_id: str, day: date) -> None: ...


class Releases(Protocol):
    """Lock the order before its release."""

    async def of_payment(self, payment_id: str) -> Release | None: ...
    async def lock(self, payment_id: str) -> Release | None: ...
    async def save(self, release: Release) -> None: ...
    async def claim_due(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[Release]:
        """Those due, the oldest first, each moved to ``retry_at``. Rows locked by others are skipped."""
        ...

    async def wake(self, subject: str, now: datetime) -> None:
        """All of a merchant, or of an order, that wait are due now."""
        ...


class Holds(Protocol):
    """``add`` may raise AlreadyExists("uq_hold_subject") when one stands."""

    async def standing(self, subjects: Collection[str]) -> Sequence[Hold]:
        """Those that stand over any of these, oldest first."""
        ...

    async def add(self, hold: Hold) -> None: ...
    async def lock(self, hold_id: str) -> Hold:
        """Raises NotFound."""
        ...

    async def save(self, hold: Hold) -> None: ...
    async def of_merchant(self, merchant_id: str) -> Sequence[Hold]:
        """All that ever stood, newest first."""
        ...
