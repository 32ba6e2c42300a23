"""Money that arrives: by notice or by query, in time or late, once or twice, right or wrong; every fen is booked."""

import asyncio
from dataclasses import replace

import pytest

from application.confirm_attempt import Outcome
from application.open_merchant import OpenedMerchant
from domain.attempts import AttemptStatus
from domain.bookkeeping import BASIC
from domain.channels import Channel, ChannelReport, ChannelState, Method, Mode
from domain.errors import ChannelUnavailable, DatabaseUnavailable, NotFound, OutcomeUnknown
from domain.ledger import PLATFORM, Account, AccountKind
from domain.merchants import LatePayment
from domain.money import CNY, Money
from domain.orders import OrderStatus
from domain.payments import Unattributed
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeClock
from tests.fakes.database import DatabaseFault
from tests.fakes.house import House, caller

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE


async def balance(house: House, kind: AccountKind, owner: str, fund: str = "") -> int:
    async with house.database.unit_of_work() as uow:
        return await uow.ledger.balance(Account(kind, owner, Mode.TEST, CNY, fund))


@pytest.mark.parametrize("method", [ALIPAY, WECHAT])
async def test_a_verified_notice_pays_the_order_and_books_exactly_the_two_transfers(
    house: House, merchant: OpenedMerchant, method: Method
) -> None:
    order = await house.paid(merchant, method)
    assert (order.status, order.paid, order.paid_method) == (OrderStatus.PAID, Money(10_000), method)
    (payment,) = await house.payments(order)
    receivable = Account(AccountKind.CHANNEL_RECEIVABLE, payment.account_id, Mode.TEST, CNY, BASIC)
    pending = Account(AccountKind.MERCHANT_PENDING, merchant.merchant.id, Mode.TEST, CNY)
    income = Account(AccountKind.FEE_INCOME, PLATFORM, Mode.TEST, CNY)
    booked = [(row.debit, row.credit, row.amount.minor) for row in await house.transfers(payment.id)]
    assert booked == [(receivable, pending, 9_940), (receivable, income, 60)]


async def test_direct_money_is_a_memorandum_and_our_fee_is_owed(house: House) -> None:
    merchant = await house.merchant(of_platform=False)
    order = await house.paid(merchant)
    (payment,) = await house.payments(order)
    booked = [(row.debit.kind, row.credit.kind, row.amount.minor) for row in await house.transfers(payment.id)]
    assert booked == [("DH", "DO", 10_000), ("SFD", "FI", 60)]


async def test_fifty_equal_notices_at_once_count_once_and_are_all_answered(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number)
    handled = await asyncio.gather(*(house.notice(house.alipay, attempt) for _ in range(50)))
    assert {notice.accepted for notice in handled} == {True}
    assert sorted(notice.outcome for notice in handled) == ["confirmed"] + ["known"] * 49
    assert await balance(house, AccountKind.MERCHANT_PENDING, merchant.merchant.id) == 9_940


async def test_notice_poll_close_and_expiry_at_once_end_in_one_payment(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant, expires_in=60)
    attempt = await house.start_attempt(caller(merchant), order.id, WECHAT)
    house.wechat.pay(attempt.number)
    clock.advance(61)
    await asyncio.gather(
        house.notice(house.wechat, attempt),
        house.check_due_attempts(),
        house.expire_orders(),
        house.close_order(order.id, "merchant"),
        return_exceptions=True,
    )
    assert (await house.now(order)).status is OrderStatus.PAID
    assert len(await house.payments(order)) == 1
    assert await balance(house, AccountKind.MERCHANT_PENDING, merchant.merchant.id) == 9_940


async def test_a_forged_notice_changes_nothing(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number)
    headers, body = house.alipay.notice(attempt.number)
    for forged_headers, forged_body in (
        ({}, body),
        ({"fake-signature": "0" * 64}, body),
        (headers, body.replace(b"10000", b"10001")),
    ):
        handled = await house.receive_notice(Channel.ALIPAY, attempt.account_id, forged_headers, forged_body)
        assert not handled.accepted
    assert (await house.now(order)).status is OrderStatus.PENDING
    assert await house.payments(order) == []


async def test_a_notice_to_nobodys_or_the_other_channels_address_is_not_found(
    house: House, merchant: OpenedMerchant
) -> None:
    for channel, account_id in ((Channel.ALIPAY, "cha_none"), (Channel.WECHAT, merchant.account_ids[0])):
        with pytest.raises(NotFound):
            await house.receive_notice(channel, account_id, {}, b"")


async def test_another_accounts_signature_does_not_open_this_address(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number)
    headers, body = house.alipay.notice(attempt.number)
    other = await house.merchant(of_platform=False)
    assert not (await house.receive_notice(Channel.ALIPAY, other.account_ids[0], headers, body)).accepted


@pytest.mark.parametrize("change", [{"app_id": "app-other"}, {"payee": "payee-other"}])
async def test_a_signed_notice_about_another_app_or_payee_is_recorded_and_books_nothing(
    house: House, merchant: OpenedMerchant, change: dict[str, str]
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    receipt = replace(house.alipay.pay(attempt.number), **change)  # type: ignore[arg-type]
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
    headers, body = house.alipay.sign(access, ChannelReport(attempt.number, ChannelState.PAID, receipt), id="n-1")
    handled = await house.receive_notice(Channel.ALIPAY, attempt.account_id, headers, body)
    assert (handled.accepted, handled.outcome) == (True, Outcome.MISMATCH)
    assert (await house.now(order)).status is OrderStatus.PENDING
    assert await house.payments(order) == []


async def test_a_number_of_another_account_is_as_unknown_as_nobodys(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    other = await house.merchant(of_platform=False)
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(other.account_ids[0])
    report = ChannelReport(attempt.number, ChannelState.PAID, house.alipay.pay(attempt.number))
    headers, body = house.alipay.sign(access, report, id="n-1")
    handled = await house.receive_notice(Channel.ALIPAY, access.account.id, headers, body)
    assert (handled.accepted, handled.outcome) == (True, Outcome.HELD)
    assert (await house.now(order)).status is OrderStatus.PENDING
    assert await house.payments(order) == []


async def test_a_notice_is_kept_as_it_came_with_what_became_of_it(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number)
    _, body = house.alipay.notice(attempt.number)
    for _ in range(2):
        await house.notice(house.alipay, attempt)
    (kept,) = house.database.tables.notices.committed.values()
    assert (kept.account_id, kept.body, kept.outcome) == (attempt.account_id, body, Outcome.CONFIRMED)


async def test_a_payment_names_the_notice_or_the_query_that_it_rests_on(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    noticed = await house.paid(merchant)
    asked = await house.order(merchant, "A-2")
    attempt = await house.start_attempt(caller(merchant), asked.id, WECHAT)
    house.wechat.pay(attempt.number)
    clock.advance(5)
    await house.check_due_attempts()
    (by_notice,), (by_query,) = await house.payments(noticed), await house.payments(asked)
    (notice,) = house.database.tables.notices.committed.values()
    assert by_notice.evidence == f"notice:{notice.notice.id}"
    assert by_query.evidence == f"query:{attempt.id}"


async def held(house: House, merchant: OpenedMerchant, reason: Unattributed, amount: int) -> None:
    """The money stands in suspense, and nothing of it with the merchant."""
    async with house.database.unit_of_work() as uow:
        account_id = merchant.account_ids[0]
        assert await uow.ledger.balance(Account(AccountKind.SUSPENSE, account_id, Mode.TEST, CNY)) == amount
    assert await balance(house, AccountKind.CHANNEL_RECEIVABLE, account_id, BASIC) < 0
    (item,) = house.database.tables.suspense.committed.values()
    assert (item.reason, item.amount) == (reason, Money(amount))


async def test_a_wrong_amount_is_held_and_pays_nothing(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number, total=Money(1))
    handled = await house.notice(house.alipay, attempt)
    assert (handled.accepted, handled.outcome) == (True, Outcome.HELD)
    assert (await house.now(order)).status is OrderStatus.PENDING
    await held(house, merchant, Unattributed.WRONG_AMOUNT, 1)


async def test_money_for_a_closed_order_is_held_by_default(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    await house.close_order(order.id, "merchant")
    house.alipay.pay(attempt.number)  # the code on paper was never scanned, so Alipay could not close it
    await house.notice(house.alipay, attempt)
    assert (await house.now(order)).status is OrderStatus.CLOSED
    await held(house, merchant, Unattributed.LATE, 10_000)


async def test_money_for_a_closed_order_is_found_although_every_notice_is_lost(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    await house.close_order(order.id, "merchant")  # nobody scanned the code: Alipay has nothing to close
    house.alipay.pay(attempt.number)
    clock.advance(10)
    assert await house.check_due_attempts() == 1
    assert (await house.now(order)).status is OrderStatus.CLOSED
    await held(house, merchant, Unattributed.LATE, 10_000)


async def test_the_code_of_a_closed_order_is_asked_about_until_its_expiry_and_no_longer(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant)
    await house.start_attempt(caller(merchant), order.id, ALIPAY)
    await house.close_order(order.id, "merchant")
    clock.advance(1_801)
    await house.check_due_attempts()
    (attempt,) = await house.attempts(order)
    assert (attempt.status, attempt.next_at) == (AttemptStatus.CLOSED, None)


async def test_money_for_a_closed_order_pays_it_where_the_merchant_accepts_that(house: House) -> None:
    merchant = await house.merchant(late_payment=LatePayment.ACCEPT)
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    await house.close_order(order.id, "merchant")
    house.alipay.pay(attempt.number)
    await house.notice(house.alipay, attempt)
    paid = await house.now(order)
    assert paid.status is OrderStatus.PAID
    assert await balance(house, AccountKind.MERCHANT_PENDING, merchant.merchant.id) == 9_940


async def test_a_second_payment_of_one_order_is_held(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    first = await house.start_attempt(caller(merchant), order.id, ALIPAY)  # shown, not scanned: cannot be closed
    second = await house.start_attempt(caller(merchant), order.id, WECHAT)
    for channel, attempt in ((house.wechat, second), (house.alipay, first)):
        channel.pay(attempt.number)
        await house.notice(channel, attempt)
    assert (await house.now(order)).paid_method is WECHAT
    await held(house, merchant, Unattributed.SECOND, 10_000)
    assert [attempt.status for attempt in await house.attempts(order)] == [AttemptStatus.SUCCEEDED] * 2


async def test_money_for_a_number_we_do_not_know_is_held(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    receipt = replace(house.alipay.pay(attempt.number), number="NOBODYS")
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
    headers, body = house.alipay.sign(access, ChannelReport("NOBODYS", ChannelState.PAID, receipt), id="n-1")
    together = [house.receive_notice(Channel.ALIPAY, attempt.account_id, headers, body) for _ in range(5)]
    assert {handled.accepted for handled in await asyncio.gather(*together)} == {True}
    assert (await house.now(order)).status is OrderStatus.PENDING
    await held(house, merchant, Unattributed.UNKNOWN_NUMBER, 10_000)


async def test_the_books_use_what_was_received(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number, received=Money(9_000))  # the merchant funds a discount of 10.00
    await house.notice(house.alipay, attempt)
    assert (await house.now(order)).status is OrderStatus.PAID
    assert await balance(house, AccountKind.MERCHANT_PENDING, merchant.merchant.id) == 9_000 - 54


@pytest.mark.parametrize("fault", list(DatabaseFault))
async def test_a_notice_is_answered_with_success_only_after_the_commit(
    house: House, merchant: OpenedMerchant, fault: DatabaseFault
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number)
    house.database.faults.once(fault, at="notices.add")
    with pytest.raises((DatabaseUnavailable, OutcomeUnknown)):
        await house.notice(house.alipay, attempt)
    assert (await house.notice(house.alipay, attempt)).accepted, "the channel sends it again"
    assert len(await house.payments(order)) == 1


async def test_a_poll_finds_what_no_notice_told(house: House, merchant: OpenedMerchant, clock: FakeClock) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number)
    assert await house.check_due_attempts() == 0, "not yet due"
    clock.advance(5)
    assert await house.check_due_attempts() == 1
    assert (await house.now(order)).status is OrderStatus.PAID
    clock.advance(3_600)
    assert await house.check_due_attempts() == 0, "a settled attempt is asked about no more"


@pytest.mark.parametrize("fault", [ChannelFault.UNAVAILABLE, ChannelFault.UNKNOWN_DONE])
async def test_a_poll_without_an_answer_changes_nothing_and_comes_again(
    house: House, merchant: OpenedMerchant, clock: FakeClock, fault: ChannelFault
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number)
    house.alipay.faults.once(fault, at="query")
    clock.advance(5)
    await house.check_due_attempts()
    (unsettled,) = await house.attempts(order)
    assert unsettled.status is AttemptStatus.PENDING
    clock.advance(10)
    await house.check_due_attempts()
    assert (await house.now(order)).status is OrderStatus.PAID


async def test_one_broken_channel_does_not_cost_the_others_their_poll(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    orders = [await house.order(merchant, no) for no in ("A-1", "A-2")]
    broken = await house.start_attempt(caller(merchant), orders[0].id, ALIPAY)
    good = await house.start_attempt(caller(merchant), orders[1].id, WECHAT)
    house.alipay.pay(broken.number)
    house.wechat.pay(good.number)
    house.alipay.faults.always = ChannelFault.UNAVAILABLE
    clock.advance(5)
    await house.check_due_attempts()
    assert [(await house.now(order)).status for order in orders] == [OrderStatus.PENDING, OrderStatus.PAID]


async def test_a_number_absent_after_its_expiry_is_closed(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant, expires_in=60)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    assert (await house.check_attempt(attempt)).state is ChannelState.ABSENT
    clock.advance(60)
    assert (await house.check_attempt(attempt)).state is ChannelState.CLOSED
    (closed,) = await house.attempts(order)
    assert (closed.status, closed.next_at) == (AttemptStatus.CLOSED, None)


async def test_a_crash_right_after_the_intent_is_healed_by_the_poll(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant, expires_in=60)
    house.wechat.faults.once(ChannelFault.UNAVAILABLE, at="open")
    with pytest.raises(ChannelUnavailable):
        await house.start_attempt(caller(merchant), order.id, WECHAT)
    clock.advance(66)
    await house.check_due_attempts()
    (attempt,) = await house.attempts(order)
    assert attempt.status is AttemptStatus.CLOSED
    await house.expire_orders()
    assert (await house.now(order)).status is OrderStatus.CLOSED
