"""Placing, starting, closing and expiring, with everything that may go wrong between us and the channel."""

import asyncio
from dataclasses import replace

import pytest

from application.open_merchant import OpenedMerchant
from domain.attempts import AttemptStatus
from domain.channels import ChannelState, Method, Mode
from domain.errors import (
    ChannelRejected,
    ChannelUnavailable,
    Conflict,
    InProgress,
    NotFound,
    OutcomeUnknown,
    Unauthenticated,
)
from domain.merchants import Caller
from domain.orders import OrderStatus
from tests.fakes.channel import ChannelFault, FakeChannel
from tests.fakes.clock import FakeClock
from tests.fakes.database import DatabaseFault
from tests.fakes.house import House, caller, request

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE


async def test_a_repeated_equal_order_is_the_first_one(house: House, merchant: OpenedMerchant) -> None:
    first = await house.order(merchant)
    again = await house.order(merchant)
    assert again.id == first.id
    assert again.cashier_token == first.cashier_token


async def test_another_order_under_the_same_number_is_a_conflict(house: House, merchant: OpenedMerchant) -> None:
    first = await house.order(merchant)
    with pytest.raises(Conflict) as conflict:
        await house.order(merchant, amount=10_001)
    assert conflict.value.code == "merchant_order_no_taken"
    assert (await house.now(first)).amount.minor == 10_000


async def test_two_equal_orders_at_once_are_one(house: House, merchant: OpenedMerchant) -> None:
    orders = await asyncio.gather(*(house.order(merchant) for _ in range(8)))
    assert len({order.id for order in orders}) == 1


async def test_an_order_whose_commit_was_in_doubt_is_found_by_repeating(house: House, merchant: OpenedMerchant) -> None:
    house.database.faults.once(DatabaseFault.COMMIT_DONE, at="commit")
    with pytest.raises(OutcomeUnknown):
        await house.order(merchant)
    order = await house.order(merchant)
    assert (await house.now(order)).status is OrderStatus.PENDING


async def test_a_key_opens_its_own_merchant_and_a_wrong_one_opens_nothing(
    house: House, merchant: OpenedMerchant
) -> None:
    assert replace(await house.authenticate(merchant.api_key), key_id="") == caller(merchant)
    other = await House().merchant()
    for wrong in (merchant.api_key[:-1] + "?", "pty_sk_test_", "", merchant.api_key.replace("test", "live")):
        with pytest.raises(Unauthenticated):
            await house.authenticate(wrong)
    assert other.api_key == merchant.api_key, "fakes are deterministic"


async def test_starting_shows_a_code_and_starting_again_shows_the_same(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    first = await house.start_attempt(caller(merchant), order.id, WECHAT)
    again = await house.start_attempt(caller(merchant), order.id, WECHAT)
    assert first.status is AttemptStatus.PENDING
    assert first.action is not None
    assert (again.id, again.action) == (first.id, first.action)


async def test_another_merchants_order_cannot_be_started(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    stranger = await house.merchant()
    with pytest.raises(NotFound):
        await house.start_attempt(caller(stranger), order.id, WECHAT)
    assert await house.attempts(order) == []


async def test_a_live_key_does_not_see_its_merchants_test_orders(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    live = Caller(merchant.merchant.id, Mode.LIVE)
    with pytest.raises(NotFound):
        await house.find_order(live, order.id)
    with pytest.raises(NotFound):
        await house.start_attempt(live, order.id, WECHAT)
    assert (await house.find_order(caller(merchant), order.id))[0].id == order.id


async def test_a_method_nobody_offers_is_refused(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    with pytest.raises(Conflict) as conflict:
        await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_WAP)
    assert conflict.value.code == "method_unavailable"


@pytest.mark.parametrize(
    ("fault", "error", "left"),
    [
        (ChannelFault.UNAVAILABLE, ChannelUnavailable, AttemptStatus.CREATED),
        (ChannelFault.UNKNOWN_DONE, OutcomeUnknown, AttemptStatus.UNKNOWN),
        (ChannelFault.UNKNOWN_UNDONE, OutcomeUnknown, AttemptStatus.UNKNOWN),
    ],
)
async def test_an_opening_without_an_answer_is_repeated_under_its_number(
    house: House, merchant: OpenedMerchant, fault: ChannelFault, error: type[Exception], left: AttemptStatus
) -> None:
    order = await house.order(merchant)
    house.wechat.faults.once(fault, at="open")
    with pytest.raises(error):
        await house.start_attempt(caller(merchant), order.id, WECHAT)
    (doubtful,) = await house.attempts(order)
    assert doubtful.status is left
    repeated = await house.start_attempt(caller(merchant), order.id, WECHAT)
    assert (repeated.number, repeated.status) == (doubtful.number, AttemptStatus.PENDING)


async def test_a_refused_repetition_says_nothing_about_the_first_opening(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    house.wechat.faults.once(ChannelFault.UNKNOWN_DONE, at="open")
    with pytest.raises(OutcomeUnknown):
        await house.start_attempt(caller(merchant), order.id, WECHAT)
    house.wechat.faults.once(ChannelFault.REJECTED, at="open")
    with pytest.raises(ChannelRejected):
        await house.start_attempt(caller(merchant), order.id, WECHAT)
    (doubtful,) = await house.attempts(order)
    assert doubtful.status is AttemptStatus.UNKNOWN


async def test_an_attempt_in_doubt_is_polled(house: House, merchant: OpenedMerchant, clock: FakeClock) -> None:
    order = await house.order(merchant)
    house.wechat.faults.once(ChannelFault.UNKNOWN_DONE, at="open")
    with pytest.raises(OutcomeUnknown):
        await house.start_attempt(caller(merchant), order.id, WECHAT)
    (doubtful,) = await house.attempts(order)
    house.wechat.pay(doubtful.number)
    clock.advance(5)
    assert await house.check_due_attempts() == 1
    assert (await house.now(order)).status is OrderStatus.PAID


async def test_a_definite_no_fails_the_attempt_and_the_next_has_a_new_number(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    house.wechat.faults.once(ChannelFault.REJECTED, at="open")
    with pytest.raises(ChannelRejected):
        await house.start_attempt(caller(merchant), order.id, WECHAT)
    second = await house.start_attempt(caller(merchant), order.id, WECHAT)
    failed, live = await house.attempts(order)
    assert failed.status is AttemptStatus.FAILED
    assert live.id == second.id
    assert live.number != failed.number


async def test_changing_the_method_closes_the_earlier_attempt_at_its_channel(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    first = await house.start_attempt(caller(merchant), order.id, WECHAT)
    await house.start_attempt(caller(merchant), order.id, ALIPAY)
    assert house.wechat.state(first.number) is ChannelState.CLOSED
    assert [attempt.status for attempt in await house.attempts(order)] == [AttemptStatus.CLOSED, AttemptStatus.PENDING]


async def test_changing_the_method_after_paying_finds_the_payment(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    first = await house.start_attempt(caller(merchant), order.id, WECHAT)
    house.wechat.pay(first.number)
    with pytest.raises(Conflict) as conflict:
        await house.start_attempt(caller(merchant), order.id, ALIPAY)
    assert conflict.value.code == "order_paid"
    assert (await house.now(order)).status is OrderStatus.PAID


async def test_closing_closes_the_channel_first_and_closing_again_changes_nothing(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, WECHAT)
    closed = await house.close_order(order.id, "merchant")
    assert closed.status is OrderStatus.CLOSED
    assert house.wechat.state(attempt.number) is ChannelState.CLOSED
    assert await house.close_order(order.id, "merchant") == await house.now(order)
    with pytest.raises(Conflict):
        await house.start_attempt(caller(merchant), order.id, WECHAT)


async def test_closing_a_paid_order_confirms_it_instead(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, WECHAT)
    house.wechat.pay(attempt.number)
    with pytest.raises(Conflict) as conflict:
        await house.close_order(order.id, "merchant")
    assert conflict.value.code == "order_paid"
    assert (await house.now(order)).status is OrderStatus.PAID


@pytest.mark.parametrize("step", ["close", "query"])
@pytest.mark.parametrize("fault", [ChannelFault.UNAVAILABLE, ChannelFault.UNKNOWN_DONE])
async def test_an_order_is_not_closed_while_its_channel_cannot_tell(
    house: House, merchant: OpenedMerchant, step: str, fault: ChannelFault
) -> None:
    order = await house.order(merchant)
    await house.start_attempt(caller(merchant), order.id, WECHAT)
    house.wechat.faults.once(fault, at=step)
    with pytest.raises((ChannelUnavailable, OutcomeUnknown)):
        await house.close_order(order.id, "merchant")
    assert (await house.now(order)).status is OrderStatus.PENDING
    assert (await house.close_order(order.id, "merchant")).status is OrderStatus.CLOSED


async def test_expiry_closes_what_is_due_and_nothing_else(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    due = await house.order(merchant, "due", expires_in=60)
    not_due = await house.order(merchant, "not-due", expires_in=3_600)
    clock.advance(61)
    assert await house.expire_orders() == 1
    assert (await house.now(due)).close_reason == "expired"
    assert (await house.now(not_due)).status is OrderStatus.PENDING


async def test_expiry_is_taken_up_again_when_the_channel_was_away(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant, expires_in=60)
    await house.start_attempt(caller(merchant), order.id, WECHAT)
    clock.advance(61)
    house.wechat.faults.always = ChannelFault.UNAVAILABLE
    await house.expire_orders()
    assert (await house.now(order)).status is OrderStatus.PENDING
    house.wechat.faults.always = None
    assert await house.expire_orders() == 0, "not at once"
    clock.advance(61)
    await house.expire_orders()
    assert (await house.now(order)).status is OrderStatus.CLOSED


async def test_money_that_was_faster_than_the_expiry_wins(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant, expires_in=60)
    attempt = await house.start_attempt(caller(merchant), order.id, ALIPAY)
    house.alipay.pay(attempt.number)
    clock.advance(61)
    await house.expire_orders()
    assert (await house.now(order)).status is OrderStatus.PAID


async def test_an_attempt_in_the_last_minute_gets_the_minute_that_wechat_pay_demands(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    order = await house.order(merchant, expires_in=60)
    clock.advance(30)
    wechat = await house.start_attempt(caller(merchant), order.id, WECHAT)
    assert (wechat.expires_at - clock.now()).total_seconds() == 65
    assert (await house.start_attempt(caller(merchant), order.id, WECHAT)).expires_at == wechat.expires_at
    clock.advance(30)
    await house.expire_orders()
    assert house.wechat.state(wechat.number) is ChannelState.CLOSED
    assert (await house.now(order)).status is OrderStatus.CLOSED


class Pause:
    """Holds the next call at the channel until told to let it through; those after it pass."""

    def __init__(self, channel: FakeChannel, name: str) -> None:
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        honest = getattr(channel, name)

        async def paused(*arguments: object) -> object:
            setattr(channel, name, honest)
            self.reached.set()
            await self.go_on.wait()
            return await honest(*arguments)

        setattr(channel, name, paused)


async def test_an_attempt_opened_while_its_order_is_being_closed_is_taken_back(
    house: House, merchant: OpenedMerchant
) -> None:
    order = await house.order(merchant)
    opening = Pause(house.wechat, "open")
    starting = asyncio.create_task(house.start_attempt(caller(merchant), order.id, WECHAT))
    await opening.reached.wait()
    closed = await house.close_order(order.id, "merchant")
    assert closed.status is OrderStatus.CLOSED
    opening.go_on.set()
    with pytest.raises(Conflict):
        await starting
    (attempt,) = await house.attempts(order)
    assert attempt.status is AttemptStatus.CLOSED
    assert house.wechat.state(attempt.number) is ChannelState.CLOSED


async def test_an_attempt_started_meanwhile_stops_a_close(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    await house.start_attempt(caller(merchant), order.id, ALIPAY)
    closing_there = Pause(house.alipay, "close")
    closing = asyncio.create_task(house.close_order(order.id, "merchant"))
    await closing_there.reached.wait()
    await house.start_attempt(caller(merchant), order.id, WECHAT)
    closing_there.go_on.set()
    with pytest.raises(InProgress):
        await closing
    assert (await house.now(order)).status is OrderStatus.PENDING


async def test_the_cashier_sees_the_order_by_its_token_alone(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    view = await house.view_cashier(order.cashier_token)
    assert (view.payee, view.methods, view.attempt) == ("Café", (ALIPAY, WECHAT), None)
    attempt = await house.start_attempt(view.caller, order.id, ALIPAY)
    assert (await house.view_cashier(order.cashier_token)).attempt == attempt
    with pytest.raises(NotFound):
        await house.view_cashier(order.id)


async def test_the_order_number_is_the_merchants_own(house: House, merchant: OpenedMerchant) -> None:
    stranger = await house.merchant()
    mine, theirs = await house.order(merchant), await house.order(stranger)
    assert mine.id != theirs.id
    found = (await house.find_order.numbered(caller(stranger), request().merchant_order_no)).order
    assert found.id == theirs.id
    with pytest.raises(NotFound):
        await house.find_order(caller(stranger), mine.id)
