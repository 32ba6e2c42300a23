"""A till scans the payer's bar code: paid at once, waited for, undone when it hangs, and never left in doubt."""

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from application.open_merchant import OpenedMerchant
from domain.attempts import BARCODE_PATIENCE, CHARGING, Attempt, AttemptStatus
from domain.channels import ChannelState, Method
from domain.choices import Choice
from domain.errors import ChannelRejected, ChannelUnavailable, InProgress, InvalidRequest
from domain.ledger import AccountKind
from domain.orders import Order, OrderStatus
from domain.payments import SuspenseStatus, Unattributed
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, caller
from tests.fakes.promises import FakePromises

PAYS, ASKS, BROKE = "134567890123456789", "134567890123456781", "134567890123456780"
BARCODES = (Method.ALIPAY_BARCODE, Method.WECHAT_BARCODE, Method.ALIPAY_QR)


@pytest_asyncio.fixture
async def merchant(house: House) -> OpenedMerchant:
    return await house.merchant(methods=BARCODES)


@pytest_asyncio.fixture
async def order(house: House, merchant: OpenedMerchant) -> Order:
    return await house.order(merchant)


async def scan(house: House, merchant: OpenedMerchant, order: Order, code: str = PAYS) -> Attempt:
    return await house.start_attempt(caller(merchant), order.id, Choice(method=Method.WECHAT_BARCODE, auth_code=code))


async def later(house: House, clock: FakeClock, seconds: float) -> None:
    """So much time passes, with a sweep a second."""
    for _ in range(int(seconds)):
        clock.advance(1)
        await house.check_due_attempts()


async def only(house: House, order: Order) -> Attempt:
    (attempt,) = await house.attempts(order)
    return attempt


async def keeps_its_promises(house: House) -> None:
    assert await FakePromises(house.database.tables, house.clock).broken() == []


async def told(house: House) -> list[str]:
    return [row.event.type for row in house.database.tables.events.committed.values() if row.event.announced]


async def test_money_that_comes_at_once_pays_the_order_in_the_same_call(
    house: House, merchant: OpenedMerchant, order: Order
) -> None:
    attempt = await scan(house, merchant, order)
    assert (attempt.status, attempt.action) == (AttemptStatus.SUCCEEDED, None)
    assert (await house.now(order)).status is OrderStatus.PAID
    assert await told(house) == ["order.paid"]
    await keeps_its_promises(house)


async def test_the_code_is_stored_nowhere(house: House, merchant: OpenedMerchant, order: Order) -> None:
    await scan(house, merchant, order, ASKS)
    for table in vars(house.database.tables).values():
        assert ASKS not in repr(table.committed)


async def test_a_password_is_waited_for(house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order) -> None:
    attempt = await scan(house, merchant, order, ASKS)
    assert attempt.status is AttemptStatus.PENDING
    await later(house, clock, 20)
    assert (await only(house, order)).status is AttemptStatus.PENDING
    house.wechat.pay(attempt.number)
    await later(house, clock, 6)
    assert (await house.now(order)).status is OrderStatus.PAID
    assert await told(house) == ["order.paid"]


async def test_a_payer_who_never_enters_it_is_not_left_hanging(
    house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order
) -> None:
    attempt = await scan(house, merchant, order, ASKS)
    await later(house, clock, BARCODE_PATIENCE.total_seconds() + 6)
    assert (await only(house, order)).status is AttemptStatus.REVERSED
    assert house.wechat.state(attempt.number) is ChannelState.CLOSED
    assert (await house.now(order)).status is OrderStatus.PENDING, "another code may be scanned"
    assert await told(house) == ["attempt.reversed"]
    again = await scan(house, merchant, order)
    assert again.status is AttemptStatus.SUCCEEDED
    assert again.number != attempt.number


async def test_polls_come_every_few_seconds(
    house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order
) -> None:
    await scan(house, merchant, order, ASKS)
    await later(house, clock, 40)
    assert 7 <= (await only(house, order)).polls <= 8


async def test_a_refusal_fails_the_attempt_and_tells_the_till(
    house: House, merchant: OpenedMerchant, order: Order
) -> None:
    with pytest.raises(ChannelRejected, match="no money"):
        await scan(house, merchant, order, BROKE)
    assert (await only(house, order)).status is AttemptStatus.FAILED
    assert await told(house) == ["attempt.failed"]
    assert (await scan(house, merchant, order)).status is AttemptStatus.SUCCEEDED


async def test_a_channel_that_did_not_hear_us_leaves_nothing_behind(
    house: House, merchant: OpenedMerchant, order: Order
) -> None:
    house.wechat.faults.once(ChannelFault.UNAVAILABLE)
    with pytest.raises(ChannelUnavailable):
        await scan(house, merchant, order)
    assert (await scan(house, merchant, order)).status is AttemptStatus.SUCCEEDED


async def test_no_answer_is_no_failure_and_the_money_is_found(
    house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order
) -> None:
    house.wechat.faults.once(ChannelFault.UNKNOWN_DONE)
    assert (await scan(house, merchant, order)).status is AttemptStatus.UNKNOWN
    await later(house, clock, 6)
    assert (await house.now(order)).status is OrderStatus.PAID


async def test_a_charge_that_never_arrived_is_undone_without_waiting_for_a_password(
    house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order
) -> None:
    house.wechat.faults.once(ChannelFault.UNKNOWN_UNDONE)
    await scan(house, merchant, order)
    await later(house, clock, CHARGING.total_seconds() + 6)
    assert (await only(house, order)).status is AttemptStatus.REVERSED


async def test_two_tills_do_not_charge_one_order_at_once(house: House, merchant: OpenedMerchant, order: Order) -> None:
    house.wechat.faults.once(ChannelFault.LATE_ANSWER)
    house.wechat.slow_seconds = 0.5
    first = asyncio.create_task(scan(house, merchant, order))
    await asyncio.sleep(0.01)
    with pytest.raises(InProgress):
        await scan(house, merchant, order, "134567890123456788")
    assert (await first).status is AttemptStatus.SUCCEEDED


async def test_a_reverse_that_is_not_answered_is_repeated_with_the_same_number(
    house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order
) -> None:
    attempt = await scan(house, merchant, order, ASKS)
    await later(house, clock, BARCODE_PATIENCE.total_seconds() - 1)
    house.wechat.faults.choose = lambda step: (
        ChannelFault.UNKNOWN_UNDONE if step == f"reverse {attempt.number}" else None
    )
    await later(house, clock, 120)
    assert (await only(house, order)).status is AttemptStatus.REVERSING
    assert "attempt.reversed" not in await told(house)
    house.wechat.faults.choose = None
    await later(house, clock, 700)
    assert (await only(house, order)).status is AttemptStatus.REVERSED


async def test_a_reverse_is_repeated_for_days_if_need_be(
    house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order
) -> None:
    await scan(house, merchant, order, ASKS)
    house.wechat.faults.always = ChannelFault.UNAVAILABLE
    for _ in range(200):
        clock.advance(3_600)
        await house.check_due_attempts()
    attempt = await only(house, order)
    assert attempt.status is AttemptStatus.REVERSING
    assert attempt.next_at is not None


async def test_money_that_comes_while_it_is_undone_goes_back_and_pays_nothing(
    house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order
) -> None:
    """The payer enters the password in the instant of our decision; the reverse takes the money back."""
    attempt = await scan(house, merchant, order, ASKS)
    house.wechat.faults.choose = lambda step: (
        ChannelFault.UNAVAILABLE if step.startswith(("reverse", "query")) else None
    )
    await later(house, clock, 50)
    receipt = house.wechat.pay(attempt.number)
    await house.notice(house.wechat, attempt)
    assert (await house.now(order)).status is OrderStatus.PENDING
    (payment,) = await house.payments(order)
    assert payment.unattributed is Unattributed.REVERSED
    await keeps_its_promises(house)
    house.wechat.faults.choose = None
    await later(house, clock, 60)
    assert (await only(house, order)).status is AttemptStatus.REVERSED
    assert house.wechat.given_back() == [receipt]
    kinds = [(each.debit.kind, each.credit.kind) for each in await house.transfers(payment.id)]
    assert kinds == [
        (AccountKind.CHANNEL_RECEIVABLE, AccountKind.SUSPENSE),
        (AccountKind.SUSPENSE, AccountKind.CHANNEL_RECEIVABLE),
    ]
    (item,) = house.database.tables.suspense.committed.values()
    assert item.status is SuspenseStatus.REFUNDED
    await keeps_its_promises(house)


async def test_a_late_notice_of_what_is_undone_is_booked_and_undone_again(
    house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order
) -> None:
    """The notice was on its way when we reversed; it comes after everything is over."""
    attempt = await scan(house, merchant, order, ASKS)
    house.wechat.pay(attempt.number)
    late = house.wechat.notice(attempt.number)
    assert await house.close_attempt(attempt) is ChannelState.CLOSED
    await house.receive_notice(attempt.method.channel, attempt.account_id, *late)
    assert (await house.now(order)).status is OrderStatus.PENDING
    await later(house, clock, 10)
    assert (await only(house, order)).status is AttemptStatus.REVERSED
    (payment,) = await house.payments(order)
    assert len(await house.transfers(payment.id)) == 2
    assert await told(house) == ["attempt.reversed"], "told once"
    await keeps_its_promises(house)


async def test_what_the_channel_will_not_undo_pays_its_order(
    house: House, clock: FakeClock, merchant: OpenedMerchant, order: Order
) -> None:
    attempt = await scan(house, merchant, order, ASKS)
    house.wechat.pay(attempt.number)
    house.wechat.faults.once(ChannelFault.REJECTED)
    assert await house.close_attempt(attempt) is ChannelState.PAID
    assert (await only(house, order)).status is AttemptStatus.SUCCEEDED
    assert (await house.now(order)).status is OrderStatus.PAID
    await keeps_its_promises(house)


async def test_closing_an_order_undoes_its_bar_code(house: House, merchant: OpenedMerchant, order: Order) -> None:
    attempt = await scan(house, merchant, order, ASKS)
    await house.close_order(order.id, "merchant")
    assert house.wechat.state(attempt.number) is ChannelState.CLOSED
    assert (await only(house, order)).status is AttemptStatus.REVERSED


async def test_another_method_undoes_the_bar_code_first(house: House, merchant: OpenedMerchant, order: Order) -> None:
    attempt = await scan(house, merchant, order, ASKS)
    await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_QR)
    assert house.wechat.state(attempt.number) is ChannelState.CLOSED


async def test_a_second_scan_while_the_first_waits_is_the_first(
    house: House, merchant: OpenedMerchant, order: Order
) -> None:
    first = await scan(house, merchant, order, ASKS)
    assert (await scan(house, merchant, order)).id == first.id


async def test_an_order_is_not_closed_while_it_is_charged(house: House, merchant: OpenedMerchant, order: Order) -> None:
    """Found by the simulation: a reverse overtook its charge, was told of no such number, and the charge came after."""
    house.wechat.faults.once(ChannelFault.SLOW)
    house.wechat.slow_seconds = 0.5
    charging = asyncio.create_task(scan(house, merchant, order))
    await asyncio.sleep(0.01)
    with pytest.raises(InProgress):
        await house.close_order(order.id, "merchant")
    assert (await charging).status is AttemptStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        (Choice(method=Method.WECHAT_BARCODE), "auth_code_required"),
        (Choice(method=Method.WECHAT_BARCODE, auth_code="280000000000000000"), "auth_code_unknown"),
        (Choice(method=Method.ALIPAY_BARCODE, auth_code=PAYS), "auth_code_unknown"),
        (Choice(method=Method.WECHAT_BARCODE, auth_code="13456789012345678"), "auth_code_unknown"),
        (Choice(method=Method.WECHAT_BARCODE, auth_code="１３４５６７８９０１２３４５６７８９"), "auth_code_unknown"),
        (Choice(method=Method.ALIPAY_QR, auth_code=PAYS), "auth_code_unexpected"),
        (Choice(method=Method.WECHAT_JSAPI), "payer_required"),
        (Choice(method=Method.ALIPAY_JSAPI), "payer_required"),
        (Choice(method=Method.ALIPAY_QR, payer_id="2088"), "payer_unexpected"),
        (Choice(method=Method.WECHAT_NATIVE, instalments=3), "instalments_unsupported"),
        (Choice(method=Method.ALIPAY_PAGE, instalments=4), "instalments_invalid"),
    ],
)
async def test_a_choice_that_is_not_whole_is_refused_before_anything_happens(
    house: House, merchant: OpenedMerchant, order: Order, choice: Choice, code: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await house.start_attempt(caller(merchant), order.id, choice)
    assert caught.value.code == code
    assert await house.attempts(order) == []


def test_the_times_fit_one_into_the_other() -> None:
    """When the reverse comes, the charge has arrived or never will."""
    assert timedelta(0) < CHARGING < BARCODE_PATIENCE
