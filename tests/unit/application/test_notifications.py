"""From event to merchant: fan-out, tries, the end of the schedule, endpoints and their secrets."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from application.keep_endpoints import AddEndpoint, KeepEndpoints
from application.open_merchant import OpenedMerchant
from domain.errors import Conflict, DatabaseUnavailable, InvalidRequest, NotFound
from domain.notifications import LEASE, SCHEDULE, DeliveryStatus
from tests.fakes.clock import FakeClock
from tests.fakes.courier import CourierFault
from tests.fakes.database import DatabaseFault
from tests.fakes.house import SHOP, House, caller


def deliveries(house: House) -> list[DeliveryStatus]:
    return [delivery.status for delivery in house.database.tables.deliveries.committed.values()]


@pytest.fixture
def add_endpoint(house: House) -> AddEndpoint:
    def check_url(url: str) -> None:
        if not url.startswith("https://"):
            raise InvalidRequest("https only", code="url_invalid")

    return AddEndpoint(house.database.unit_of_work, house.vault, house.clock, house.ids, check_url)


@pytest.fixture
def endpoints(house: House) -> KeepEndpoints:
    return KeepEndpoints(house.database.unit_of_work, house.vault, house.clock, house.ids, house.hints)


async def test_a_paid_order_is_told_once_and_signed(house: House, merchant: OpenedMerchant) -> None:
    await house.paid(merchant)
    assert await house.fan_out() == 1
    assert await house.deliver() == 1
    server = house.courier.server(SHOP)
    assert server.paid_amounts() == [10_000]
    assert await house.fan_out() == 0
    assert await house.deliver() == 0
    assert deliveries(house) == [DeliveryStatus.DELIVERED]


async def test_placing_an_order_tells_its_merchant_nothing(house: House, merchant: OpenedMerchant) -> None:
    await house.order(merchant)
    assert await house.fan_out() == 0


async def test_a_closed_order_is_told(house: House, merchant: OpenedMerchant) -> None:
    order = await house.order(merchant)
    await house.close_order(order.id, "merchant")
    await house.fan_out()
    await house.deliver()
    (body,) = house.courier.server(SHOP).bodies.values()
    assert (body["type"], body["data"]["id"]) == ("order.closed", order.id)


async def test_each_failure_waits_for_its_turn_until_the_schedule_ends(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    await house.paid(merchant)
    await house.fan_out()
    house.courier.faults.always = CourierFault.REFUSED
    for gap in SCHEDULE:
        clock.advance(gap * 0.89)
        if gap:
            assert await house.deliver() == 0, "too early"
        clock.advance(gap * 0.22)
        assert await house.deliver() == 1
    assert deliveries(house) == [DeliveryStatus.EXHAUSTED]
    server = house.courier.server(SHOP)
    assert len(server.arrivals) == 13
    assert len(set(server.arrivals)) == 1, "one webhook-id, however often it is tried"
    clock.advance(10**7)
    assert await house.deliver() == 0


async def test_a_lost_answer_leads_to_a_second_try_under_the_same_id(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    await house.paid(merchant)
    await house.fan_out()
    house.courier.faults.once(CourierFault.LOST_ANSWER)
    await house.deliver()
    clock.advance(6)
    await house.deliver()
    server = house.courier.server(SHOP)
    assert len(server.arrivals) == 2
    assert server.paid_amounts() == [10_000]


async def test_gone_means_stop(house: House, merchant: OpenedMerchant, clock: FakeClock) -> None:
    await house.paid(merchant)
    await house.fan_out()
    house.courier.faults.once(CourierFault.GONE)
    await house.deliver()
    assert deliveries(house) == [DeliveryStatus.CANCELLED]


async def test_a_try_that_died_is_taken_over_when_its_lease_ends(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    await house.paid(merchant)
    await house.fan_out()
    async with house.database.unit_of_work() as uow:  # a worker claims it and dies
        await uow.deliveries.claim_due(clock.now(), limit=10, per_endpoint=4)
    clock.advance(LEASE.total_seconds() - 1)
    assert await house.deliver() == 0
    clock.advance(2)
    assert await house.deliver() == 1
    assert house.courier.server(SHOP).paid_amounts() == [10_000]


async def test_a_late_failure_does_not_undo_the_try_that_took_over(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    await house.paid(merchant)
    await house.fan_out()
    async with house.database.unit_of_work() as uow:
        (late,) = await uow.deliveries.claim_due(clock.now(), limit=10, per_endpoint=4)
    clock.advance(LEASE.total_seconds() + 1)
    await house.deliver()
    house.courier.faults.once(CourierFault.REFUSED)
    await house.deliver.try_all([late])
    assert deliveries(house) == [DeliveryStatus.DELIVERED]


async def test_a_late_failure_leaves_the_try_under_way_alone(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    await house.paid(merchant)
    await house.fan_out()
    async with house.database.unit_of_work() as uow:
        (late,) = await uow.deliveries.claim_due(clock.now(), limit=10, per_endpoint=4)
    clock.advance(LEASE.total_seconds() + 1)
    async with house.database.unit_of_work() as uow:
        (under_way,) = await uow.deliveries.claim_due(clock.now(), limit=10, per_endpoint=4)
    house.courier.faults.once(CourierFault.REFUSED)
    await house.deliver.try_all([late])
    assert list(house.database.tables.deliveries.committed.values()) == [under_way]


async def test_two_successes_of_one_delivery_are_one_delivery_with_two_tries(
    house: House, merchant: OpenedMerchant, clock: FakeClock
) -> None:
    await house.paid(merchant)
    await house.fan_out()
    async with house.database.unit_of_work() as uow:
        (late,) = await uow.deliveries.claim_due(clock.now(), limit=10, per_endpoint=4)
    clock.advance(LEASE.total_seconds() + 1)
    await house.deliver()
    await house.deliver.try_all([late])
    assert deliveries(house) == [DeliveryStatus.DELIVERED]
    assert len(house.database.tables.tries.committed) == 2


async def test_one_sweep_reads_and_stores_many_in_a_few_transactions(house: House, merchant: OpenedMerchant) -> None:
    for n in range(4):
        await house.paid(merchant, no=f"A-{n}")
    await house.fan_out()
    steps: list[str] = []

    async def watch(step: str) -> None:
        steps.append(step)
        await asyncio.sleep(0)

    house.database.pause = watch
    assert await house.deliver() == 4
    assert steps.count("committed") < 2 * 4
    assert house.courier.server(SHOP).paid_amounts() == [10_000] * 4


@pytest.mark.parametrize("step", ["endpoints.of_merchant", "deliveries.add", "outbox.done", "commit"])
async def test_a_fan_out_that_fails_anywhere_is_done_again(house: House, merchant: OpenedMerchant, step: str) -> None:
    await house.paid(merchant)
    house.database.faults.once(DatabaseFault.LOST_CONNECTION, at=step)
    with pytest.raises(DatabaseUnavailable):
        await house.fan_out()
    assert await house.fan_out() == 1
    assert await house.deliver() == 1
    assert house.courier.server(SHOP).paid_amounts() == [10_000]


async def test_two_workers_on_one_outbox_row_and_one_delivery_do_it_once(
    house: House, merchant: OpenedMerchant
) -> None:
    await house.paid(merchant)
    assert sum(await asyncio.gather(*(house.fan_out() for _ in range(4)))) == 1
    assert sum(await asyncio.gather(*(house.deliver() for _ in range(4)))) == 1
    assert len(house.courier.server(SHOP).arrivals) == 1


async def test_a_registered_endpoint_gets_the_event_beside_the_orders_own_address(
    house: House, merchant: OpenedMerchant, add_endpoint: AddEndpoint
) -> None:
    await add_endpoint(caller(merchant), "https://erp.example/hooks", frozenset({"order.paid"}))
    await add_endpoint(caller(merchant), "https://erp.example/closed", frozenset({"order.closed"}))
    await house.paid(merchant)
    await house.fan_out()
    await house.deliver()
    assert set(house.courier.servers) == {SHOP, "https://erp.example/hooks"}


async def test_a_disabled_endpoint_gets_nothing_more(
    house: House, merchant: OpenedMerchant, add_endpoint: AddEndpoint, endpoints: KeepEndpoints
) -> None:
    endpoint = await add_endpoint(caller(merchant), "https://erp.example/hooks")
    await house.paid(merchant)
    await house.fan_out()
    await endpoints.switch(caller(merchant), endpoint.id, enabled=False)
    await house.deliver()
    assert set(house.courier.servers) == {SHOP}
    assert sorted(deliveries(house)) == [DeliveryStatus.CANCELLED, DeliveryStatus.DELIVERED]


async def test_adding_one_address_twice_is_one_endpoint(
    house: House, merchant: OpenedMerchant, add_endpoint: AddEndpoint
) -> None:
    first = await add_endpoint(caller(merchant), "https://erp.example/hooks")
    assert (await add_endpoint(caller(merchant), "https://erp.example/hooks")).id == first.id
    with pytest.raises(Conflict):
        await add_endpoint(caller(merchant), "https://erp.example/hooks", frozenset({"order.paid"}))
    with pytest.raises(InvalidRequest):
        await add_endpoint(caller(merchant), "http://169.254.169.254/")


async def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(
    house: House, merchant: OpenedMerchant, endpoints: KeepEndpoints, clock: FakeClock
) -> None:
    before = await endpoints.secret(caller(merchant), merchant.endpoint.id)
    assert before == merchant.webhook_secret
    rotated = await endpoints.rotate(caller(merchant), merchant.endpoint.id)
    assert await endpoints.secret(caller(merchant), merchant.endpoint.id) != before
    with pytest.raises(Conflict):
        await endpoints.rotate(caller(merchant), merchant.endpoint.id)
    signing = house.deliver.deliver
    assert len(signing._secrets(rotated, clock.now())) == 2
    clock.advance(timedelta(hours=24).total_seconds())
    assert len(signing._secrets(rotated, clock.now())) == 1


async def test_a_secret_that_does_not_open_costs_other_endpoints_nothing(
    house: House, merchant: OpenedMerchant, add_endpoint: AddEndpoint
) -> None:
    broken = await add_endpoint(caller(merchant), "https://broken.example/hook")
    rows = house.database.tables.endpoints
    rows.committed[broken.id] = replace(rows.committed[broken.id], sealed=bytes(48))
    for n in range(3):
        await house.paid(merchant, no=f"A-{n}")
    await house.fan_out()
    with pytest.raises(ExceptionGroup) as failed:
        await house.deliver()
    assert {type(each) for each in failed.value.exceptions} == {ValueError}
    assert house.courier.server(SHOP).paid_amounts() == [10_000] * 3
    assert sorted(deliveries(house)) == [DeliveryStatus.DELIVERED] * 3 + [DeliveryStatus.DUE] * 3


async def test_a_sweep_opens_each_secret_once(
    house: House, merchant: OpenedMerchant, add_endpoint: AddEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_endpoint(caller(merchant), "https://other.example/hook")
    for n in range(3):
        await house.paid(merchant, no=f"A-{n}")
    await house.fan_out()
    opened, open_ = [], house.vault.open

    def open_once(context: str, sealed: bytes) -> bytes:
        opened.append(context)
        return open_(context, sealed)

    monkeypatch.setattr(house.vault, "open", open_once)
    assert await house.deliver() == 6
    assert len(opened) == len(set(opened)) == 2


async def test_another_merchants_endpoint_is_not_found(
    house: House, merchant: OpenedMerchant, endpoints: KeepEndpoints
) -> None:
    stranger = caller(await house.merchant())
    for act in (endpoints.get, endpoints.rotate, endpoints.secret):
        with pytest.raises(NotFound):
            await act(stranger, merchant.endpoint.id)
    with pytest.raises(NotFound):
        await endpoints.switch(stranger, merchant.endpoint.id, enabled=False)
