"""Refunds from request to the channel's last word: by answer, notice or query, once, under one number."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from application.confirm_attempt import Outcome
from application.open_merchant import OpenedMerchant
from domain.channels import Method, RefundReport, RefundState
from domain.errors import Conflict, DatabaseUnavailable, IllegalTransition, InProgress, NotFound, OutcomeUnknown
from domain.ledger import PLATFORM, AccountKind
from domain.merchants import Caller
from domain.money import FeePlan, Money, Rate
from domain.orders import Order
from domain.products import RateOverride
from domain.refunds import LADDER, Refund, RefundOrigin, RefundStatus, RefundWish
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeClock
from tests.fakes.database import DatabaseFault
from tests.fakes.house import House, caller
from tests.fakes.treasury import Treasury

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE
MP, MR, FI, CR, MD = (
    AccountKind.MERCHANT_PENDING,
    AccountKind.MERCHANT_REFUNDING,
    AccountKind.FEE_INCOME,
    AccountKind.CHANNEL_RECEIVABLE,
    AccountKind.MERCHANT_DEBT,
)


def wish(order: Order, amount: int = 4_000, no: str = "R-1", reason: str = "") -> RefundWish:
    return RefundWish(merchant_refund_no=no, order_id=order.id, amount=Money(amount), reason=reason)


async def books(house: House, merchant: OpenedMerchant, order: Order) -> tuple[int, int, int, int]:
    """MP, MR, FI, and what the channel holds."""
    (payment, *_) = await house.payments(order)
    owner = merchant.merchant.id
    return (
        await house.balance(MP, owner),
        await house.balance(MR, owner),
        await house.balance(FI, PLATFORM),
        -await house.balance(CR, payment.account_id),
    )


async def types(house: House, object_id: str) -> list[str]:
    """The types of an object's announced events."""
    rows = [row.event for row in house.database.tables.events.committed.values()]
    return [event.type for event in rows if event.object_id == object_id and event.announced]


# ── The straight way ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_worked_example_through_the_house(house: House, merchant: OpenedMerchant) -> None:
    order = await house.paid(merchant)
    assert await books(house, merchant, order) == (9_940, 0, 60, 10_000)
    reserved = await house.request_refund(caller(merchant), wish(order))
    assert await books(house, merchant, order) == (5_964, 4_000, 36, 10_000)
    assert ((await house.now(order)).refunding, (await house.now(order)).refunded) == (Money(4_000), Money(0))
    done = await house.submit_refund(reserved.id)
    assert (done.status, done.share) == (RefundStatus.SUCCEEDED, Money(24))
    assert await books(house, merchant, order) == (5_964, 0, 36, 6_000)
    assert ((await house.now(order)).refunding, (await house.now(order)).refunded) == (Money(0), Money(4_000))
    await house.refund(merchant, order, 6_000, "R-2")
    assert await books(house, merchant, order) == (0, 0, 0, 0)
    assert (await house.now(order)).refunded == Money(10_000)


async def test_the_worked_example_with_a_fee_that_is_kept(house: House) -> None:
    """BOOKS.md: the share is 0 where the plan keeps the fee, so the merchant bears the whole of each refund."""
    merchant = await house.merchant(fee_plan=FeePlan(Rate(6_000), kept=True))
    order = await house.paid(merchant)
    assert await books(house, merchant, order) == (9_940, 0, 60, 10_000)
    reserved = await house.request_refund(caller(merchant), wish(order))
    assert reserved.share == Money(0)
    assert await books(house, merchant, order) == (5_940, 4_000, 60, 10_000)
    await house.submit_refund(reserved.id)
    assert await books(house, merchant, order) == (5_940, 0, 60, 6_000)
    with pytest.raises(Conflict) as caught:
        await house.request_refund(caller(merchant), wish(order, 6_000, "R-2"))
    assert caught.value.code == "insufficient_balance", "the fee of 0.60 is not there to be refunded"
    await house.refund(merchant, order, 5_940, "R-3")
    assert await books(house, merchant, order) == (0, 0, 60, 60)


async def test_a_console_refund_with_a_kept_fee_leaves_the_fee_as_a_debt(house: House) -> None:
    merchant = await house.merchant(fee_plan=FeePlan(Rate(6_000), kept=True))
    order = await house.paid(merchant)
    (payment,) = await house.payments(order)
    own = house.alipay.console(payment.number, Money(10_000))
    await house.refund_notice(house.alipay, own, payment.account_id)
    assert await books(house, merchant, order) == (0, 0, 60, 0)
    assert -await house.balance(MD, merchant.merchant.id) == 60


async def test_a_later_price_does_not_change_whether_a_payments_fee_is_kept(house: House) -> None:
    merchant = await house.merchant(fee_plan=FeePlan(Rate(6_000), kept=True))
    order = await house.paid(merchant)
    async with house.database.unit_of_work() as uow:
        override = RateOverride(
            id="rov_1",
            merchant_id=merchant.merchant.id,
            method=ALIPAY,
            plan=FeePlan(Rate(6_000)),
            valid_from=house.clock.now(),
            created_at=house.clock.now(),
        )
        await uow.pricings.override(override)
    assert (await house.refund(merchant, order)).share == Money(0)
    after = await house.paid(merchant, no="A-2")
    assert (await house.refund(merchant, after, no="R-2")).share == Money(24)


async def test_accepted_is_not_succeeded(house: House, merchant: OpenedMerchant) -> None:
    """J2's other half: WeChat's 200 says only that it took the request."""
    order = await house.paid(merchant, WECHAT)
    refund = await house.refund(merchant, order)
    assert (refund.status, refund.succeeded_at) == (RefundStatus.ACCEPTED, None)
    assert await types(house, refund.id) == []
    assert (await house.now(order)).refunding == Money(4_000)
    assert (await books(house, merchant, order))[3] == 6_000  # the channel's balance is debited already
    house.wechat.settle(refund.number)
    handled = await house.refund_notice(house.wechat, refund.number, refund.account_id)
    assert (handled.outcome, handled.accepted) == (Outcome.REFUND, True)
    assert await types(house, refund.id) == ["refund.succeeded"]
    assert (await house.now(order)).refunded == Money(4_000)


async def test_a_direct_refund_reserves_nothing_and_is_booked_when_the_channel_does_it(house: House) -> None:
    merchant = await house.merchant(of_platform=False)
    order = await house.paid(merchant)
    refund = await house.request_refund(caller(merchant), wish(order))
    assert await house.transfers(refund.id) == []
    refund = await house.submit_refund(refund.id)
    booked = [(row.debit.kind, row.credit.kind, row.amount.minor) for row in await house.transfers(refund.id)]
    assert booked == [("DO", "DH", 4_000), ("FI", "SFD", 24)]


async def test_what_the_merchant_funded_is_not_taken_from_it_twice(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number, received=Money(9_000))
    await house.notice(house.alipay, attempt)
    refund = await house.refund(merchant, order, 10_000)
    assert (refund.amount, refund.debit, refund.share) == (Money(10_000), Money(9_000), Money(54))
    assert await books(house, merchant, order) == (0, 0, 0, 0)
    assert (await house.now(order)).refunded == Money(10_000)


# ── Asking twice, asking too much ────────────────────────────────────────────────────────────────────────────────────


async def test_an_equal_request_returns_the_first_and_an_unequal_one_is_refused(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.paid(merchant)
    first = await house.refund(merchant, order)
    again = await house.request_refund(caller(merchant), wish(order))
    assert (again.id, again.status) == (first.id, RefundStatus.SUCCEEDED)
    for other in (wish(order, 4_001), wish(order, reason="other")):
        with pytest.raises(Conflict) as caught:
            await house.request_refund(caller(merchant), other)
        assert caught.value.code == "merchant_refund_no_taken"
    assert len(await house.refunds(order)) == 1


async def test_fifty_equal_requests_at_once_are_one_refund(house: House, merchant: OpenedMerchant) -> None:
    order = await house.paid(merchant)
    asked = await asyncio.gather(*(house.request_refund(caller(merchant), wish(order)) for _ in range(50)))
    await asyncio.gather(*(house.submit_refund(refund.id) for refund in asked))
    assert len({refund.id for refund in asked}) == 1
    assert len(house.alipay.refunds()) == 1
    assert (await house.now(order)).refunded == Money(4_000)


async def test_many_at_once_never_give_back_more_than_was_paid(house: House, merchant: OpenedMerchant) -> None:
    order = await house.paid(merchant)
    outcomes = await asyncio.gather(
        *(house.refund(merchant, order, 3_000, f"R-{n}") for n in range(8)), return_exceptions=True
    )
    refused = [each.code for each in outcomes if isinstance(each, Conflict)]
    assert refused == ["refund_exceeds_paid"] * 5
    assert (await house.now(order)).refunded == Money(9_000)
    assert sum(report.amount.minor for report in house.alipay.refunds() if report.amount) == 9_000


async def test_one_number_for_refunds_of_two_orders_at_once_stands_for_one(
    house: House, merchant: OpenedMerchant
) -> None:
    one, other = await house.paid(merchant), await house.paid(merchant, no="A-2")
    outcomes = await asyncio.gather(
        *(house.request_refund(caller(merchant), wish(order)) for order in (one, other)), return_exceptions=True
    )
    assert sum(isinstance(each, Refund) for each in outcomes) == 1
    assert [each.code for each in outcomes if isinstance(each, Conflict)] == ["merchant_refund_no_taken"]


async def test_another_merchants_order_is_not_there(house: House, merchant: OpenedMerchant) -> None:
    order, other = await house.paid(merchant), await house.merchant()
    with pytest.raises(NotFound):
        await house.request_refund(caller(other), wish(order))
    refund = await house.refund(merchant, order)
    with pytest.raises(NotFound):
        await house.find_refund(caller(other), refund.id)
    with pytest.raises(NotFound):
        await house.find_refund.numbered(Caller(other.merchant.id, order.mode), "R-1")


async def test_without_funds_a_refund_is_refused_before_any_channel_is_asked(
    house: House, merchant: OpenedMerchant
) -> None:
    order, treasury = await house.paid(merchant), Treasury(house)
    await treasury.next_days(2)
    await treasury.settled(merchant)  # its money is released and on its way to the merchant
    with pytest.raises(Conflict) as caught:
        await house.request_refund(caller(merchant), wish(order, 10_000, "R-2"))
    assert caught.value.code == "insufficient_balance"
    assert ((await house.now(order)).refunding, len(house.alipay.refunds())) == (Money(0), 0)


async def test_what_a_console_takes_beyond_its_payment_is_a_debt_and_no_other_payments_money(
    house: House, merchant: OpenedMerchant
) -> None:
    order, _ = await house.paid(merchant), await house.paid(merchant, no="A-2")
    # 198.80 in all, 69.58 in flight; then the console takes another 60.00 of the same payment, which has 29.82 left.
    await house.request_refund(caller(merchant), wish(order, 7_000))
    (attempt,) = await house.attempts(order)
    number = house.alipay.console(attempt.number, Money(6_000))
    await house.refund_notice(house.alipay, number, attempt.account_id)
    assert await house.balance(MP, merchant.merchant.id) == 9_940
    assert -await house.balance(AccountKind.MERCHANT_DEBT, merchant.merchant.id) == 5_964 - 2_982


async def test_wechat_pays_minute_between_refunds_is_kept_for_it(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.paid(merchant, WECHAT)
    await house.refund(merchant, order, 1_000)
    with pytest.raises(InProgress) as caught:
        await house.request_refund(caller(merchant), wish(order, 1_000, "R-2"))
    assert caught.value.code == "refund_too_soon"
    clock.advance(60)
    assert (await house.refund(merchant, order, 1_000, "R-2")).status is RefundStatus.ACCEPTED


# ── What the channel says, or does not ───────────────────────────────────────────────────────────────────────────────


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


# ── Made in the channel's own console ────────────────────────────────────────────────────────────────────────────────


async def test_a_console_refund_is_a_refund_of_its_order(house: House, merchant: OpenedMerchant) -> None:
    order = await house.paid(merchant)
    (attempt,) = await house.attempts(order)
    number = house.alipay.console(attempt.number, Money(4_000))
    await house.refund_notice(house.alipay, number, attempt.account_id)
    handled = await house.refund_notice(house.alipay, number, attempt.account_id)
    assert (handled.outcome, handled.accepted) == (Outcome.KNOWN, True)
    (refund,) = await house.refunds(order)
    assert (refund.origin, refund.status, refund.share) == (RefundOrigin.CONSOLE, RefundStatus.SUCCEEDED, Money(24))
    assert await books(house, merchant, order) == (5_964, 0, 36, 6_000)
    assert (await house.now(order)).refunded == Money(4_000)
    assert await types(house, refund.id) == ["refund.succeeded"]


async def test_a_console_refund_beyond_the_balance_is_a_debt_and_no_balance_goes_below_zero(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.paid(merchant)
    await house.request_refund(caller(merchant), wish(order, 7_000))  # in flight: 29.82 are left
    (attempt,) = await house.attempts(order)
    number = house.alipay.console(attempt.number, Money(6_000))
    await house.refund_notice(house.alipay, number, attempt.account_id)
    owner = merchant.merchant.id
    assert (await house.balance(MP, owner), -await house.balance(MD, owner)) == (0, 2_982)
    now = await house.now(order)
    assert (now.refunding, now.refunded) == (Money(7_000), Money(3_000))  # as much as can be, until ours fails
    (ours, console) = sorted(await house.refunds(order), key=lambda refund: refund.origin != "merchant")
    assert (await house.submit_refund(ours.id)).status is RefundStatus.FAILED
    now = await house.now(order)
    assert (now.refunding, now.refunded, console.debit) == (Money(0), Money(6_000), Money(6_000))


async def test_a_refund_notice_before_its_payments_notice_is_not_taken_and_comes_again(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, WECHAT)
    house.wechat.pay(attempt.number)
    number = house.wechat.console(attempt.number, Money(4_000))
    house.wechat.settle(number)
    handled = await house.refund_notice(house.wechat, number, attempt.account_id)
    assert (handled.outcome, handled.accepted) == (Outcome.EARLY, False)
    await house.notice(house.wechat, attempt)
    handled = await house.refund_notice(house.wechat, number, attempt.account_id)
    assert (handled.outcome, handled.accepted) == (Outcome.REFUND, True)
    assert await books(house, merchant, order) == (5_964, 0, 36, 6_000)


async def test_one_notice_may_bring_the_payment_and_its_refund(house: House, merchant: OpenedMerchant) -> None:
    """Alipay's notices of refunds carry the whole trade."""
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number)
    house.alipay.console(attempt.number, Money(4_000))
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
    report = await house.alipay.query(access, attempt.number)
    refund = replace(house.alipay.refunds()[0], amount=None, payment_refunded=Money(4_000))
    headers, body = house.alipay.sign(access, report, id="n", refund=refund)
    handled = await house.receive_notice(ALIPAY.channel, attempt.account_id, headers, body)
    assert (handled.outcome, handled.accepted) == (Outcome.CONFIRMED, True)
    assert await books(house, merchant, order) == (5_964, 0, 36, 6_000)


async def test_alipays_running_total_tells_the_console_refund_from_ours(house: House, merchant: OpenedMerchant) -> None:
    order = await house.paid(merchant)
    await house.refund(merchant, order, 1_000)
    (attempt,) = await house.attempts(order)
    house.alipay.console(attempt.number, Money(4_000))
    report = replace(house.alipay.refunds()[1], amount=None, payment_refunded=Money(5_000))
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
        confirmation = await house.confirm_refund(uow, access, report, evidence="notice:1")
    assert confirmation.outcome is Outcome.REFUND
    assert [refund.amount.minor for refund in await house.refunds(order)] == [1_000, 4_000]


async def test_a_running_total_is_not_read_while_a_refund_of_ours_is_open(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.paid(merchant)
    house.alipay.faults.once(ChannelFault.UNKNOWN_DONE, "refund")
    await house.refund(merchant, order, 1_000)
    (attempt,) = await house.attempts(order)
    report = RefundReport(
        number=None,
        payment_number=attempt.number,
        state=RefundState.SUCCEEDED,
        payment_refunded=Money(5_000),
        channel_id="console-1",
    )
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
        confirmation = await house.confirm_refund(uow, access, report, evidence="notice:1")
    assert confirmation.outcome is Outcome.EARLY
    assert len(await house.refunds(order)) == 1


async def test_a_refund_of_a_number_that_was_never_ours_is_a_merchants_own(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.paid(merchant)
    (attempt,) = await house.attempts(order)
    report = RefundReport(
        number="X-1", payment_number="X", state=RefundState.SUCCEEDED, amount=Money(1), channel_id="X-1"
    )
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
        confirmation = await house.confirm_refund(uow, access, report, evidence="notice:1")
    assert confirmation.outcome is Outcome.NOTHING


# ── A second person ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_refund_that_waits_for_approval_is_reserved_and_goes_nowhere(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.paid(merchant)
    refund = await house.request_refund(caller(merchant), wish(order), origin=RefundOrigin.OPERATOR, approval=True)
    assert refund.status is RefundStatus.AWAITING_APPROVAL
    assert (await house.submit_refund(refund.id)).status is RefundStatus.AWAITING_APPROVAL
    clock.advance(1_000_000)
    assert await house.check_due_refunds() == 0
    assert house.alipay.refunds() == []
    assert (await house.now(order)).refunding == Money(4_000)


async def test_a_rejected_refund_frees_what_it_had_reserved(house: House, merchant: OpenedMerchant) -> None:
    order = await house.paid(merchant)
    refund = await house.request_refund(caller(merchant), wish(order), approval=True)
    async with house.database.unit_of_work() as uow:
        await house.confirm_refund.reject(uow, refund.id, "not this one")
    assert await books(house, merchant, order) == (9_940, 0, 60, 10_000)
    assert await types(house, refund.id) == ["refund.rejected"]
    with pytest.raises(IllegalTransition):
        async with house.database.unit_of_work() as uow:
            await house.confirm_refund.reject(uow, refund.id, "again")
