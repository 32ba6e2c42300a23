"""Service fees that direct-mode merchants owe: invoiced once a month, paid or written off by two people's consent."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from application.ports.lists import Column, Kind
from application.ports.storage import AlreadyExists, UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.propose import Propose
from domain.actors import Actor
from domain.channels import FundMode, Mode
from domain.errors import Conflict, InvalidRequest
from domain.invoices import Invoice, InvoiceStatus, last_month
from domain.proposals import Proposal

SETTLE_INVOICE = "invoice.settle"
APPROVE = "invoices.approve"


COLUMNS: Mapping[str, Column] = {
    "id": Column(Kind.TEXT, "账单号"),
    "merchant_id": Column(Kind.TEXT, "商户号"),
    "mode": Column(Kind.TEXT, "模式"),
    "month": Column(Kind.TEXT, "月份"),
    "amount": Column(Kind.AMOUNT, "金额"),
    "currency": Column(Kind.TEXT, "币种"),
    "status": Column(Kind.TEXT, "状态"),
    "reference": Column(Kind.TEXT, "凭证号"),
    "created_at": Column(Kind.TIME, "开具时间"),
    "settled_at": Column(Kind.TIME, "结清时间"),
}


class InvoiceEnd(StrEnum):
    """What may become of an invoice."""

    PAID = "paid"
    WRITTEN_OFF = "written_off"


@dataclass(frozen=True, slots=True)
class IssueInvoices:
    """Invoice what last month left due (Asia/Shanghai): from the 1st on, one a merchant and mode. Returns how many.

    A month in which refunds gave back more than was earned has none, and is set off against the next. Running it again,
    or twice at once, issues nothing twice: (merchant, mode, month) is unique.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def __call__(self) -> int:
        month, issued = last_month(self.clock.now()), 0
        async with self.unit_of_work() as uow:
            found = await uow.invoices.due(month)
        for due in found:
            invoice = Invoice.issue(due, month, id=self.ids.new("inv"), now=self.clock.now())
            with suppress(AlreadyExists):  # another sweep was faster
                async with self.unit_of_work() as uow:
                    await uow.invoices.add(invoice)
                issued += 1
        return issued


@dataclass(frozen=True, slots=True)
class ProposeInvoiceEnd:
    """Propose that an invoice was paid, or is written off. Raises Conflict for one that is settled, InvalidRequest for
    an account that is none of the platform's."""

    unit_of_work: UnitOfWorkFactory
    propose: Propose

    async def __call__(
        self, actor: Actor, invoice_id: str, end: InvoiceEnd, reference: str, *, account_id: str | None = None
    ) -> Proposal:
        async with self.unit_of_work() as uow:
            invoice = await uow.invoices.get(invoice_id)
            _must_be_open(invoice)
            if account_id is not None:
                account = (await uow.accounts.access(account_id)).account
                ours = account.fund_mode is FundMode.COLLECT and account.mode is invoice.mode
                if not ours or end is not InvoiceEnd.PAID:
                    raise InvalidRequest(
                        "invoices are paid into an account of the platform's",
                        code="platform_account_invalid",
                        pointer="/account_id",
                    )
            return await self.propose.within(
                uow,
                actor,
                SETTLE_INVOICE,
                {"invoice_id": invoice.id, "end": str(end), "reference": reference, "account_id": account_id},
                summary=f"{invoice.month:%Y-%m}, {invoice.amount}: {end}, {reference}",
                permission=APPROVE,
                merchant_id=invoice.merchant_id,
            )


@dataclass(frozen=True, slots=True)
class SettleInvoice:
    """The executor behind those proposals: booked in the unit of work that approves, under the invoice's lock, once."""

    clock: Clock

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        del actor  # who decided stands in the proposal and its audit
        asked, now = proposal.payload, self.clock.now()
        invoice = await uow.invoices.lock(str(asked["invoice_id"]))
        _must_be_open(invoice)
        if asked["end"] == InvoiceEnd.PAID:
            settled = invoice.paid(str(asked["reference"]), now, account_id=asked["account_id"])
        else:
            settled = invoice.written_off(str(asked["reference"]), now)
        await uow.ledger.post(settled.settlement())
        await uow.invoices.save(settled)
        return {"status": str(settled.status)}


@dataclass(frozen=True, slots=True)
class FindInvoices:
    """Invoices of a merchant, or of a month."""

    unit_of_work: UnitOfWorkFactory

    async def of_merchant(self, merchant_id: str, mode: Mode | None = None) -> Sequence[Invoice]:
        async with self.unit_of_work() as uow:
            return await uow.invoices.of_merchant(merchant_id, mode)

    async def of_month(self, month: date) -> Sequence[Invoice]:
        async with self.unit_of_work() as uow:
            return await uow.invoices.of_month(month)


async def rows(invoices: Sequence[Invoice]) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """As ``as_csv`` takes them, below COLUMNS."""
    yield [{"merchant_id": invoice.merchant_id, **invoice.snapshot()} for invoice in invoices]


def _must_be_open(invoice: Invoice) -> None:
    if invoice.status is not InvoiceStatus.ISSUED:
        raise Conflict(f"this invoice is {invoice.status}", code="invoice_settled")
