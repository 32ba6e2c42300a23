"""What a channel says of a refund, or does not: by answer, notice or query, once, under one number."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from application.confirm_attempt import Outcome
from application.open_merchant import OpenedMerchant
from domain.channels import RefundReport, RefundState
from domain.errors import DatabaseUnavailable, OutcomeUnknown
from domain.money import Money
from domain.refunds import LADDER, RefundStatus
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeClock
from tests.fakes.database import DatabaseFault
from tests.fakes.house import House, caller
from tests.unit.application.refunds import WECHAT, books, types, wish


@pytest.mark.parametrize("fault", [ChannelFault.UNKNOWN_DONE, ChannelFault.UNKNOWN_UNDONE])
async def test_a_timeout_is_unknown_and_ends_in_one_refund_under_one_number(
    house: House, merchant: OpenedMerchant, clock: FakeClock, fault: ChannelFault
) -> None:
    """J2, D5: an exception in the call is no failure, and never leads to a second number."""
    order = await house.paid(merchant)
    house.alipay.faults.once(fault, "refund")
    refund = await house.refund(merchant, order)
    assert refund.status is RefundStatus.UNKNOWN
    assert await types(house, refund.id) == []
    assert (await house.now(order)).refunding == Money(4_000)
    clock.advance(LADDER[0])
    await house.check_due_refunds()
    (done,) = await house.refunds(order)
    assert (done.status, done.number) == (RefundStatus.SUCCEEDED, refund.number)
    assert len(house.alipay.refunds()) == 1
    assert await books(house, merchant, order) == (5_964, 0, 36, 6_000)


async def test_a_channel_that_did_not_hear_us_hears_the_same_number_again(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.paid(merchant)
    house.alipay.faults.once(ChannelFault.UNAVAILABLE, "refund")
    refund = await house.refund(merchant, order)
    assert refund.status is RefundStatus.SUBMITTED
    clock.advance(LADDER[0])
    await house.check_due_refunds()
    (report,) = house.alipay.refunds()
    assert report.number == refund.number


async def test_a_definite_no_voids_the_refund_and_the_money_is_free_again(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.paid(merchant)
    house.alipay.faults.once(ChannelFault.REJECTED, "refund")
    refund = await house.refund(merchant, order)
    assert (refund.status, refund.failure) == (RefundStatus.FAILED, "rejected")
    assert await types(house, refund.id) == ["refund.failed"]
    assert await books(house, merchant, order) == (9_940, 0, 60, 10_000)
    assert (await house.now(order)).refunding == Money(0)
    assert (await house.refund(merchant, order, 10_000, "R-2")).status is RefundStatus.SUCCEEDED


async def test_a_channel_account_that_is_short_is_asked_again_until_it_has_enough(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.paid(merchant)
    house.alipay.faults.once(ChannelFault.FUNDS_SHORT, "refund")
    house.alipay.faults.once(ChannelFault.FUNDS_SHORT, "refund")
    refund = await house.refund(merchant, order)
    assert refund.status is RefundStatus.AWAITING_CHANNEL_FUNDS
    clock.advance(LADDER[0])
    await house.check_due_refunds()
    assert (await house.refunds(order))[0].status is RefundStatus.AWAITING_CHANNEL_FUNDS
    clock.advance(LADDER[1])
    await house.check_due_refunds()
    (done,) = await house.refunds(order)
    assert (done.status, done.number) == (RefundStatus.SUCCEEDED, refund.number)


async def test_a_refused_repetition_says_nothing_about_the_first(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    """The query finds nothing, the first call arrives after all, and the repetition is refused because of it."""
    order = await house.paid(merchant)
    house.alipay.faults.once(ChannelFault.UNKNOWN_DONE, "refund")
    refund = await house.refund(merchant, order)
    house.alipay.faults.once(ChannelFault.REJECTED, "refund")
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(refund.account_id)
    done = await house.submit_refund.call(refund, access, first=False)
    assert done.status is RefundStatus.SUCCEEDED


async def test_a_poll_finds_what_no_notice_told(house: House, merchant: OpenedMerchant, clock: FakeClock) -> None:
    order = await house.paid(merchant, WECHAT)
    refund = await house.refund(merchant, order)
    house.wechat.settle(refund.number)
    clock.advance(LADDER[0])
    await house.check_due_refunds()
    assert (await house.refunds(order))[0].status is RefundStatus.SUCCEEDED


async def test_a_refund_that_is_closed_after_it_was_accepted_comes_back_whole(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.paid(merchant, WECHAT)
    refund = await house.refund(merchant, order)
    house.wechat.settle(refund.number, RefundState.CLOSED)
    await house.refund_notice(house.wechat, refund.number, refund.account_id)
    (closed,) = await house.refunds(order)
    assert closed.status is RefundStatus.FAILED
    assert await books(house, merchant, order) == (9_940, 0, 60, 10_000)
    assert ((await house.now(order)).refunding, (await house.now(order)).refunded) == (Money(0), Money(0))
    assert await types(house, refund.id) == ["refund.failed"]


async def test_an_abnormal_refund_waits_for_a_person_and_is_still_asked_after(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.paid(merchant, WECHAT)
    refund = await house.refund(merchant, order)
    house.wechat.settle(refund.number, RefundState.ABNORMAL)
    await house.refund_notice(house.wechat, refund.number, refund.account_id)
    (waiting,) = await house.refunds(order)
    assert (waiting.status, waiting.void) == (RefundStatus.ABNORMAL, False)
    assert await types(house, refund.id) == ["refund.abnormal"]
    house.wechat.settle(refund.number)  # a person said where the money goes
    clock.advance(timedelta(hours=7).total_seconds())
    await house.check_due_refunds()
    assert (await house.refunds(order))[0].status is RefundStatus.SUCCEEDED


async def test_a_refund_that_we_gave_up_and_that_was_paid_after_all_is_booked_and_told(
    house: House, merchant: OpenedMerchant
) -> None:
    """Money facts outrank states."""
    order = await house.paid(merchant)
    house.alipay.faults.once(ChannelFault.REJECTED, "refund")
    refund = await house.refund(merchant, order)
    house.alipay.faults.once(ChannelFault.UNKNOWN_DONE, "refund")
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(refund.account_id)
    with pytest.raises(OutcomeUnknown):
        await house.alipay.refund(access, refund.request("https://pay.example/notices"))
    await house.refund_notice(house.alipay, refund.number, refund.account_id)
    (paid,) = await house.refunds(order)
    assert paid.status is RefundStatus.SUCCEEDED
    assert await types(house, refund.id) == ["refund.failed", "refund.succeeded"]
    assert await books(house, merchant, order) == (5_964, 0, 36, 6_000)
    assert (await house.now(order)).refunded == Money(4_000)


@pytest.mark.parametrize("times", [1, 2, 30])
async def test_equal_words_in_any_order_count_once(house: House, merchant: OpenedMerchant, times: int) -> None:
    """R4: notices that race each other, and our own query between them."""
    order = await house.paid(merchant, WECHAT)
    refund = await house.refund(merchant, order)
    house.wechat.settle(refund.number)
    words = [house.refund_notice(house.wechat, refund.number, refund.account_id) for _ in range(times)]
    await asyncio.gather(*words, house.check_refund(refund))
    assert await books(house, merchant, order) == (5_964, 0, 36, 6_000)
    assert await types(house, refund.id) == ["refund.succeeded"]


async def test_a_notice_that_is_faster_than_the_refunds_answer_is_believed(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.paid(merchant)
    refund = await house.request_refund(caller(merchant), wish(order))
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(refund.account_id)
        await uow.refunds.save(replace(refund, events=()).submitted(house.clock.now()))
    answer = await house.alipay.refund(access, refund.request("https://pay.example/notices"))
    await house.refund_notice(house.alipay, refund.number, refund.account_id)
    assert (await house.refunds(order))[0].status is RefundStatus.SUCCEEDED
    done = await house.submit_refund.take(refund, access, answer, evidence="answer")
    assert done.status is RefundStatus.SUCCEEDED
    assert await books(house, merchant, order) == (5_964, 0, 36, 6_000)


async def test_a_notice_of_our_number_with_another_amount_is_for_a_person(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.paid(merchant, WECHAT)
    refund = await house.refund(merchant, order)
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(refund.account_id)
    report = RefundReport(
        number=refund.number,
        payment_number=refund.payment_number,
        state=RefundState.SUCCEEDED,
        amount=Money(1),
        channel_id="W",
    )
    headers, body = house.wechat.sign(access, None, id="n", refund=report)
    handled = await house.receive_notice(WECHAT.channel, refund.account_id, headers, body)
    assert handled.outcome is Outcome.MISMATCH
    assert (await house.refunds(order))[0].status is RefundStatus.ACCEPTED


# ── Dying in the middle ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_dies_after_the_request_leaves_it_to_the_sweep(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.paid(merchant)
    await house.request_refund(caller(merchant), wish(order))
    assert await house.check_due_refunds() == 0  # the one who asked submits at once
    clock.advance(30)
    assert await house.check_due_refunds() == 1
    assert (await house.refunds(order))[0].status is RefundStatus.SUCCEEDED


async def test_an_answer_that_could_not_be_stored_is_asked_for_again(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.paid(merchant)
    refund = await house.request_refund(caller(merchant), wish(order))
    house.database.faults.once(DatabaseFault.LOST_CONNECTION, "refunds.save")
    with pytest.raises(DatabaseUnavailable):
        await house.submit_refund(refund.id)
    clock.advance(60)
    await house.check_due_refunds()
    assert (await house.refunds(order))[0].status is RefundStatus.SUCCEEDED
    assert len(house.alipay.refunds()) == 1
