"""Refunds from request to success: once, never more than was paid, and by a second person where it takes one."""

import asyncio

import pytest

from application.confirm_attempt import Outcome
from application.open_merchant import OpenedMerchant
from domain.errors import Conflict, IllegalTransition, InProgress, NotFound
from domain.ledger import AccountKind
from domain.merchants import Caller
from domain.money import FeePlan, Money, Rate
from domain.products import RateOverride
from domain.refunds import Refund, RefundOrigin, RefundStatus
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, caller
from tests.fakes.treasury import Treasury
from tests.unit.application.refunds import ALIPAY, MD, MP, WECHAT, books, types, wish

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
