"""The other codes of an order that has its end: closed at their channels soon, so that nobody pays twice."""

import asyncio

import pytest

from application.open_merchant import OpenedMerchant
from domain.attempts import Attempt, AttemptStatus
from domain.channels import ChannelState, Method
from domain.orders import Order
from domain.payments import Unattributed
from tests.fakes.channel import ChannelFault, PayerRefused
from tests.fakes.clock import FakeClock
from tests.fakes.database import DatabaseFault
from tests.fakes.house import House, caller

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE


async def _beside(house: House, merchant: OpenedMerchant, order: Order) -> tuple[Attempt, Attempt]:
    """Two codes of one order, opened in two tabs at once."""
    wechat, alipay = await asyncio.gather(
        house.start_attempt(caller(merchant), order.id, WECHAT), house.start_attempt(caller(merchant), order.id, ALIPAY)
    )
    return wechat, alipay


async def test_when_an_order_is_paid_its_other_code_is_closed_within_two_sweeps(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant)
    wechat, alipay = await _beside(house, merchant, order)
    clock.advance(400)
    for _ in range(8):  # far up the ladder: its next poll by itself is minutes away
        await house.check_due_attempts()
        clock.advance(30)
    house.alipay.pay(alipay.number)
    await house.notice(house.alipay, alipay)
    await house.fan_out()
    assert "check_attempts" in house.hints.jobs
    assert await house.check_due_attempts() == 1
    with pytest.raises(PayerRefused):
        house.wechat.pay(wechat.number)
    statuses = {attempt.method: attempt.status for attempt in await house.attempts(order)}
    assert statuses == {WECHAT: AttemptStatus.CLOSED, ALIPAY: AttemptStatus.SUCCEEDED}


async def test_a_payment_that_is_faster_than_the_closing_of_its_code_is_held(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    wechat, alipay = await _beside(house, merchant, order)
    house.alipay.pay(alipay.number)
    await house.notice(house.alipay, alipay)
    await house.fan_out()
    house.wechat.pay(wechat.number)
    await house.check_due_attempts()
    assert [payment.unattributed for payment in await house.payments(order)] == [None, Unattributed.SECOND]


async def test_a_code_that_cannot_be_closed_now_is_asked_about_again(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant)
    wechat, alipay = await _beside(house, merchant, order)
    house.alipay.pay(alipay.number)
    await house.notice(house.alipay, alipay)
    await house.fan_out()
    house.wechat.faults.once(ChannelFault.UNAVAILABLE, at="close")
    await house.check_due_attempts()
    assert house.wechat.state(wechat.number) is ChannelState.PENDING
    clock.advance(20)
    await house.check_due_attempts()
    assert house.wechat.state(wechat.number) is ChannelState.CLOSED


async def test_a_fan_out_that_cannot_reach_the_other_attempts_has_still_told_the_merchant(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    _, alipay = await _beside(house, merchant, order)
    house.alipay.pay(alipay.number)
    await house.notice(house.alipay, alipay)
    house.database.faults.once(DatabaseFault.LOCK_TIMEOUT, at="attempts.lock")
    assert await house.fan_out() == 1
    assert await house.deliver() == 1


async def test_a_code_scanned_after_its_order_was_closed_is_closed_by_the_next_poll(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant)
    alipay = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    await house.close_order(order.id, "merchant")  # nobody had scanned it: there was no trade to close
    house.alipay.scan(alipay.number)
    clock.advance(5)
    await house.check_due_attempts()
    with pytest.raises(PayerRefused):
        house.alipay.pay(alipay.number)
    (closed,) = await house.attempts(order)
    assert closed.status is AttemptStatus.CLOSED


async def test_a_poll_closes_no_code_of_an_order_that_still_waits(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant)
    await _beside(house, merchant, order)
    clock.advance(60)
    await house.check_due_attempts()
    assert {attempt.status for attempt in await house.attempts(order)} == {AttemptStatus.PENDING}
