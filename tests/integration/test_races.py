"""Races on PostgreSQL: the container's use cases, many at once, meeting right before the same statement.

A gate is a lock on a whole table, held by the owner: everybody runs up to it on a connection of his own, and when all
stand there, it opens. What then happens is PostgreSQL's to decide, again and again. Only the channels and the courier
are fakes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial, wraps
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from dependency_injector import providers

from adapters.outbound.sql.promises import SqlPromises
from application.confirm_attempt import Outcome
from application.deliver_notification import DeliverDueNotifications
from application.expire_orders import ExpireOrders
from application.open_merchant import NewAccount
from application.ports.world import Clock
from application.receive_notice import NoticeHandled
from bootstrap.container import Container, opened
from bootstrap.settings import Settings
from domain.attempts import Attempt
from domain.channels import Channel, ChannelReport, ChannelState, Method, Mode
from domain.errors import Conflict, PitayaError
from domain.merchants import Caller
from domain.orders import Order, OrderStatus
from domain.payments import Unattributed
from tests.contracts.stage import end
from tests.fakes import FakeChannel, FakeCourier, PayerRefused
from tests.fakes.house import FEE_PLAN, SHOP, caller, request
from tests.integration.stack import settings_of

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE
CROWD = 12
HELD_WITHIN = 1.5  # seconds: our connections give up a lock after two

Owner = Any  # asyncpg's connection, generic only in its stubs
Call = Callable[[], Awaitable[object]]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Later:
    """Two hours on: every order's time is up."""

    clock: Clock

    def now(self) -> datetime:
        return self.clock.now() + timedelta(hours=2)


@dataclass
class Arena:
    """The container on fake channels, one merchant, and a connection for gates and for looking."""

    container: Container
    channels: dict[Channel, FakeChannel]
    caller: Caller
    owner: Owner
    placed: int = 0

    async def place(self) -> Order:
        self.placed += 1
        return await self.container.place_order()(self.caller, request(f"race-{self.placed}"))

    async def start(self, order: Order, method: Method) -> Attempt:
        return await self.container.start_attempt()(self.caller, order.id, method)

    async def opened(self, method: Method) -> tuple[Order, Attempt, FakeChannel]:
        order = await self.place()
        return order, await self.start(order, method), self.channels[method.channel]

    async def notice(self, attempt: Attempt) -> NoticeHandled:
        headers, body = self.channels[attempt.method.channel].notice(attempt.number)
        return await self.container.receive_notice()(attempt.method.channel, attempt.account_id, headers, body)

    @asynccontextmanager
    async def gate(self, table: str) -> AsyncIterator[None]:
        """Nobody locks or writes a row of ``table`` before the block ends."""
        async with self.owner.transaction():
            await self.owner.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield

    async def held(self, *tasks: "asyncio.Task[Any]") -> None:
        """Returns when each of them stands at the gate (or behind somebody who does) or has found nothing to do."""
        deadline = asyncio.get_running_loop().time() + HELD_WITHIN
        while True:
            waiting = await self.count("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
            if waiting + sum(task.done() for task in tasks) >= len(tasks):
                assert waiting, "all were done before they met"
                return
            assert asyncio.get_running_loop().time() < deadline, f"{waiting} of {len(tasks)} came to the gate"
            await asyncio.sleep(0.005)

    async def meet(self, table: str, *calls: Call) -> list[Any]:
        """What each call returned or raised, after all of them stood at the gate together."""
        barrier = asyncio.Barrier(len(calls))

        async def run(call: Call) -> object:
            await barrier.wait()
            return await call()

        async with self.gate(table):
            tasks = [asyncio.create_task(run(call)) for call in calls]
            await self.held(*tasks)
        return await end(*tasks)

    async def count(self, query: str, *values: object) -> int:
        return int(await self.owner.fetchval(query, *values))

    async def is_paid_once(self, order: Order) -> None:
        """One fact, one pair of transfers, one event that waits for its fan-out."""
        async with self.container.database().unit_of_work() as uow:
            assert (await uow.orders.get(order.id)).status is OrderStatus.PAID
            (payment,) = await uow.payments.of_order(order.id)
            assert payment.unattributed is None
            assert [transfer.amount.minor for transfer in await uow.ledger.about(payment.id)] == [9_940, 60]
        events = "SELECT count(*) FROM event WHERE object_id = $1 AND type = 'order.paid'"
        assert await self.count(events, order.id) == 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arena(module_database_url: str, redis_server: str) -> AsyncIterator[Arena]:
    nowhere = "http://127.0.0.1:9"
    environment = settings_of(module_database_url, redis_server, nowhere, nowhere)
    pools = {"PITAYA_POOL_SIZE": str(CROWD), "PITAYA_NOTICE_POOL_SIZE": str(CROWD)}
    owner = await asyncpg.connect(module_database_url.replace("+asyncpg", "", 1))
    async with opened(Settings.from_environment(environment | pools)) as container:
        inside = container.database().open_here
        channels = {channel: FakeChannel(channel, container.clock(), open_here=inside) for channel in Channel}
        container.channels.override(providers.Object(channels))
        merchant = await container.open_merchant()(
            "Café", FEE_PLAN, Mode.TEST, accounts=[account(m) for m in (ALIPAY, WECHAT)]
        )
        yield Arena(container, channels, caller(merchant), owner)
    await owner.close()


def account(method: Method) -> NewAccount:
    return NewAccount(
        channel=method.channel,
        app_id=f"app-{method.channel}",
        payee=f"payee-{method.channel}",
        methods=frozenset({method}),
        public={},
        secrets={"key": "secret"},
    )


Race = Callable[[Arena, str], Awaitable[None]]


def rounds(*tables: str, times: int = 10) -> Callable[[Race], Race]:
    """Run the race so many times at each of these gates."""

    def repeat(race: Race) -> Race:
        @wraps(race)
        async def repeated(arena: Arena, gate: str) -> None:
            for _ in range(times):
                await race(arena, gate)

        return pytest.mark.parametrize("gate", tables)(repeated)

    return repeat


# ── Money ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@rounds("payment_order", "attempt", "channel_payment")
async def test_equal_notices_at_once_are_one_credit(arena: Arena, gate: str) -> None:
    order, attempt, channel = await arena.opened(ALIPAY)
    channel.pay(attempt.number)
    handled = await arena.meet(gate, *[lambda: arena.notice(attempt)] * CROWD)
    assert sorted(each.outcome for each in handled) == [Outcome.CONFIRMED] + [Outcome.KNOWN] * (CROWD - 1)
    assert all(each.accepted for each in handled)
    await arena.is_paid_once(order)
    assert await arena.count("SELECT count(*) FROM notice WHERE notice_id LIKE '%' || $1 || '%'", attempt.number) == 1


@rounds("payment_order", "attempt", "channel_payment")
async def test_notice_poll_close_and_expiry_of_a_paid_order_are_one_credit(arena: Arena, gate: str) -> None:
    order, attempt, channel = await arena.opened(WECHAT)
    channel.pay(attempt.number)
    expire = arena.container.sweeps()["expire_orders"]
    assert isinstance(expire, ExpireOrders)
    expire = replace(expire, clock=Later(arena.container.clock()))
    calls: list[Call] = [
        *[lambda: arena.notice(attempt)] * 2,
        *[lambda: arena.container.check_attempt()(attempt)] * 2,
        *[lambda: arena.container.close_order()(order.id, "merchant")] * 2,
        *[expire] * 2,
    ]
    notice, again, poll, another, close, closing, *_ = await arena.meet(gate, *calls)
    for handled in (notice, again):
        assert isinstance(handled, NoticeHandled)
        assert handled.accepted
    for report in (poll, another):
        assert isinstance(report, ChannelReport)
        assert report.state is ChannelState.PAID
    for refused in (close, closing):
        assert isinstance(refused, Conflict)
        assert refused.code == "order_paid"
    await arena.is_paid_once(order)


@rounds("payment_order", times=20)
async def test_money_that_comes_while_we_close_pays_the_order_or_is_held(arena: Arena, gate: str) -> None:
    """An Alipay code that nobody has scanned cannot be closed there: its query says that there is nothing."""
    order, attempt, channel = await arena.opened(ALIPAY)
    async with arena.gate(gate):
        closing = asyncio.create_task(arena.container.close_order()(order.id, "merchant"))
        await arena.held(closing)  # the channel has been asked
        channel.pay(attempt.number)
        notices = [asyncio.create_task(arena.notice(attempt)) for _ in range(3)]
        await arena.held(closing, *notices)
    closed, *handled = await end(closing, *notices)
    assert all(each.accepted for each in handled)
    async with arena.container.database().unit_of_work() as uow:
        (payment,) = await uow.payments.of_order(order.id)
        status = (await uow.orders.get(order.id)).status
    if isinstance(closed, Order):
        assert (status, payment.unattributed) == (OrderStatus.CLOSED, Unattributed.LATE)
    else:
        assert isinstance(closed, Conflict)
        assert (status, payment.unattributed) == (OrderStatus.PAID, None)


# ── Orders and attempts ──────────────────────────────────────────────────────────────────────────────────────────────


@rounds("payment_order", "event", times=15)
async def test_equal_orders_placed_at_once_are_one(arena: Arena, gate: str) -> None:
    arena.placed += 1
    asked = request(f"equal-{arena.placed}")
    orders = await arena.meet(gate, *[lambda: arena.container.place_order()(arena.caller, asked)] * CROWD)
    assert len({order.id for order in orders}) == 1
    assert sum(bool(order.events) for order in orders) == 1, "one call placed it, the others found it"
    assert await arena.count("SELECT count(*) FROM event WHERE object_id = $1", orders[0].id) == 1


@rounds("payment_order", "event", times=15)
async def test_of_unequal_orders_under_one_number_one_stands_and_the_others_conflict(arena: Arena, gate: str) -> None:
    arena.placed += 1
    asked = [request(f"unequal-{arena.placed}", amount) for amount in (100, 200)] * (CROWD // 2)
    results = await arena.meet(gate, *(partial(arena.container.place_order(), arena.caller, one) for one in asked))
    standing = next(result for result in results if isinstance(result, Order))
    for wanted, result in zip(asked, results, strict=True):
        if wanted == standing.request:
            assert isinstance(result, Order)
        else:
            assert isinstance(result, Conflict)
            assert result.code == "merchant_order_no_taken"
    assert len({result.id for result in results if isinstance(result, Order)}) == 1


@rounds("payment_order", "attempt", times=15)
async def test_equal_first_attempts_are_one_under_one_number(arena: Arena, gate: str) -> None:
    order = await arena.place()
    attempts = await arena.meet(gate, *[lambda: arena.start(order, WECHAT)] * 6)
    shown = [(attempt.id, attempt.number, attempt.action) for attempt in attempts]
    assert shown == shown[:1] * 6
    assert await arena.count("SELECT count(*) FROM attempt WHERE order_id = $1", order.id) == 1


@rounds("payment_order", "attempt", times=15)
async def test_first_attempts_of_two_methods_have_a_number_each_and_one_pays_the_order(arena: Arena, gate: str) -> None:
    order = await arena.place()
    met = await arena.meet(gate, *(partial(arena.start, order, method) for method in (ALIPAY, WECHAT) * 2))
    assert [each for each in met if not isinstance(each, Attempt | PitayaError)] == [], "a refusal is an answer"
    started = [each for each in met if isinstance(each, Attempt)]
    assert len({(attempt.method, attempt.number) for attempt in started}) == 2
    assert await arena.count("SELECT count(*) FROM attempt WHERE order_id = $1", order.id) == 2
    taken = [attempt for attempt in {each.id: each for each in started}.values() if pays(arena, attempt)]
    handled = await arena.meet("channel_payment", *(partial(arena.notice, one) for one in taken))
    assert sorted(each.outcome for each in handled) == [Outcome.CONFIRMED, Outcome.HELD][: len(taken)]
    async with arena.container.database().unit_of_work() as uow:
        payments = await uow.payments.of_order(order.id)
        assert (await uow.orders.get(order.id)).status is OrderStatus.PAID
    assert sorted(str(payment.unattributed) for payment in payments) == ["None", "second"][: len(taken)]


def pays(arena: Arena, attempt: Attempt) -> bool:
    """Whether the payer's wallet could still pay it."""
    try:
        arena.channels[attempt.method.channel].pay(attempt.number)
    except PayerRefused:
        return False
    return True


# ── Workers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def couriers(arena: Arena) -> tuple[DeliverDueNotifications, DeliverDueNotifications, FakeCourier]:
    """The sweeps of two workers with a courier that remembers. Each its own: what one does, it may batch."""
    deliver = arena.container.sweeps()["deliver_notifications"]
    assert isinstance(deliver, DeliverDueNotifications)
    courier = FakeCourier(arena.container.database().open_here)

    def worker() -> DeliverDueNotifications:
        return replace(deliver, deliver=replace(deliver.deliver, courier=courier))

    return worker(), worker(), courier


async def paid_event(arena: Arena) -> str:
    """The one event that waits in the outbox."""
    await arena.owner.execute("DELETE FROM outbox")
    order, attempt, channel = await arena.opened(WECHAT)
    channel.pay(attempt.number)
    await arena.notice(attempt)
    return str(
        await arena.owner.fetchval("SELECT id FROM event WHERE object_id = $1 AND type = 'order.paid'", order.id)
    )


@rounds("outbox", times=20)
async def test_two_workers_fan_one_event_out_once_and_deliver_it_once(arena: Arena, gate: str) -> None:
    event = await paid_event(arena)
    fan_out = arena.container.sweeps()["fan_out_events"]
    assert sorted(await arena.meet(gate, *[fan_out] * 2)) == [0, 1]
    assert await arena.count("SELECT count(*) FROM delivery WHERE event_id = $1", event) == 1
    one, other, courier = couriers(arena)
    assert sorted(await arena.meet("delivery", one, other)) == [0, 1]
    assert courier.server(SHOP).arrivals == [event]
    row = await arena.owner.fetchrow("SELECT status, tries FROM delivery WHERE event_id = $1", event)
    assert tuple(row) == ("delivered", 1)


@rounds("delivery", times=20)
async def test_two_tries_of_one_delivery_carry_one_id_and_store_one_success(arena: Arena, gate: str) -> None:
    """The lease ran out while the first was still waiting for its answer."""
    event = await paid_event(arena)
    await arena.container.sweeps()["fan_out_events"]()
    one, other, courier = couriers(arena)
    async with arena.container.database().unit_of_work() as uow:
        (claimed,) = await uow.deliveries.claim_due(arena.container.clock().now(), limit=10, per_endpoint=10)
    assert await arena.meet(gate, *(partial(worker.try_all, [claimed]) for worker in (one, other))) == [None, None]
    assert courier.server(SHOP).arrivals == [event, event]
    tries = "(SELECT count(*) FROM delivery_try WHERE delivery_id = d.id)"
    row = await arena.owner.fetchrow(f"SELECT status, {tries} FROM delivery d WHERE event_id = $1", event)
    assert tuple(row) == ("delivered", 2), "both tries are in its history"


async def test_after_all_races_every_promise_holds(arena: Arena) -> None:
    fan_out = arena.container.sweeps()["fan_out_events"]
    assert isinstance(await fan_out(), int)
    deliver, *_ = couriers(arena)
    while await deliver():
        pass
    broken = await SqlPromises(arena.container.database().engine).broken()
    # Events that paid_event() took out of the outbox by hand were never fanned out: that is what it is for.
    assert [breach for breach in broken if breach.promise != "L3"] == []
