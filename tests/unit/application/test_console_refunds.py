"""Refunds that were made in the channel's own console: of their orders, told apart from ours, and a debt at worst."""

from dataclasses import replace

from application.confirm_attempt import Outcome
from application.open_merchant import OpenedMerchant
from domain.channels import RefundReport, RefundState
from domain.money import Money
from domain.refunds import RefundOrigin, RefundStatus
from tests.fakes.channel import ChannelFault
from tests.fakes.house import House, caller
from tests.unit.application.refunds import ALIPAY, MD, MP, WECHAT, books, types, wish


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


async def test_what_would_give_back_more_than_came_is_for_a_person(house: House, merchant: OpenedMerchant) -> None:
    order = await house.paid(merchant)
    (attempt,) = await house.attempts(order)
    outcomes = []
    for number in ("console-1", "console-2"):
        report = RefundReport(
            number=number,
            payment_number=attempt.number,
            state=RefundState.SUCCEEDED,
            amount=Money(6_000),
            channel_id=number,
        )
        async with house.database.unit_of_work() as uow:
            access = await uow.accounts.access(attempt.account_id)
            outcomes.append((await house.confirm_refund(uow, access, report, evidence="notice:1")).outcome)
    assert outcomes == [Outcome.REFUND, Outcome.MISMATCH]
    assert [refund.amount.minor for refund in await house.refunds(order)] == [6_000]
    assert await books(house, merchant, order) == (3_976, 0, 24, 4_000)


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
