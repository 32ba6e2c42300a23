"""What simulated lives found in us, each as a story of its own."""

import asyncio
from datetime import timedelta

import pytest

from application.open_merchant import OpenedMerchant
from domain.attempts import POLL_END, AttemptStatus
from domain.channels import ChannelState, Method
from domain.errors import ChannelRejected, InProgress
from domain.orders import OrderStatus
from tests.fakes.channel import ChannelFault, PayerRefused
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, caller

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE


async def test_a_code_is_taken_back_when_another_opening_of_it_was_refused_meanwhile(
    house: House, merchant: OpenedMerchant
) -> None:
    """Seed 10828: two tabs opened one payment; the refusal failed the attempt, and the other tab showed its code."""
    order = await house.order(merchant)
    house.wechat.faults.once(ChannelFault.LATE_ANSWER, at="open")  # opened, and hears of it after the other tab
    house.wechat.slow_seconds = 0.05
    first = asyncio.create_task(house.start_attempt(caller(merchant), order.id, WECHAT))
    while (  # noqa: ASYNC110 - the fake has no event for it
        not (attempts := await house.attempts(order)) or house.wechat.state(attempts[0].number) == ChannelState.ABSENT
    ):
        await asyncio.sleep(0)
    house.wechat.faults.once(ChannelFault.REJECTED, at="open")
    with pytest.raises(ChannelRejected):
        await house.start_attempt(caller(merchant), order.id, WECHAT)
    with pytest.raises(InProgress):
        await first
    (failed,) = await house.attempts(order)
    assert failed.status is AttemptStatus.FAILED
    with pytest.raises(PayerRefused):
        house.wechat.pay(failed.number)
    again = await house.start_attempt(caller(merchant), order.id, WECHAT)
    assert (again.status, again.number == failed.number) == (AttemptStatus.PENDING, False)


async def test_an_attempt_beside_the_one_that_paid_comes_to_its_end_too(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    """Seed 0: WeChat Pay keeps an order open until somebody closes it, and the order was paid and looked after."""
    order = await house.order(merchant, expires_in=60)
    wechat, alipay = await asyncio.gather(
        house.start_attempt(caller(merchant), order.id, WECHAT), house.start_attempt(caller(merchant), order.id, ALIPAY)
    )
    house.alipay.pay(alipay.number)
    await house.notice(house.alipay, alipay)
    end = wechat.expires_at + POLL_END
    while clock.now() < end:
        clock.advance(600)
        await house.check_due_attempts()
    statuses = {attempt.method: attempt.status for attempt in await house.attempts(order)}
    assert statuses == {WECHAT: AttemptStatus.CLOSED, ALIPAY: AttemptStatus.SUCCEEDED}
    assert house.wechat.state(wechat.number) is ChannelState.CLOSED


async def test_an_answer_is_as_old_as_its_question(house: House, merchant: OpenedMerchant, clock: FakeClock) -> None:
    """ "Unknown to the channel" before the expiry closes nothing, however late after it we hear that."""
    order = await house.order(merchant, expires_in=60)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    clock.advance(59.9)
    house.alipay.faults.once(ChannelFault.LATE_ANSWER, at="query")
    house.alipay.slow_seconds = 0.02
    asked = asyncio.create_task(house.check_attempt(attempt))
    await asyncio.sleep(0.01)
    house.alipay.pay(attempt.number)
    clock.set(attempt.expires_at + timedelta(seconds=1))
    await asked
    await house.expire_orders()
    assert (await house.now(order)).status is OrderStatus.PAID
