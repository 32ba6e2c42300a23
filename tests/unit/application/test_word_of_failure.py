"""A channel's word of failure ends an attempt and nothing else: the order may be paid, and money outranks the word."""

from application.confirm_attempt import Outcome
from application.open_merchant import OpenedMerchant
from application.receive_notice import NoticeHandled
from domain.attempts import Attempt, AttemptStatus
from domain.channels import ChannelReport, ChannelState, Method
from domain.ledger import PLATFORM, AccountKind
from domain.orders import Order, OrderStatus
from tests.fakes.house import House, caller

WECHAT = Method.WECHAT_NATIVE


async def told_failed(house: House, attempt: Attempt, id: str) -> NoticeHandled:
    """WeChat Pay says, rightly signed, that the payment under this number has failed."""
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
    report = ChannelReport(attempt.number, ChannelState.FAILED, detail="PAYERROR")
    headers, body = house.wechat.sign(access, report, id=id)
    return await house.receive_notice(WECHAT.channel, attempt.account_id, headers, body)


async def failed(house: House, merchant: OpenedMerchant) -> tuple[Order, Attempt]:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, WECHAT)
    assert (await told_failed(house, attempt, "n-1")).outcome is Outcome.CLOSED
    (ended,) = await house.attempts(order)
    assert (ended.status, ended.next_at) == (AttemptStatus.FAILED, None)
    return order, ended


async def test_a_failure_that_is_told_ends_its_attempt_once_and_the_order_may_be_paid(
    house: House, merchant: OpenedMerchant
) -> None:
    """D8: taken, taken again without harm, and the payer pays with the next attempt."""
    order, ended = await failed(house, merchant)
    again = await told_failed(house, ended, "n-2")
    assert (again.accepted, again.outcome) == (True, Outcome.NOTHING)
    assert (await house.now(order)).status is OrderStatus.PENDING
    second = await house.start_attempt(caller(merchant), order.id, WECHAT)
    assert second.number != ended.number
    house.wechat.pay(second.number)
    await house.notice(house.wechat, second)
    assert (await house.now(order)).status is OrderStatus.PAID


async def test_money_that_comes_after_a_failure_was_told_pays_the_order(house: House, merchant: OpenedMerchant) -> None:
    """D2: the success is not dropped because something before it had said failed."""
    order, ended = await failed(house, merchant)
    house.wechat.pay(ended.number)
    assert (await house.notice(house.wechat, ended)).outcome is Outcome.CONFIRMED
    assert (await house.now(order)).status is OrderStatus.PAID
    assert [one.status for one in await house.attempts(order)] == [AttemptStatus.SUCCEEDED]
    assert await house.balance(AccountKind.MERCHANT_PENDING, merchant.merchant.id) == 9_940
    assert await house.balance(AccountKind.FEE_INCOME, PLATFORM) == 60


async def test_a_failure_that_is_told_after_the_money_changes_nothing(house: House, merchant: OpenedMerchant) -> None:
    """D8: paid stays paid."""
    order = await house.paid(merchant, WECHAT)
    (attempt,) = await house.attempts(order)
    handled = await told_failed(house, attempt, "n-9")
    assert (handled.accepted, handled.outcome) == (True, Outcome.NOTHING)
    assert (await house.now(order)).status is OrderStatus.PAID
    assert [one.status for one in await house.attempts(order)] == [AttemptStatus.SUCCEEDED]
