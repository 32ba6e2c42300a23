"""Invoices for service fees due (服务费账单): what direct-mode merchants owe the platform, by the month."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from domain.bookkeeping import BASIC
from domain.channels import Mode
from domain.events import Event, with_event
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.money import Money
from domain.states import Table, step
from domain.times import rfc3339, shanghai_day


class InvoiceStatus(StrEnum):
    ISSUED = "issued"
    PAID = "paid"
    WRITTEN_OFF = "written_off"


INVOICE_TRANSITIONS: Table[InvoiceStatus] = {
    InvoiceStatus.ISSUED: frozenset({InvoiceStatus.PAID, InvoiceStatus.WRITTEN_OFF}),
    InvoiceStatus.PAID: frozenset(),
    InvoiceStatus.WRITTEN_OFF: frozenset(),
}

# The facts that settle an invoice. All else that moves SFD is what invoices are made of.
PAID_FACT, WRITTEN_OFF_FACT = "invoice_paid", "invoice_written_off"
SETTLING = frozenset({PAID_FACT, WRITTEN_OFF_FACT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a merchant owes by the end of a month and no earlier invoice has in it."""

    merchant_id: str
    mode: Mode
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """One a merchant, mode and month. ``month`` is its first day; ``account_id`` the channel account of the platform's
    that it was paid into, None for the bank."""

    id: str
    merchant_id: str
    mode: Mode
    month: date
    amount: Money
    created_at: datetime
    status: InvoiceStatus = InvoiceStatus.ISSUED
    account_id: str | None = None
    reference: str | None = None
    settled_at: datetime | None = None
    revision: int = 0
    events: tuple[Event, ...] = ()

    @classmethod
    def issue(cls, due: Due, month: date, *, id: str, now: datetime) -> Self:
        invoice = cls(id=id, merchant_id=due.merchant_id, mode=due.mode, month=month, amount=due.amount, created_at=now)
        return invoice._next(now, "invoice.issued")

    def paid(self, reference: str, now: datetime, *, account_id: str | None) -> Self:
        """``reference`` is the bank's or the channel's of the money that came."""
        status = step("invoice", INVOICE_TRANSITIONS, self.status, InvoiceStatus.PAID)
        done = replace(self, status=status, account_id=account_id, reference=reference, settled_at=now)
        return done._next(now, "invoice.paid")

    def written_off(self, reason: str, now: datetime) -> Self:
        status = step("invoice", INVOICE_TRANSITIONS, self.status, InvoiceStatus.WRITTEN_OFF)
        return replace(self, status=status, reference=reason, settled_at=now)._next(now, "invoice.written_off")

    def settlement(self) -> tuple[Transfer, ...]:
        """BANK or CR → SFD; written off: ADJ → SFD."""
        assert self.settled_at is not None
        currency, paid = self.amount.currency, self.status is InvoiceStatus.PAID
        if not paid:
            source = Account(AccountKind.ADJUSTMENT, PLATFORM, self.mode, currency)
        elif self.account_id is None:
            source = Account(AccountKind.BANK, PLATFORM, self.mode, currency)
        else:
            source = Account(AccountKind.CHANNEL_RECEIVABLE, self.account_id, self.mode, currency, BASIC)
        transfer = Transfer(
            idem_key=f"invoice:{self.id}:settled",
            fact=PAID_FACT if paid else WRITTEN_OFF_FACT,
            debit=source,
            credit=Account(AccountKind.SERVICE_FEE_DUE, self.merchant_id, self.mode, currency),
            amount=self.amount,
            about=self.id,
            channel_date=shanghai_day(self.settled_at),
        )
        return (transfer,)

    def snapshot(self) -> dict[str, Any]:
        """The invoice as merchants see it."""
        return {
            "id": self.id,
            "object": "invoice",
            "mode": str(self.mode),
            "month": f"{self.month:%Y-%m}",
            "amount": self.amount.minor,
            "currency": self.amount.currency,
            "status": str(self.status),
            "reference": self.reference,
            "created_at": rfc3339(self.created_at),
            "settled_at": rfc3339(self.settled_at) if self.settled_at else None,
        }

    def _next(self, now: datetime, type_: str) -> Self:
        return with_event(self, type_, now)


def last_month(now: datetime) -> date:
    """The first day of the month before this moment's, in Shanghai."""
    first = shanghai_day(now).replace(day=1)
    return (first - timedelta(days=1)).replace(day=1)


def last_day(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
