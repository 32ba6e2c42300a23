"""Every way a payment can end: one state, every fen booked, the merchant told the truth, the payer's money back."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from application.confirm_attempt import Outcome
from application.open_merchant import OpenedMerchant
from domain.attempts import Attempt, AttemptStatus
from domain.channels import ChannelReport, ChannelState, Method, RefundState
from domain.events import Event
from domain.ledger import PLATFORM, AccountKind
from domain.merchants import LatePayment
from domain.money import Money
from domain.orders import Order, OrderStatus
from domain.payments import SuspenseItem, SuspenseStatus
from domain.refunds import LADDER, RefundOrigin, RefundStatus
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, caller
from tests.fakes.promises import FakePromises

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE
SUS, CR, MP = AccountKind.SUSPENSE, AccountKind.CHANNEL_RECEIVABLE, AccountKind.MERCHANT_PENDING


def announced(house: House) -> list[Event]:
    rows = house.database.tables.events.committed.values()
    return [row.event for row in rows if row.event.announced]


def items(house: House) -> list[SuspenseItem]:
    return list(house.database.tables.suspense.committed.values())


async def late(house: House, merchant: OpenedMerchant) -> tuple[Order, Attempt]:
    """An Alipay code that nobody had scanned, paid after the merchant closed its order."""
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    order = await house.close_order(order.id, "merchant")
    house.alipay.pay(attempt.number)
    return order, attempt


async def twice(house: House, merchant: OpenedMerchant) -> tuple[Order, Attempt]:
    """Paid by WeChat Pay, and then by the Alipay code that was shown before."""
    order = await house.order(merchant)
    first = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    second = await house.start_attempt(caller(merchant), order.id, WECHAT)
    house.wechat.pay(second.number)
    await house.notice(house.wechat, second)
    house.alipay.pay(first.number)
    return order, first


async def test_a_late_success_is_held_told_and_refunded_by_itself(house: House, merchant: OpenedMerchant) -> None:
    """J1, D1: neither dropped nor told as paid: the merchant hears the truth, and the payer has the money back."""
    order, attempt = await late(house, merchant)
    handled = await house.notice(house.alipay, attempt)
    assert handled.outcome is Outcome.HELD
    assert (await house.now(order)).status is OrderStatus.CLOSED
    assert await house.balance(SUS, attempt.account_id) == 10_000
    assert await house.check_due_refunds() == 1
    (item,), (refund,) = items(house), await house.refunds(order)
    assert (item.status, refund.status) == (SuspenseStatus.REFUNDED, RefundStatus.SUCCEEDED)
    assert (refund.origin, refund.amount, refund.share) == (RefundOrigin.SUSPENSE, Money(10_000), Money(0))
    for kind in (SUS, CR):
        assert await house.balance(kind, attempt.account_id) == 0
    assert await house.balance(MP, merchant.merchant.id) == 0
    assert [event.type for event in announced(house)] == ["order.closed", "order.paid_late", "refund.succeeded"]
    told = announced(house)[1].data
    assert (told["status"], told["paid_amount"], told["payment"]["amount"]) == ("closed", 0, 10_000)
    now = await house.now(order)
    assert (now.refunding, now.refunded) == (Money(0), Money(0))


async def test_a_late_success_pays_the_order_where_the_merchant_accepts_it(house: House) -> None:
    """J1: the row says paid, and then the merchant hears of it; it can be refunded like any other."""
    merchant = await house.merchant(late_payment=LatePayment.ACCEPT)
    order, attempt = await late(house, merchant)
    await house.notice(house.alipay, attempt)
    assert (await house.now(order)).status is OrderStatus.PAID
    assert [event.type for event in announced(house)] == ["order.closed", "order.paid"]
    assert (await house.refund(merchant, order)).status is RefundStatus.SUCCEEDED


async def test_a_success_that_was_paid_in_time_and_told_after_the_expiry_pays(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    """D1: what counts is what the channel says, not when the notice arrives."""
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, WECHAT)
    house.wechat.pay(attempt.number)
    clock.advance(1_801)
    await house.notice(house.wechat, attempt)
    assert (await house.now(order)).status is OrderStatus.PAID


async def test_a_second_payment_is_held_told_and_refunded_by_itself(house: House, merchant: OpenedMerchant) -> None:
    order, attempt = await twice(house, merchant)
    await house.notice(house.alipay, attempt)
    await house.check_due_refunds()
    (refund,) = await house.refunds(order)
    assert (refund.status, refund.account_id) == (RefundStatus.SUCCEEDED, attempt.account_id)
    assert await house.balance(SUS, attempt.account_id) == await house.balance(CR, attempt.account_id) == 0
    assert await house.balance(MP, merchant.merchant.id) == 9_940
    assert [event.type for event in announced(house)] == ["order.paid", "order.paid_twice", "refund.succeeded"]
    now = await house.now(order)
    assert (now.status, now.paid, now.refunding, now.refunded) == (OrderStatus.PAID, Money(10_000), Money(0), Money(0))


async def test_the_payment_that_counts_can_be_refunded_whole_although_the_second_one_was(
    house: House, merchant: OpenedMerchant
) -> None:
    order, attempt = await twice(house, merchant)
    await house.notice(house.alipay, attempt)
    await house.check_due_refunds()
    refund = await house.refund(merchant, order, 10_000)
    assert (refund.status, refund.account_id != attempt.account_id) == (RefundStatus.ACCEPTED, True)


async def test_a_second_direct_payment_goes_back_without_a_fee(house: House) -> None:
    merchant = await house.merchant(of_platform=False)
    order, attempt = await twice(house, merchant)
    await house.notice(house.alipay, attempt)
    await house.check_due_refunds()
    (refund,) = await house.refunds(order)
    booked = [(row.debit.kind, row.credit.kind, row.amount.minor) for row in await house.transfers(refund.id)]
    assert booked == [("DO", "DH", 10_000)]


@pytest.mark.parametrize("ending", [late, twice])
async def test_money_that_cannot_go_back_waits_for_a_person(
    house: House, merchant: OpenedMerchant, ending: Callable[..., object]
) -> None:
    order, attempt = await ending(house, merchant)  # type: ignore[misc]
    await house.notice(house.alipay, attempt)
    house.alipay.faults.once(ChannelFault.REJECTED, "refund")
    await house.check_due_refunds()
    (item,), (refund,) = items(house), await house.refunds(order)
    assert (item.status, refund.status) == (SuspenseStatus.OPEN, RefundStatus.FAILED)
    assert await house.balance(SUS, attempt.account_id) == 10_000


async def test_an_unknown_refund_of_held_money_keeps_its_item_until_the_channel_tells(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order, attempt = await late(house, merchant)
    await house.notice(house.alipay, attempt)
    house.alipay.faults.once(ChannelFault.UNKNOWN_DONE, "refund")
    await house.check_due_refunds()
    assert items(house)[0].status is SuspenseStatus.REFUNDING
    clock.advance(LADDER[1])
    await house.check_due_refunds()
    assert items(house)[0].status is SuspenseStatus.REFUNDED
    assert len(house.alipay.refunds()) == 1
    assert (await house.refunds(order))[0].status is RefundStatus.SUCCEEDED


async def test_a_wrong_amount_is_held_for_a_person_and_told(house: House, merchant: OpenedMerchant) -> None:
    """D3, R2: the amount is compared, by notice and by query alike."""
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number, total=Money(9_999))
    await house.notice(house.alipay, attempt)
    assert (await house.now(order)).status is OrderStatus.PENDING
    assert [event.type for event in announced(house)] == ["order.paid_amiss"]
    assert (items(house)[0].status, await house.check_due_refunds()) == (SuspenseStatus.OPEN, 0)
    assert await house.balance(SUS, attempt.account_id) == 9_999


async def test_a_success_for_an_unknown_number_is_held_for_a_person(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    receipt = house.alipay.pay(attempt.number)
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
    stranger = replace(receipt, number="X-1", transaction_id="T-X")
    report = ChannelReport("X-1", ChannelState.PAID, receipt=stranger)
    headers, body = house.alipay.sign(access, report, id="n-x")
    handled = await house.receive_notice(ALIPAY.channel, attempt.account_id, headers, body)
    assert (handled.outcome, announced(house)) == (Outcome.HELD, [])
    assert items(house)[0].status is SuspenseStatus.OPEN


async def test_held_money_that_somebody_refunds_in_the_console_has_left_suspense(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number, total=Money(9_999))
    await house.notice(house.alipay, attempt)
    number = house.alipay.console(attempt.number, Money(9_999))
    handled = await house.refund_notice(house.alipay, number, attempt.account_id)
    assert (handled.outcome, items(house)[0].status) == (Outcome.REFUND, SuspenseStatus.REFUNDED)
    assert await house.balance(SUS, attempt.account_id) == await house.balance(CR, attempt.account_id) == 0
    assert (await house.now(order)).refunded == Money(0)


async def test_held_money_is_refunded_in_the_console_part_by_part(house: House, merchant: OpenedMerchant) -> None:
    """Money facts outrank states: what the channel has given back is not held any more, and the rest is."""
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number, total=Money(9_999))
    await house.notice(house.alipay, attempt)
    for part, left, status in ((4_000, 5_999, SuspenseStatus.OPEN), (5_999, 0, SuspenseStatus.REFUNDED)):
        number = house.alipay.console(attempt.number, Money(part))
        handled = await house.refund_notice(house.alipay, number, attempt.account_id)
        assert (handled.outcome, items(house)[0].status) == (Outcome.REFUND, status)
        assert await house.balance(SUS, attempt.account_id) == -await house.balance(CR, attempt.account_id) == left
        assert await FakePromises(house.database.tables, house.clock).broken() == []


async def test_a_part_that_the_channel_gives_up_is_held_again(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, Method.WECHAT_NATIVE)
    house.wechat.pay(attempt.number, total=Money(9_999))
    await house.notice(house.wechat, attempt)
    number = ""
    for part, status in ((4_000, SuspenseStatus.OPEN), (5_999, SuspenseStatus.REFUNDING)):
        number = house.wechat.console(attempt.number, Money(part))
        await house.refund_notice(house.wechat, number, attempt.account_id)
        assert items(house)[0].status is status
    house.wechat.settle(number, RefundState.CLOSED)
    await house.refund_notice(house.wechat, number, attempt.account_id)
    assert items(house)[0].status is SuspenseStatus.OPEN
    assert await house.balance(SUS, attempt.account_id) == 5_999
    assert await FakePromises(house.database.tables, house.clock).broken() == []


async def test_ours_is_refused_when_the_console_took_a_part_first_and_the_rest_waits(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.paid(merchant)
    second = await house.start_attempt(caller(merchant), (await house.order(merchant, "A-2")).id, ALIPAY)
    await house.close_order(second.order_id, "merchant")
    house.alipay.pay(second.number)  # late: it goes back by itself
    await house.notice(house.alipay, second)
    number = house.alipay.console(second.number, Money(4_000))
    handled = await house.refund_notice(house.alipay, number, second.account_id)
    assert (handled.outcome, items(house)[0].status) == (Outcome.REFUND, SuspenseStatus.REFUNDING)
    await house.check_due_refunds()
    assert items(house)[0].status is SuspenseStatus.OPEN
    assert await house.balance(SUS, second.account_id) == 6_000
    assert (await house.now(order)).refunded == Money(0)
    assert await FakePromises(house.database.tables, house.clock).broken() == []


async def test_a_success_told_again_after_a_partial_refund_changes_nothing(
    house: House, merchant: OpenedMerchant
) -> None:
    """TRADE_SUCCESS comes again with each partial refund."""
    order = await house.paid(merchant)
    await house.refund(merchant, order)
    (attempt,) = await house.attempts(order)
    handled = await house.notice(house.alipay, attempt)
    assert (handled.outcome, (await house.now(order)).refunded) == (Outcome.KNOWN, Money(4_000))


async def test_a_trade_that_is_closed_after_its_full_refund_stays_paid_and_refunded(
    house: House, merchant: OpenedMerchant
) -> None:
    """TRADE_CLOSED is also what Alipay says of a trade that was refunded whole."""
    order = await house.paid(merchant)
    await house.refund(merchant, order, 10_000)
    (attempt,) = await house.attempts(order)
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
    headers, body = house.alipay.sign(access, ChannelReport(attempt.number, ChannelState.CLOSED), id="n-closed")
    handled = await house.receive_notice(ALIPAY.channel, attempt.account_id, headers, body)
    assert handled.outcome is Outcome.NOTHING
    now = await house.now(order)
    assert (now.status, now.paid, now.refunded) == (OrderStatus.PAID, Money(10_000), Money(10_000))
    assert (await house.attempts(order))[0].status is AttemptStatus.SUCCEEDED


async def test_a_payer_who_has_only_scanned_changes_nothing(house: House, merchant: OpenedMerchant) -> None:
    """WAIT_BUYER_PAY."""
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.scan(attempt.number)
    handled = await house.notice(house.alipay, attempt)
    assert (handled.accepted, (await house.now(order)).status) == (True, OrderStatus.PENDING)


async def test_a_repeated_success_is_answered_with_success(house: House, merchant: OpenedMerchant) -> None:
    """R3: a duplicate is no error, or the channel never stops."""
    order = await house.paid(merchant)
    (attempt,) = await house.attempts(order)
    assert [(await house.notice(house.alipay, attempt)).accepted for _ in range(3)] == [True] * 3
    assert await house.balance(MP, merchant.merchant.id) == 9_940
    assert await house.balance(AccountKind.FEE_INCOME, PLATFORM) == 60
