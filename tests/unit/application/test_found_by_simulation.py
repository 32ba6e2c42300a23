"""What simulated lives found in us, each as a story of its own."""

import asyncio
from datetime import timedelta

import pytest

from application.confirm_attempt import Outcome
from application.open_merchant import OpenedMerchant
from domain.attempts import POLL_END, AttemptStatus
from domain.channels import ChannelState, Method, RefundState
from domain.errors import ChannelRejected, InProgress
from domain.money import Money
from domain.orders import OrderStatus
from domain.refunds import LADDER, RefundStatus
from tests.fakes.channel import ChannelFault, PayerRefused
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, caller
from tests.fakes.promises import FakePromises

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


async def test_a_notice_that_fits_only_when_it_is_repeated_has_evidence_that_says_so(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    """Seed 3904: a refund in the channel's console did not fit beside one that the channel had given up unknown to us.
    When we knew, the notice came once more and was booked by, and the inbox went on calling it a mismatch."""
    order = await house.paid(merchant, WECHAT)
    (attempt,) = await house.attempts(order)
    ours = await house.refund(merchant, order, 10_000)
    house.wechat.settle(ours.number, RefundState.CLOSED)
    by_hand = house.wechat.console(attempt.number, Money(6_000))
    house.wechat.settle(by_hand)
    told = [(await house.refund_notice(house.wechat, by_hand, attempt.account_id)).outcome]
    clock.advance(LADDER[-1])
    await house.check_due_refunds()
    told += [(await house.refund_notice(house.wechat, by_hand, attempt.account_id)).outcome for _ in range(2)]
    assert told == [Outcome.MISMATCH, Outcome.REFUND, Outcome.KNOWN]
    kept = [row.outcome for row in house.database.tables.notices.committed.values() if row.notice.kind == "refund"]
    assert kept == [Outcome.MISMATCH, Outcome.REFUND]
    assert sorted((refund.id == ours.id, refund.status) for refund in await house.refunds(order)) == [
        (False, RefundStatus.SUCCEEDED),
        (True, RefundStatus.FAILED),
    ]
    assert not list(FakePromises(house.database.tables, clock).checkers["M3"]())
