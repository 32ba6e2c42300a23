"""Settlements (结算): what a merchant is owed, swept together, approved by a second person, and paid out once."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from domain.channels import Mode
from domain.events import Event, with_event
from domain.ledger import PLATFORM, Account, AccountKind
from domain.merchants import BankAccount
from domain.money import Money
from domain.states import Table, step
from domain.times import rfc3339, rung


class SettlementStatus(StrEnum):
    CREATED = "created"  # swept; waits for a second person
    APPROVED = "approved"  # the payee is frozen; nothing was sent
    REJECTED = "rejected"
    PAYING = "paying"  # from here on money may be on its way
    AWAITING_PAYEE = "awaiting_payee"  # the payee has to confirm it in the channel's app
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"
    BOUNCED = "bounced"  # 退票: it was paid and came back


_S = SettlementStatus
_ENDS = frozenset({_S.PAID, _S.FAILED, _S.CANCELLED})

# Nothing is retried under the same settlement: the money returns, and a new one follows.
SETTLEMENT_TRANSITIONS: Table[SettlementStatus] = {
    _S.CREATED: frozenset({_S.APPROVED, _S.REJECTED}),
    _S.APPROVED: frozenset({_S.PAYING, _S.CANCELLED}),
    _S.PAYING: _ENDS | {_S.AWAITING_PAYEE},
    _S.AWAITING_PAYEE: _ENDS,
    _S.PAID: frozenset({_S.BOUNCED}),
    _S.REJECTED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.BOUNCED: frozenset(),
}

# Those whose money went back to the merchant's available balance.
RETURNED = frozenset({_S.REJECTED, _S.FAILED, _S.CANCELLED})
# What the payout's ladder takes up.
UNDER_WAY = frozenset({_S.APPROVED, _S.PAYING, _S.AWAITING_PAYEE})

# Seconds between one look at a payout and the next; afterwards every hour.
LADDER = (15, 30, 60, 120, 300, 600, 1_800)
TAIL = timedelta(hours=1)


class SettlementOrigin(StrEnum):
    """Who wanted it."""

    AUTOMATIC = "automatic"
    MERCHANT = "merchant"
    OPERATOR = "operator"


class Rail(StrEnum):
    """How a payout travels."""

    MANUAL = "manual"  # an operator's bank file
    ALIPAY = "alipay"
    WECHAT = "wechat"


@dataclass(frozen=True, slots=True)
class Source:
    """What a payout is taken from: a bank account of the platform, or a fund of a channel account."""

    rail: Rail = Rail.MANUAL
    owner: str = PLATFORM
    fund: str = ""

    def account(self, mode: Mode, currency: str) -> Account:
        kind = AccountKind.BANK if self.rail is Rail.MANUAL else AccountKind.CHANNEL_RECEIVABLE
        return Account(kind, self.owner, mode, currency, self.fund)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """One settlement and its one payout.

    ``swept`` is the sum of the transfers inside, ``amount`` what is settled of it, the rest is carried to the next
    one. ``number`` is what a payout channel or a bank file knows it by and never changes. ``payee`` and ``source``
    are frozen by the approval. ``charge`` is what the rail took for the transfer, ``reference`` its own number,
    ``confirmation`` what the payee's app is handed to confirm it. ``next_at``: when to look after the payout again;
    never for a manual one, which people look after.
    """

    id: str
    merchant_id: str
    mode: Mode
    number: str
    origin: SettlementOrigin
    swept: Money
    amount: Money
    fee: Money
    lines: int
    created_at: datetime
    status: SettlementStatus = SettlementStatus.CREATED
    payee: BankAccount | None = field(default=None)
    source: Source | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    paid_at: datetime | None = None
    charge: Money = Money(0)
    reference: str | None = None
    failure: str | None = None
    confirmation: str | None = field(default=None, repr=False)
    next_at: datetime | None = None
    polls: int = 0
    revision: int = 0
    events: tuple[Event, ...] = ()

    @property
    def payout(self) -> Money:
        """What the payee gets. With the fee it makes up the amount."""
        return self.amount - self.fee

    @property
    def carried(self) -> Money:
        """What was swept beyond the maximum, and goes back for the next settlement."""
        return self.swept - self.amount

    def created(self, now: datetime) -> Self:
        """The first event of its history."""
        return self._next(now, "settlement.created")

    def approved(self, by: str, payee: BankAccount, source: Source, now: datetime) -> Self:
        """A second person agrees. The payee is frozen as it stands now."""
        due = None if source.rail is Rail.MANUAL else now
        changed = replace(self, payee=payee, source=source, approved_by=by, approved_at=now, next_at=due)
        return changed._to(SettlementStatus.APPROVED, now)

    def rejected(self, reason: str, now: datetime) -> Self:
        return self._returned(SettlementStatus.REJECTED, reason, now)

    def paying(self, now: datetime) -> Self:
        """Committed before anything is sent. Whoever dies after it leaves a payout that is due and asked after."""
        due = self if self.next_at is None else self.polled(now)
        return due._to(SettlementStatus.PAYING, now)

    def awaiting_payee(self, now: datetime, *, reference: str | None, confirmation: str | None) -> Self:
        """The channel has it; the payee has to take it. The first word says so, later ones tell by what."""
        told = replace(
            self,
            reference=reference or self.reference,
            confirmation=confirmation or self.confirmation,
            failure=None,
        )
        return told._to(SettlementStatus.AWAITING_PAYEE, now) if self.status is not _S.AWAITING_PAYEE else told

    def hindered(self, reason: str) -> Self:
        """The rail did not take it this time, as with an account that is short: the same again later."""
        return replace(self, failure=reason)

    def paid(self, now: datetime, *, at: datetime, reference: str | None, charge: Money = Money(0)) -> Self:
        """The payee has it, since ``at``."""
        done = replace(
            self, paid_at=at, reference=reference or self.reference, charge=charge, failure=None, next_at=None
        )
        return done._to(SettlementStatus.PAID, now)

    def failed(self, reason: str, now: datetime) -> Self:
        """The rail's definite no. A doubt is none."""
        return self._returned(SettlementStatus.FAILED, reason, now)

    def cancelled(self, reason: str, now: datetime) -> Self:
        return self._returned(SettlementStatus.CANCELLED, reason, now)

    def bounced(self, reason: str, now: datetime) -> Self:
        return self._returned(SettlementStatus.BOUNCED, reason, now)

    def polled(self, now: datetime) -> Self:
        """The next rung of the ladder, taken before anybody is asked: a crash costs one rung, not the payout."""
        return replace(self, polls=self.polls + 1, next_at=now + rung(LADDER, self.polls, TAIL))

    def snapshot(self) -> dict[str, Any]:
        """The settlement as merchants see it, in the API and in events. Amounts in minor units, times RFC 3339."""
        return {
            "id": self.id,
            "object": "settlement",
            "mode": str(self.mode),
            "status": str(self.status),
            "origin": str(self.origin),
            "amount": self.amount.minor,
            "fee": self.fee.minor,
            "payout": self.payout.minor,
            "swept": self.swept.minor,
            "carried": self.carried.minor,
            "currency": self.amount.currency,
            "lines": self.lines,
            "number": self.number,
            "payee": self.payee.snapshot() if self.payee else None,
            "rail": str(self.source.rail) if self.source else None,
            "reference": self.reference,
            "failure": self.failure,
            "confirmation": self.confirmation if self.status is _S.AWAITING_PAYEE else None,
            "created_at": rfc3339(self.created_at),
            "approved_at": rfc3339(self.approved_at) if self.approved_at else None,
            "paid_at": rfc3339(self.paid_at) if self.paid_at else None,
        }

    def _returned(self, status: SettlementStatus, reason: str, now: datetime) -> Self:
        return replace(self, failure=reason, next_at=None)._to(status, now)

    def _to(self, status: SettlementStatus, now: datetime) -> Self:
        status = step("settlement", SETTLEMENT_TRANSITIONS, self.status, status)
        return replace(self, status=status)._next(now, f"settlement.{status}", announced=status is not _S.PAYING)

    def _next(self, now: datetime, type_: str, *, announced: bool = True) -> Self:
        return with_event(self, type_, now, announced=announced)
