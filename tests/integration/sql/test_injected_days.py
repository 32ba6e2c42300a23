"""Days with planted differences on the real database: it drops what is equal and keeps all that differs (R1, R2)."""

import random
from decimal import Decimal

import pytest

from adapters.outbound.sql import SqlDatabase
from tests.fund_injector import FundBill
from tests.unit.application import test_injected_alipay_bills as alipay
from tests.unit.application import test_injected_alipay_funds as alipay_funds
from tests.unit.application import test_injected_bills as wechat
from tests.unit.application import test_injected_funds as funds
from tests.unit.application.test_injected_bills import ACCOUNT, DAY, ONE

SEEDS = range(5_000, 5_024)
FUND_SEEDS = range(5_000, 5_012)
LATER = (DAY + ONE, DAY + 2 * ONE)  # their bills have come: nobody waits for lines over midnight any more


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_difference_of_a_wechat_bill_is_found_and_no_other(database: SqlDatabase, seed: int) -> None:
    chance = random.Random(seed)
    desk = await wechat.Desk(chance, database.unit_of_work).trade()
    bill = desk.bill(desk.rows)
    bill.spoil(chance)
    await desk.read(DAY, bill.written())
    for later in LATER:
        await desk.read(later, desk.bill([]).written())
    await _twice(desk, bill.planted)


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_difference_of_an_alipay_bill_is_found_and_no_other(database: SqlDatabase, seed: int) -> None:
    chance = random.Random(seed)
    desk = await alipay.Desk(chance, database.unit_of_work).trade()
    bill = desk.published(DAY, desk.rows)
    bill.spoil(chance)
    await desk.read(DAY, bill.written())
    for later in LATER:
        await desk.read(later, desk.published(later, []).written())
    await _twice(desk, bill.planted)


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_difference_of_a_fund_bill_is_found_and_no_other(database: SqlDatabase, seed: int) -> None:
    chance = random.Random(seed)
    desk = await funds.Desk(chance, database.unit_of_work).trade()
    bill = FundBill(desk.moves, opening=Decimal(500))
    bill.spoil(chance)
    await desk.moved(DAY, bill.written())
    await _twice(desk, bill.planted)


@pytest.mark.parametrize("seed", FUND_SEEDS)
async def test_every_difference_of_an_alipay_fund_bill_is_found_and_no_other(database: SqlDatabase, seed: int) -> None:
    chance = random.Random(seed)
    desk = await alipay_funds.Desk(chance, database.unit_of_work).trade()
    before = desk.bill_of(DAY - ONE, [["2026-11-19 23:59:59", "W\t", "\t", "提现", "0.00", "-7.00"]])
    before.opening = Decimal(500)
    await desk.moved(DAY - ONE, before.written())
    bill = desk.bill_of(DAY, desk.moves)
    bill.opening = before.closing
    bill.spoil(chance)
    await desk.moved(DAY, bill.written())
    await _twice(desk, bill.planted | alipay_funds.gap(bill.unsaid if bill.rows else Decimal(0)))


async def _twice(desk: wechat.Desk, planted: set[tuple[str, str]]) -> None:
    day = await desk.reconcile(ACCOUNT.id, DAY)
    assert await desk.found(DAY) == planted
    assert await desk.reconcile(ACCOUNT.id, DAY) == day, "a run again changed something"
    assert await desk.found(DAY) == planted
