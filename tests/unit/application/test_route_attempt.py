"""What goes wrong with an account moves the next attempt to another, never the same one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from application.open_merchant import OpenedMerchant
from domain.attempts import Attempt, AttemptStatus
from domain.channels import Method
from domain.errors import AccountRefused, ChannelError, ChannelRejected, ChannelUnavailable, Conflict, OutcomeUnknown
from domain.orders import Order
from domain.routing import MOST_REFUSALS, PAUSES, TOLERATED
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, caller

QR = Method.ALIPAY_QR


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def house(clock: FakeClock) -> House:
    return House(clock=clock)


async def second_account(house: House, merchant: OpenedMerchant) -> str:
    """A spare for Alipay, of lower priority."""
    async with house.database.unit_of_work() as uow:
        first = await uow.accounts.access(merchant.account_ids[0])
        spare = replace(first.account, id=house.ids.new("cha"), payee="payee-spare", priority=-1)
        await uow.accounts.add(spare)
    return spare.id


async def begin(house: House, merchant: OpenedMerchant, order: Order) -> Attempt:
    return await house.start_attempt(caller(merchant), order.id, QR)


async def fails(house: House, merchant: OpenedMerchant, order: Order, fault: ChannelFault) -> ChannelError:
    house.alipay.faults.once(fault, at="open")
    with pytest.raises(ChannelError) as caught:
        await begin(house, merchant, order)
    return caught.value


async def used(house: House, order: Order) -> list[tuple[str, AttemptStatus]]:
    return [(attempt.account_id, attempt.status) for attempt in await house.attempts(order)]


async def test_a_refused_account_keeps_its_attempt_and_the_next_goes_elsewhere(house: House) -> None:
    merchant = await house.merchant()
    first, spare = merchant.account_ids[0], await second_account(house, merchant)
    order, another = await house.order(merchant, "A-1"), await house.order(merchant, "A-2")
    assert isinstance(await fails(house, merchant, order, ChannelFault.ACCOUNT_REFUSED), AccountRefused)
    assert await used(house, order) == [(first, AttemptStatus.FAILED)]
    attempt = await begin(house, merchant, order)
    assert attempt.account_id == spare
    assert (await begin(house, merchant, another)).account_id == spare, "other orders are spared the same refusal"
    assert await used(house, order) == [(first, AttemptStatus.FAILED), (spare, AttemptStatus.PENDING)]


async def test_a_refusal_that_is_about_the_payment_says_nothing_about_the_account(house: House) -> None:
    merchant = await house.merchant()
    await second_account(house, merchant)
    order = await house.order(merchant)
    for _ in range(MOST_REFUSALS + 1):
        error = await fails(house, merchant, order, ChannelFault.REJECTED)
        assert isinstance(error, ChannelRejected)
    assert {account for account, _ in await used(house, order)} == {merchant.account_ids[0]}


async def test_an_outage_that_goes_on_moves_the_next_attempts(house: House) -> None:
    merchant = await house.merchant()
    first, spare = merchant.account_ids[0], await second_account(house, merchant)
    order = await house.order(merchant)
    for n in range(TOLERATED):
        assert isinstance(await fails(house, merchant, order, ChannelFault.UNAVAILABLE), ChannelUnavailable)
        (attempt,) = await house.attempts(order)
        assert (attempt.account_id, attempt.live) == (first, n < TOLERATED - 1)
    assert (await begin(house, merchant, order)).account_id == spare, "what nobody has heard of is given up for it"
    assert (await house.attempts(order))[0].failure == "channel_unavailable"


async def test_without_another_account_an_outage_gives_nothing_up(house: House) -> None:
    merchant = await house.merchant()
    order = await house.order(merchant)
    for _ in range(2 * TOLERATED):
        await fails(house, merchant, order, ChannelFault.UNAVAILABLE)
    (attempt,) = await house.attempts(order)
    again = await begin(house, merchant, order)
    assert (again.number, again.status) == (attempt.number, AttemptStatus.PENDING), "the same number, heard at last"


@pytest.mark.parametrize("fault", [ChannelFault.UNKNOWN_UNDONE, ChannelFault.UNKNOWN_DONE])
async def test_an_attempt_in_doubt_is_never_moved(house: House, fault: ChannelFault) -> None:
    merchant = await house.merchant()
    first, spare = merchant.account_ids[0], await second_account(house, merchant)
    order = await house.order(merchant)
    for _ in range(2 * TOLERATED):
        assert isinstance(await fails(house, merchant, order, fault), OutcomeUnknown)
    (attempt,) = await house.attempts(order)
    assert attempt.account_id == first
    assert attempt.status is AttemptStatus.UNKNOWN
    assert (await begin(house, merchant, order)).number == attempt.number
    other = await begin(house, merchant, await house.order(merchant, "A-2"))
    assert other.account_id == spare, "what begins now does not wait for it"


async def test_a_paused_account_recovers_by_itself_through_one_trial(house: House, clock: FakeClock) -> None:
    merchant = await house.merchant()
    first, spare = merchant.account_ids[0], await second_account(house, merchant)
    orders = [await house.order(merchant, f"A-{n}") for n in range(6)]
    await fails(house, merchant, orders[0], ChannelFault.ACCOUNT_REFUSED)
    clock.advance(PAUSES[0].total_seconds() - 1)
    assert (await begin(house, merchant, orders[1])).account_id == spare
    clock.advance(1)
    await fails(house, merchant, orders[2], ChannelFault.ACCOUNT_REFUSED)
    assert (await begin(house, merchant, orders[3])).account_id == spare, "its trial failed"
    clock.advance(PAUSES[1].total_seconds())
    assert (await begin(house, merchant, orders[4])).account_id == first
    assert (await begin(house, merchant, orders[5])).account_id == first, "all is well again"


async def test_while_one_tries_a_paused_account_the_others_go_elsewhere(house: House, clock: FakeClock) -> None:
    merchant = await house.merchant()
    first, spare = merchant.account_ids[0], await second_account(house, merchant)
    orders = [await house.order(merchant, f"A-{n}", expires_in=7_200) for n in range(3)]
    await fails(house, merchant, orders[0], ChannelFault.ACCOUNT_REFUSED)
    clock.advance(PAUSES[0].total_seconds())
    async with house.database.unit_of_work() as uow:
        health = (await uow.accounts.serving(merchant.merchant.id, merchant.endpoint.mode))[0].health_of(QR)
        assert health is not None
        assert await uow.health.try_again(health, clock.now())
    assert (await begin(house, merchant, orders[1])).account_id == spare
    clock.advance(timedelta(seconds=31).total_seconds())
    assert (await begin(house, merchant, orders[2])).account_id == first, "whoever tried may have died"


async def test_one_order_stops_trying_after_so_many_refusals(house: House) -> None:
    merchant = await house.merchant()
    order = await house.order(merchant)
    for _ in range(MOST_REFUSALS):
        await fails(house, merchant, order, ChannelFault.ACCOUNT_REFUSED)
    with pytest.raises(Conflict) as caught:
        await begin(house, merchant, order)
    assert caught.value.code == "method_unavailable"


async def test_while_all_is_well_nothing_is_written_about_health(house: House) -> None:
    merchant = await house.merchant()
    await begin(house, merchant, await house.order(merchant))
    assert house.database.tables.health.committed == {}
