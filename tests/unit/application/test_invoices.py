"""Invoices for service fees: one a month, whoever runs the job how often; paid or written off once, and booked."""

import asyncio
from datetime import timedelta

import pytest

from application.keep_invoices import InvoiceEnd, IssueInvoices, SettleInvoice
from domain.actors import SYSTEM
from domain.channels import Mode
from domain.errors import Conflict
from domain.invoices import Invoice, InvoiceStatus, last_day, last_month
from domain.ledger import PLATFORM, AccountKind
from domain.proposals import Proposal
from tests.fakes import FakeClock
from tests.fakes.house import House

K = AccountKind


@pytest.fixture
def issue(house: House) -> IssueInvoices:
    return IssueInvoices(house.database.unit_of_work, house.clock, house.ids)


def into_next_month(clock: FakeClock) -> None:
    month = last_month(clock.now() + timedelta(days=40))
    while last_month(clock.now()) != month:
        clock.advance(86_400)


async def invoices(house: House, merchant_id: str) -> list[Invoice]:
    async with house.database.unit_of_work() as uow:
        return list(await uow.invoices.of_merchant(merchant_id, Mode.TEST))


async def settle(house: House, invoice: Invoice, end: InvoiceEnd, account_id: str | None = None) -> None:
    proposal = Proposal(
        id="prp_1",
        action="invoice.settle",
        payload={"invoice_id": invoice.id, "end": str(end), "reference": "ref", "account_id": account_id},
        summary="",
        permission="invoices.approve",
        maker="someone",
        made_by="someone",
        made_by_name="Someone",
        merchant_id=invoice.merchant_id,
        created_at=house.clock.now(),
        expires_at=house.clock.now(),
    )
    async with house.database.unit_of_work() as uow:
        await SettleInvoice(house.clock)(uow, proposal, SYSTEM)


async def test_a_months_fees_are_invoiced_once_however_often_it_runs(
    house: House, clock: FakeClock, issue: IssueInvoices
) -> None:
    merchant = await house.merchant(of_platform=False)
    order = await house.paid(merchant, no="A-1")
    await house.paid(merchant, no="A-2")
    await house.refund(merchant, order, 5_000)
    assert await issue() == 0, "the month is not over"
    into_next_month(clock)
    assert sum(await asyncio.gather(issue(), issue(), issue())) == 1
    (invoice,) = await invoices(house, merchant.merchant.id)
    assert (invoice.amount.minor, invoice.month) == (90, last_month(clock.now()))
    assert await issue() == 0


@pytest.mark.parametrize(
    ("end", "account_id", "source", "owner", "status"),
    [
        (InvoiceEnd.PAID, None, K.BANK, PLATFORM, InvoiceStatus.PAID),
        (InvoiceEnd.PAID, "cha_platform", K.CHANNEL_RECEIVABLE, "cha_platform", InvoiceStatus.PAID),
        (InvoiceEnd.WRITTEN_OFF, None, K.ADJUSTMENT, PLATFORM, InvoiceStatus.WRITTEN_OFF),
    ],
)
async def test_its_end_is_booked_once_and_leaves_nothing_due(
    house: House, clock: FakeClock, issue: IssueInvoices, *, end: InvoiceEnd, account_id: str | None,
    source: AccountKind, owner: str, status: InvoiceStatus,
) -> None:  # fmt: skip
    merchant = await house.merchant(of_platform=False)
    await house.paid(merchant)
    into_next_month(clock)
    await issue()
    (invoice,) = await invoices(house, merchant.merchant.id)
    await settle(house, invoice, end, account_id)
    assert (await invoices(house, merchant.merchant.id))[0].status is status
    assert await house.balance(K.SERVICE_FEE_DUE, merchant.merchant.id) == 0
    assert await house.balance(source, owner) == -60
    with pytest.raises(Conflict):
        await settle(house, invoice, end, account_id)
    assert await house.balance(source, owner) == -60
    into_next_month(clock)
    assert await issue() == 0, "what settles an invoice is none of the next"


async def test_collecting_for_a_merchant_is_never_invoiced(
    house: House, clock: FakeClock, issue: IssueInvoices
) -> None:
    await house.paid(await house.merchant())
    into_next_month(clock)
    assert await issue() == 0


def test_months_end_where_the_calendar_says() -> None:
    clock = FakeClock()
    for _ in range(800):
        month = last_month(clock.now())
        assert last_day(month).month == month.month
        assert (last_day(month) + timedelta(days=1)).day == 1
        clock.advance(86_400)
