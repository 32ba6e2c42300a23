"""Endpoints that hang, fail, are gone or come back: who is delayed, who is given up, and what can be sent again."""

import asyncio
from datetime import datetime, timedelta

import pytest

from application.keep_endpoints import AddEndpoint, KeepEndpoints
from application.open_merchant import OpenedMerchant
from domain.circuits import PATIENCE, TRIP
from domain.errors import Conflict, InvalidRequest, NotFound
from domain.notifications import Answer, Delivery, DeliveryStatus, Disabled, Endpoint
from tests.fakes.clock import FakeClock
from tests.fakes.courier import CourierFault
from tests.fakes.house import SHOP, House, caller

HOOKS = "https://erp.example/hooks"
OTHER = "https://crm.example/hooks"
DAY = timedelta(days=1)


@pytest.fixture
def add_endpoint(house: House) -> AddEndpoint:
    return AddEndpoint(house.database.unit_of_work, house.vault, house.clock, house.ids, lambda _: None)


@pytest.fixture
def endpoints(house: House) -> KeepEndpoints:
    return KeepEndpoints(house.database.unit_of_work, house.vault, house.clock, house.ids, house.hints)


@pytest.fixture
async def endpoint(add_endpoint: AddEndpoint, merchant: OpenedMerchant) -> Endpoint:
    return await add_endpoint(caller(merchant), HOOKS)


async def standing(house: House, endpoint: Endpoint) -> Endpoint:
    async with house.database.unit_of_work() as uow:
        return await uow.endpoints.get(endpoint.id)


def sent_to(house: House, endpoint: Endpoint) -> list[Delivery]:
    rows = house.database.tables.deliveries.committed.values()
    return sorted((row for row in rows if row.endpoint_id == endpoint.id), key=lambda row: row.id)


def arrivals(house: House, url: str) -> list[str]:
    return house.courier.server(url).arrivals


async def happens(house: House, merchant: OpenedMerchant, *nos: str) -> None:
    for no in nos:
        await house.close_order((await house.order(merchant, no)).id, "merchant")
    while await house.fan_out():
        pass


async def swept(house: House) -> None:
    while await house.deliver():
        pass


async def test_five_failures_pause_an_address_and_nobody_else(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint, clock: FakeClock
) -> None:
    house.courier.server(HOOKS).answer = Answer(status_code=500)
    await happens(house, merchant, *(f"A-{n}" for n in range(TRIP + 4)))
    await swept(house)
    tried = len(arrivals(house, HOOKS))
    assert TRIP <= tried <= TRIP + 3, "what was under way when it tripped, and no more"
    assert len(arrivals(house, SHOP)) == TRIP + 4, "its merchant's other addresses get everything"
    clock.advance(29)
    await swept(house)
    assert len(arrivals(house, HOOKS)) == tried
    clock.advance(1)
    await swept(house)
    assert len(arrivals(house, HOOKS)) == tried + 1, "one alone finds out"


async def test_one_success_ends_the_pauses_and_the_backlog_goes_out(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint, clock: FakeClock
) -> None:
    house.courier.server(HOOKS).answer = Answer(status_code=500)
    await happens(house, merchant, *(f"A-{n}" for n in range(TRIP + 4)))
    await swept(house)
    assert house.database.tables.circuits.committed
    house.courier.server(HOOKS).answer = Answer(status_code=200)
    clock.advance(40)
    await swept(house)
    assert not house.database.tables.circuits.committed
    assert {row.status for row in sent_to(house, endpoint)} == {DeliveryStatus.DELIVERED}


async def test_a_success_between_failures_begins_the_count_anew(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint
) -> None:
    for n in range(3 * TRIP):
        house.courier.server(HOOKS).answer = Answer(status_code=500 if n % 3 else 200)
        await happens(house, merchant, f"A-{n}")
        await swept(house)
    assert len(arrivals(house, HOOKS)) == 3 * TRIP


async def test_one_shops_notify_url_that_fails_does_not_pause_anothers(house: House, merchant: OpenedMerchant) -> None:
    house.courier.server(SHOP).answer = Answer(error="timeout")
    await happens(house, merchant, *(f"A-{n}" for n in range(TRIP)))
    await swept(house)
    (circuit,) = house.database.tables.circuits.committed.values()
    other = merchant.endpoint.lane("https://other-shop.example/n")
    assert circuit.lane == merchant.endpoint.lane(SHOP) == merchant.endpoint.lane(SHOP + "?order=7")
    assert circuit.lane != other


async def test_an_address_that_says_gone_is_disabled_and_its_merchant_told_elsewhere(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint, add_endpoint: AddEndpoint
) -> None:
    await add_endpoint(caller(merchant), OTHER)
    house.courier.server(HOOKS).answer = Answer(status_code=410)
    await happens(house, merchant, *(f"A-{n}" for n in range(9)))
    await swept(house)
    now = await standing(house, endpoint)
    assert (now.enabled, now.disabled) == (False, Disabled.GONE)
    assert {row.status for row in sent_to(house, endpoint)} == {DeliveryStatus.CANCELLED}
    await house.fan_out()
    await swept(house)
    told = [body for body in house.courier.server(OTHER).bodies.values() if body["type"] == "webhook_endpoint.disabled"]
    assert [(body["data"]["id"], body["data"]["disabled_reason"]) for body in told] == [(endpoint.id, "gone")]


async def test_an_orders_notify_url_that_says_gone_stops_that_delivery_alone(
    house: House, merchant: OpenedMerchant
) -> None:
    house.courier.faults.once(CourierFault.GONE, at=SHOP)
    await happens(house, merchant, "A-1")
    await swept(house)
    await happens(house, merchant, "A-2")
    await swept(house)
    assert (await standing(house, merchant.endpoint)).enabled
    statuses = [row.status for row in sent_to(house, merchant.endpoint)]
    assert sorted(statuses) == [DeliveryStatus.CANCELLED, DeliveryStatus.DELIVERED]


async def test_five_days_of_failures_disable_it(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint, clock: FakeClock
) -> None:
    house.courier.server(HOOKS).answer = Answer(error="timeout")
    began = clock.now()
    n = 0
    while (await standing(house, endpoint)).enabled:
        assert clock.now() - began < PATIENCE + DAY, "it is never given up"
        await happens(house, merchant, f"A-{n}")
        await swept(house)
        clock.advance(6 * 3_600)
        n += 1
    now = await standing(house, endpoint)
    assert now.disabled is Disabled.FAILING
    assert now.disabled_at is not None
    assert now.disabled_at - began >= PATIENCE
    assert DeliveryStatus.DUE not in {row.status for row in sent_to(house, endpoint)}


async def test_one_success_in_five_days_keeps_it(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint, clock: FakeClock
) -> None:
    server = house.courier.server(HOOKS)
    for n in range(8 * 4):
        server.answer = Answer(status_code=200) if n == 15 else Answer(error="timeout")
        await happens(house, merchant, f"A-{n}")
        await swept(house)
        clock.advance(6 * 3_600)
        assert (await standing(house, endpoint)).enabled == (n < 15 + 20 + 4)


async def test_what_was_missed_while_it_was_off_is_sent_again_under_the_same_ids(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint, endpoints: KeepEndpoints, clock: FakeClock
) -> None:
    began = clock.now()
    mine, server = caller(merchant), house.courier.server(HOOKS)
    await happens(house, merchant, "A-0")
    await swept(house)
    clock.advance(60)
    house.courier.faults.once(CourierFault.REFUSED, at=HOOKS)
    await happens(house, merchant, "A-1")
    await swept(house)
    await endpoints.switch(mine, endpoint.id, enabled=False)
    await happens(house, merchant, "A-2")
    with pytest.raises(Conflict):
        await house.resend.missed(mine, endpoint.id, began, clock.now())
    clock.advance(60)
    await endpoints.switch(mine, endpoint.id, enabled=True)
    await swept(house)
    assert len(server.bodies) == 1, "on again, it gets nothing of the past by itself"
    assert await house.resend.missed(mine, endpoint.id, began, clock.now()) == (2, False)
    await swept(house)
    assert len(server.bodies) == 3
    assert await house.resend.missed(mine, endpoint.id, began, clock.now()) == (0, False)
    assert len({row.event_id for row in sent_to(house, endpoint)}) == len(sent_to(house, endpoint)) == 3


async def test_a_delivery_is_sent_again_under_its_webhook_id_with_the_schedule_anew(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint, clock: FakeClock
) -> None:
    await happens(house, merchant, "A-0")
    await swept(house)
    (first,) = sent_to(house, endpoint)
    again = await house.resend.one(caller(merchant), first.id)
    assert (again.id, again.status) == (first.id, DeliveryStatus.DUE)
    house.courier.faults.once(CourierFault.REFUSED, at=HOOKS)
    await swept(house)
    (failed,) = sent_to(house, endpoint)
    assert failed.next_at is not None
    assert failed.next_at - clock.now() < timedelta(seconds=6), "the first rung of the schedule"
    clock.advance(6)
    await swept(house)
    assert arrivals(house, HOOKS) == [first.event_id] * 3
    assert [row.status for row in sent_to(house, endpoint)] == [DeliveryStatus.DELIVERED]


async def test_a_delivery_in_flight_is_not_sent_beside_itself(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint
) -> None:
    await happens(house, merchant, "A-0")
    async with house.database.unit_of_work() as uow:
        claimed = await uow.deliveries.claim_due(house.clock.now(), limit=9, per_endpoint=4)
    (mine,) = [each for each in claimed if each.endpoint_id == endpoint.id]
    assert await house.resend.one(caller(merchant), mine.id) == mine
    assert await house.deliver() == 0


async def test_what_is_anothers_cannot_be_resent(house: House, merchant: OpenedMerchant, endpoint: Endpoint) -> None:
    await happens(house, merchant, "A-0")
    stranger = caller(await house.merchant())
    with pytest.raises(NotFound):
        await house.resend.one(stranger, sent_to(house, endpoint)[0].id)
    with pytest.raises(NotFound):
        await house.resend.one(stranger, "dlv_00000000000000000000000000")
    with pytest.raises(NotFound):
        await house.resend.missed(stranger, endpoint.id, house.clock.now() - DAY, house.clock.now())


async def test_a_time_that_ends_before_it_begins_is_refused(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint
) -> None:
    now: datetime = house.clock.now()
    for since, until in ((now, now), (now, now - DAY)):
        with pytest.raises(InvalidRequest):
            await house.resend.missed(caller(merchant), endpoint.id, since, until)


async def test_a_test_event_goes_to_its_endpoint_alone_whatever_its_types(
    house: House, merchant: OpenedMerchant, add_endpoint: AddEndpoint, endpoints: KeepEndpoints
) -> None:
    picky = await add_endpoint(caller(merchant), HOOKS, frozenset({"order.paid"}))
    await add_endpoint(caller(merchant), OTHER)
    events = [await endpoints.test(caller(merchant), picky.id) for _ in range(2)]
    await house.fan_out()
    await swept(house)
    assert arrivals(house, HOOKS) == [event.id for event in events]
    assert len(set(arrivals(house, HOOKS))) == 2
    assert arrivals(house, OTHER) == arrivals(house, SHOP) == []
    body = house.courier.server(HOOKS).bodies[events[0].id]
    assert (body["type"], body["data"]["id"]) == ("webhook.test", picky.id)
    assert house.courier.server(HOOKS).signed_by[0]


async def test_no_test_goes_to_a_disabled_endpoint_or_to_none(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint, endpoints: KeepEndpoints
) -> None:
    with pytest.raises(Conflict):
        await endpoints.test(caller(merchant), merchant.endpoint.id)
    await endpoints.switch(caller(merchant), endpoint.id, enabled=False)
    with pytest.raises(Conflict):
        await endpoints.test(caller(merchant), endpoint.id)


async def test_an_ended_rotation_leaves_one_secret_and_room_for_the_next(
    house: House, merchant: OpenedMerchant, endpoint: Endpoint, endpoints: KeepEndpoints
) -> None:
    mine = caller(merchant)
    rotated = await endpoints.rotate(mine, endpoint.id)
    ended = await endpoints.end_rotation(mine, endpoint.id)
    assert (ended.sealed, ended.previous_sealed) == (rotated.sealed, None)
    await endpoints.rotate(mine, endpoint.id)
    await happens(house, merchant, "A-0")
    await swept(house)
    assert [len(secrets) for secrets in house.courier.server(HOOKS).signed_by] == [2]


async def test_hanging_endpoints_do_not_delay_the_others(clock: FakeClock) -> None:
    """L7 in small: two of ten hang until the deadline, over and over; the others get each event at once."""
    house = House(clock=clock)
    merchant = await house.merchant()
    add = AddEndpoint(house.database.unit_of_work, house.vault, clock, house.ids, lambda _: None)
    urls = [f"https://shop.example/{n}" for n in range(10)]
    for url in urls:
        await add(caller(merchant), url)
    hanging = asyncio.Event()
    deliver = house.courier.deliver

    async def slow(url: str, *rest: object, **named: object) -> Answer:
        if url in urls[:2]:
            await hanging.wait()
            return Answer(error="timeout")
        return await deliver(url, *rest, **named)  # type: ignore[arg-type]

    house.courier.deliver = slow  # type: ignore[method-assign]
    sweeps = []
    for n in range(12):
        await happens(house, merchant, f"A-{n}")
        sweeps += [asyncio.create_task(house.deliver()) for _ in range(3)]
        for _ in range(400):
            await asyncio.sleep(0)
        assert [len(arrivals(house, url)) for url in urls[2:]] == [n + 1] * 8, f"event {n} is late"
    hanging.set()
    await asyncio.gather(*sweeps)
    assert max(circuit.failures for circuit in house.database.tables.circuits.committed.values()) >= 4
