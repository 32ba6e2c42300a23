"""Contract of invoices: they come back as saved, are one a month, and are made of what SFD moved."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from application.ports.storage import AlreadyExists
from domain.channels import Mode
from domain.errors import NotFound
from domain.invoices import PAID_FACT, Due, Invoice, InvoiceStatus
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.money import Money
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
INCOME = Account(AccountKind.FEE_INCOME, PLATFORM, Mode.TEST, "CNY")


def new_invoice(stage: Stage, merchant_id: str, month: date = OCTOBER, **changes: Any) -> Invoice:
    due = Due(merchant_id=merchant_id, mode=Mode.TEST, amount=Money(60))
    return replace(Invoice.issue(due, month, id=stage.ids.new("inv"), now=NOW), events=(), **changes)


async def fee(stage: Stage, merchant_id: str, minor: int, day: date, fact: str = "payment") -> None:
    """``minor`` below zero goes back."""
    due = Account(AccountKind.SERVICE_FEE_DUE, merchant_id, Mode.TEST, "CNY")
    debit, credit = (due, INCOME) if minor > 0 else (INCOME, due)
    transfer = Transfer(
        idem_key=stage.ids.token(20),
        fact=fact,
        debit=debit,
        credit=credit,
        amount=Money(abs(minor)),
        about="x",
        channel_date=day,
    )
    async with stage.unit_of_work() as uow:
        await uow.ledger.post([transfer])


async def due(stage: Stage, merchant_id: str, month: date) -> int:
    async with stage.unit_of_work() as uow:
        found = [each for each in await uow.invoices.due(month) if each.merchant_id == merchant_id]
    return sum(each.amount.minor for each in found)


class InvoicesContract(OnStage):
    async def test_an_invoice_comes_back_with_every_field(self, stage: Stage) -> None:
        merchant_id = stage.ids.new("mch")
        invoice, later = (new_invoice(stage, merchant_id, month) for month in (OCTOBER, NOVEMBER))
        changed = replace(
            invoice,
            status=InvoiceStatus.PAID,
            account_id="cha_1",
            reference="bank 1",
            settled_at=NOW + timedelta(days=1),
            revision=3,
        )
        assert_every_field_is_filled(changed)
        async with stage.unit_of_work() as uow:
            await uow.invoices.add(invoice)
            await uow.invoices.add(later)
        async with stage.unit_of_work() as uow:
            assert await uow.invoices.get(invoice.id) == invoice
            await uow.invoices.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.invoices.lock(invoice.id) == changed
            assert list(await uow.invoices.of_merchant(merchant_id)) == [later, changed]
            assert list(await uow.invoices.of_merchant(merchant_id, Mode.LIVE)) == []
            assert changed in await uow.invoices.of_month(OCTOBER)
            assert later not in await uow.invoices.of_month(OCTOBER)
            with pytest.raises(NotFound):
                await uow.invoices.get("inv_none")
            with pytest.raises(NotFound):
                await uow.invoices.lock("inv_none")

    async def test_a_month_is_invoiced_once(self, stage: Stage) -> None:
        merchant_id = stage.ids.new("mch")
        async with stage.unit_of_work() as uow:
            await uow.invoices.add(new_invoice(stage, merchant_id))
        with pytest.raises(AlreadyExists, match="uq_invoice_month"):
            async with stage.unit_of_work() as uow:
                await uow.invoices.add(new_invoice(stage, merchant_id))

    async def test_what_is_due_is_what_moved_by_the_months_end_and_is_in_no_invoice(self, stage: Stage) -> None:
        merchant_id = stage.ids.new("mch")
        await fee(stage, merchant_id, 100, date(2026, 10, 1))
        await fee(stage, merchant_id, -40, date(2026, 10, 31))
        await fee(stage, merchant_id, 7, date(2026, 11, 1))
        await fee(stage, merchant_id, -30, date(2026, 10, 31), PAID_FACT)
        assert await due(stage, merchant_id, OCTOBER) == 60
        async with stage.unit_of_work() as uow:
            await uow.invoices.add(new_invoice(stage, merchant_id))
        assert await due(stage, merchant_id, OCTOBER) == 0
        await fee(stage, merchant_id, 5, date(2026, 10, 31))  # a bill that came late
        assert await due(stage, merchant_id, OCTOBER) == 0
        assert await due(stage, merchant_id, NOVEMBER) == 12

    async def test_a_month_that_gave_back_more_has_none_and_is_set_off(self, stage: Stage) -> None:
        merchant_id = stage.ids.new("mch")
        await fee(stage, merchant_id, -40, date(2026, 10, 31))
        assert await due(stage, merchant_id, OCTOBER) == 0
        await fee(stage, merchant_id, 100, date(2026, 11, 2))
        assert await due(stage, merchant_id, NOVEMBER) == 60
