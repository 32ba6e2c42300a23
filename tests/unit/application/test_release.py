"""Release: what a payment brought becomes available when its day is closed and its risk days have passed, once."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from application.open_merchant import OpenedMerchant
from domain.channels import Channel, RefundState
from domain.errors import Conflict
from domain.ledger import AccountKind
from domain.money import FeePlan, Money, Rate
from domain.refunds import RefundStatus
from domain.statements import DayStatus
from domain.times import shanghai_day
from tests.fakes.clock import FakeClock
from tests.fakes.house import House
from tests.fakes.treasury import Treasury
from tests.unit.application.refunds import WECHAT

MP, MA, MR, MD, FI = (
    AccountKind.MERCHANT_PENDING,
    AccountKind.MERCHANT_AVAILABLE,
    AccountKind.MERCHANT_REFUNDING,
    AccountKind.MERCHANT_DEBT,
    AccountKind.FEE_INCOME,
)
SUNDAY = date(2026, 11, 22)  # the day on which the tests begin


@pytest.fixture
def treasury(house: House) -> Treasury:
    return Treasury(house)


async def balances(house: House, merchant: OpenedMerchant) -> tuple[int, int]:
    return await house.balance(MP, merchant.merchant.id), await house.balance(MA, merchant.merchant.id)


async def test_a_payment_is_released_on_the_first_workday_after_its_day_when_that_is_closed(
    house: House, merchant: OpenedMerchant, treasury: Treasury, clock: FakeClock
) -> None:
    order = await house.paid(merchant)
    await treasury.sweep()
    assert await balances(house, merchant) == (9_940, 0)
    clock.advance(86_400)
    await treasury.sweep()
    assert treasury.releases() == []  # the day is not closed
    await treasury.close_day(SUNDAY)
    await treasury.sweep()
    assert await balances(house, merchant) == (0, 9_940)
    (payment,) = await house.payments(order)
    moved = [each for each in await house.transfers(payment.id) if each.fact == "released"]
    assert [(each.idem_key, each.amount) for each in moved] == [(f"release:{payment.id}:0", Money(9_940))]
    await treasury.sweep()
    await treasury.close_day(SUNDAY)
    await treasury.sweep()
    assert await balances(house, merchant) == (0, 9_940)
    assert await treasury.wrong() == []


async def test_risk_days_are_workdays_holidays_and_weekends_do_not_count_and_make_up_days_do(
    house: House, merchant: OpenedMerchant, treasury: Treasury, clock: FakeClock
) -> None:
    treasury.workdays.holidays = frozenset({date(2026, 11, 23), date(2026, 11, 24)})
    treasury.workdays.make_up = frozenset({date(2026, 11, 28)})  # a Saturday
    await treasury.rule(merchant, risk_days=4)
    await house.paid(merchant)
    await treasury.next_days(5)  # Wednesday, Thursday and Friday have come: three
    assert await balances(house, merchant) == (9_940, 0)
    await treasury.next_days(1)
    assert shanghai_day(clock.now()) == date(2026, 11, 28)
    assert await balances(house, merchant) == (0, 9_940)


async def test_other_risk_days_hold_for_what_is_not_released_yet(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    await treasury.rule(merchant, risk_days=30)
    await house.paid(merchant)
    await treasury.next_days(2)
    assert await balances(house, merchant) == (9_940, 0)
    await treasury.rule(merchant, risk_days=1)
    await treasury.sweep()
    assert await balances(house, merchant) == (0, 9_940)


async def test_a_day_that_is_open_again_keeps_its_payments(
    house: House, merchant: OpenedMerchant, treasury: Treasury, clock: FakeClock
) -> None:
    await house.paid(merchant)
    clock.advance(86_400)
    await treasury.close_day(SUNDAY)
    while await treasury.schedule():
        pass
    reopened = []
    async with house.database.unit_of_work() as uow:
        for account in house.database.tables.accounts.committed.values():
            day = await uow.bills.lock_day(account.id, SUNDAY)
            reopened.append(day)
            await uow.bills.save_day(replace(day, status=DayStatus.REOPENED))
    await treasury.sweep()
    assert await balances(house, merchant) == (9_940, 0)
    async with house.database.unit_of_work() as uow:
        for day in reopened:
            await uow.bills.save_day(replace(day, status=DayStatus.MATCHED))
    await treasury.close_day(SUNDAY)
    clock.advance(3_600)
    await treasury.sweep()
    assert await balances(house, merchant) == (0, 9_940)


async def test_what_is_on_hold_stays_until_it_is_lifted(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    held, free = await house.paid(merchant), await house.paid(merchant, no="A-2")
    del free
    hold = await treasury.holds.place(treasury.mina, merchant.merchant.id, held.id, "a complaint")
    with pytest.raises(Conflict) as caught:
        await treasury.holds.place(treasury.mina, merchant.merchant.id, held.id, "again")
    assert caught.value.code == "held_already"
    await treasury.next_days(1)
    assert await balances(house, merchant) == (9_940, 9_940)
    whole = await treasury.holds.place(treasury.mina, merchant.merchant.id, None, "under investigation")
    await treasury.holds.lift(treasury.chen, hold.id, "settled")
    await treasury.next_days(1)
    assert await balances(house, merchant) == (9_940, 9_940)
    await treasury.holds.lift(treasury.chen, whole.id, "cleared")
    await treasury.sweep()
    assert await balances(house, merchant) == (0, 19_880)
    with pytest.raises(Conflict) as caught:
        await treasury.holds.lift(treasury.chen, whole.id, "twice")
    assert caught.value.code == "hold_lifted"
    assert [each.lifted_by for each in await treasury.holds.of_merchant(merchant.merchant.id)] == [treasury.chen.id] * 2


# ── Beside refunds ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_refund_before_the_release_takes_pending_money_and_the_rest_is_released(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    order = await house.paid(merchant)
    refund = await house.refund(merchant, order, 4_000)
    assert refund.draws.pending == Money(3_976)
    await treasury.next_days(1)
    assert await balances(house, merchant) == (0, 5_964)
    later = await house.refund(merchant, order, 6_000, "R-2")
    assert (later.draws.pending, later.draws.available) == (Money(0), Money(5_964))
    assert await balances(house, merchant) == (0, 0)
    assert await treasury.wrong() == []


async def test_what_a_refund_gives_back_after_the_release_is_released_too(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    order = await house.paid(merchant, WECHAT)
    refund = await house.refund(merchant, order, 4_000)
    await treasury.next_days(1)
    assert await balances(house, merchant) == (0, 5_964)
    house.wechat.settle(refund.number, RefundState.CLOSED)
    await house.refund_notice(house.wechat, refund.number, refund.account_id)
    assert await balances(house, merchant) == (3_976, 5_964)
    await treasury.sweep()
    assert await balances(house, merchant) == (0, 9_940)
    assert [(each.released, each.times) for each in treasury.releases()] == [(9_940, 2)]
    assert await treasury.wrong() == []


async def test_a_payment_that_went_back_whole_releases_nothing(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    order = await house.paid(merchant)
    assert (await house.refund(merchant, order, 10_000)).status is RefundStatus.SUCCEEDED
    await treasury.next_days(1)
    assert await balances(house, merchant) == (0, 0)
    (release,) = treasury.releases()
    assert (release.released, release.next_at is None, release.released_at is not None) == (0, True, True)


async def test_a_merchant_bears_the_fee_that_is_kept_and_no_payment_is_released_twice_for_it(
    house: House, treasury: Treasury, clock: FakeClock
) -> None:
    merchant = await house.merchant(fee_plan=FeePlan(Rate(6_000), kept=True))
    order, _ = await house.paid(merchant), await house.paid(merchant, no="A-2")
    assert (await house.refund(merchant, order, 10_000)).draws.pending == Money(10_000)
    await treasury.next_days(1)
    assert await balances(house, merchant) == (0, 9_880)
    assert sorted(each.released for each in treasury.releases()) == [0, 9_880], "no more than there is in pending"
    for _ in range(2):  # what the first lacks is filled up from what the second has released
        clock.advance(3_600)
        await treasury.sweep()
    assert await balances(house, merchant) == (0, 9_880)
    assert sorted(each.released for each in treasury.releases()) == [-60, 9_940]
    assert await treasury.wrong() == []


async def test_a_console_refund_of_a_released_payment_leaves_what_is_pending_alone(
    house: House, merchant: OpenedMerchant, treasury: Treasury, clock: FakeClock
) -> None:
    order = await house.paid(merchant)
    await treasury.next_days(1)
    await treasury.settled(merchant)
    await house.paid(merchant, no="A-2")
    (attempt,) = await house.attempts(order)
    number = house.alipay.console(attempt.number, Money(4_000))
    await house.refund_notice(house.alipay, number, attempt.account_id)
    assert await balances(house, merchant) == (9_940, 0)
    assert await house.balance(MD, merchant.merchant.id) == -3_976
    await treasury.next_days(2)  # the debt comes first
    assert await balances(house, merchant) == (0, 5_964)
    assert await house.balance(MD, merchant.merchant.id) == 0
    assert await treasury.wrong() == []


async def test_a_day_that_nobody_was_there_for_is_caught_up(
    house: House, merchant: OpenedMerchant, treasury: Treasury, clock: FakeClock
) -> None:
    await house.paid(merchant)
    clock.advance(5 * 86_400)
    await house.paid(merchant, no="A-2")
    await treasury.close_day(SUNDAY)
    await treasury.sweep()
    assert await balances(house, merchant) == (9_940, 9_940)
    await treasury.next_days(4)
    assert await balances(house, merchant) == (0, 19_880)
    assert {each.account_id for each in treasury.releases()} == {
        account.id for account in house.database.tables.accounts.committed.values() if account.channel is Channel.ALIPAY
    }


async def test_what_is_claimed_by_one_who_dies_is_due_again(
    house: House, merchant: OpenedMerchant, treasury: Treasury, clock: FakeClock
) -> None:
    await house.paid(merchant)
    clock.advance(86_400)
    await treasury.close_day(SUNDAY)
    await treasury.schedule()
    while await treasury.schedule():
        pass
    async with house.database.unit_of_work() as uow:
        claimed = await uow.releases.claim_due(clock.now(), retry_at=clock.now() + timedelta(seconds=30), limit=10)
    assert len(claimed) == 1
    assert await treasury.release_due() == 0
    clock.advance(30)
    assert await treasury.release_due() == 1
    assert await balances(house, merchant) == (0, 9_940)
    await treasury.release(claimed[0])  # the one that was thought dead comes back
    assert await balances(house, merchant) == (0, 9_940)
