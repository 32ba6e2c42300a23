"""The fake database keeps the contract that PostgreSQL keeps, and fails in the ways that we ask of it."""

import asyncio
import random

import pytest

from domain.errors import DatabaseUnavailable, NotFound, OutcomeUnknown
from domain.orders import Order, OrderStatus
from tests.contracts.stage import NOW, Stage
from tests.contracts.unit_of_work import UnitOfWorkContract
from tests.fakes import DatabaseFault, FakeDatabase
from tests.fakes.storage import Engine, Transaction


class TestFakeDatabase(UnitOfWorkContract):
    patience_seconds = 0.01

    @pytest.fixture
    def database(self) -> FakeDatabase:
        return FakeDatabase()


@pytest.fixture
def database() -> FakeDatabase:
    return FakeDatabase()


@pytest.fixture
async def stage(database: FakeDatabase) -> Stage:
    return await Stage(database).set()


async def close(stage: Stage, order: Order) -> None:
    async with stage.unit_of_work() as uow:
        await uow.orders.save((await uow.orders.lock(order.id)).close("merchant", now=NOW))


async def status(stage: Stage, order: Order) -> OrderStatus:
    async with stage.unit_of_work() as uow:
        return (await uow.orders.get(order.id)).status


@pytest.mark.parametrize(
    ("fault", "error", "happened"),
    [
        (DatabaseFault.LOST_CONNECTION, DatabaseUnavailable, OrderStatus.PENDING),
        (DatabaseFault.COMMIT_UNDONE, OutcomeUnknown, OrderStatus.PENDING),
        (DatabaseFault.COMMIT_DONE, OutcomeUnknown, OrderStatus.CLOSED),
    ],
)
async def test_a_connection_lost_at_commit_tells_only_what_can_be_known(
    database: FakeDatabase, stage: Stage, fault: DatabaseFault, error: type[Exception], happened: OrderStatus
) -> None:
    order = await stage.order()
    database.faults.once(fault, at="commit")
    with pytest.raises(error):
        await close(stage, order)
    assert await status(stage, order) is happened
    assert await status(stage, order) is happened, "the fault struck once, and its lock is gone"


async def test_a_connection_lost_in_a_statement_leaves_nothing(database: FakeDatabase, stage: Stage) -> None:
    order = await stage.order()
    database.faults.once(DatabaseFault.LOST_CONNECTION, at="orders.save")
    with pytest.raises(DatabaseUnavailable):
        await close(stage, order)
    assert await status(stage, order) is OrderStatus.PENDING


async def test_going_on_after_an_error_inside_a_unit_of_work_is_a_bug_and_says_so(
    database: FakeDatabase, stage: Stage
) -> None:
    database.faults.once(DatabaseFault.LOCK_TIMEOUT, at="orders.add")
    with pytest.raises(AssertionError, match="somebody went on"):
        async with stage.unit_of_work() as uow:
            with pytest.raises(DatabaseUnavailable):
                await uow.orders.add(stage.new_order())
            await uow.merchants.get(stage.merchant.id)


async def test_committing_after_a_swallowed_error_is_a_bug_and_says_so(database: FakeDatabase, stage: Stage) -> None:
    database.faults.once(DatabaseFault.LOCK_TIMEOUT, at="orders.add")
    with pytest.raises(AssertionError, match="swallowed"):
        async with stage.unit_of_work() as uow:
            with pytest.raises(DatabaseUnavailable):
                await uow.orders.add(stage.new_order())


async def test_using_a_unit_of_work_after_its_end_is_a_bug_and_says_so(stage: Stage) -> None:
    async with stage.unit_of_work() as uow:
        pass
    with pytest.raises(AssertionError, match="has ended"):
        await uow.merchants.get(stage.merchant.id)


async def test_a_lock_that_does_not_come_in_time_is_refused() -> None:
    database = FakeDatabase(lock_timeout_seconds=0.01)
    stage = await Stage(database).set()
    order, held = await stage.order(), asyncio.Event()

    async def hold() -> None:
        async with stage.unit_of_work() as uow:
            await uow.orders.lock(order.id)
            held.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    with pytest.raises(DatabaseUnavailable):
        await close(stage, order)
    holder.cancel()
    await asyncio.wait({holder})
    await close(stage, order)


async def test_two_who_wait_for_each_other_are_told_at_once_and_one_goes_on() -> None:
    stage = await Stage(FakeDatabase(lock_timeout_seconds=60.0)).set()
    first, second = await stage.order(), await stage.order()

    async def cross(one: Order, other: Order) -> None:
        async with stage.unit_of_work() as uow:
            await uow.orders.lock(one.id)
            await uow.orders.lock(other.id)

    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(cross(first, second), cross(second, first), return_exceptions=True)
    assert sorted(map(type, outcomes), key=str) == sorted([type(None), DatabaseUnavailable], key=str)


async def test_who_gives_up_leaves_no_trace_in_the_queue() -> None:
    engine, key = Engine(0.01), ("row", "order", "1")
    holder, late, cancelled = (Transaction(engine, no_pause) for _ in range(3))
    assert engine.locks.take(holder, key)
    with pytest.raises(DatabaseUnavailable):
        await engine.locks.acquire(late, key)
    waiting = asyncio.create_task(engine.locks.acquire(cancelled, key))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert engine.locks._queues == {}
    holder.end()
    assert engine.locks.holder(key) is None


async def test_locks_come_first_come_first_served(stage: Stage) -> None:
    order, turns = await stage.order(), list[int]()

    async def visit(n: int) -> None:
        async with stage.unit_of_work() as uow:
            await uow.orders.lock(order.id)
            turns.append(n)
            await uow.orders.get(order.id)

    await asyncio.gather(*(visit(n) for n in range(6)))
    assert turns == [0, 1, 2, 3, 4, 5]


async def no_pause(step: str) -> None:
    return None


async def test_asking_for_a_lock_that_was_just_handed_over_waits_like_any_other() -> None:
    engine = Engine(2.0)
    holder, heir, third = (Transaction(engine, no_pause) for _ in range(3))
    key = ("row", "order", "1")
    assert engine.locks.take(holder, key)
    waiting = asyncio.create_task(engine.locks.acquire(heir, key))
    await asyncio.sleep(0)
    holder.end()  # the heir has the lock now, but has not run yet
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await engine.locks.acquire(third, key)
    await waiting
    assert engine.locks.holder(key) is heir


async def test_a_task_knows_whether_it_is_inside_a_unit_of_work(database: FakeDatabase) -> None:
    inside, leave, seen = asyncio.Event(), asyncio.Event(), list[bool]()

    async def other() -> None:
        async with database.unit_of_work():
            seen.append(database.open_here())
            inside.set()
            await leave.wait()
        seen.append(database.open_here())

    task = asyncio.create_task(other())
    await inside.wait()
    assert not database.open_here()
    leave.set()
    await task
    assert seen == [True, False]


async def test_a_task_that_opens_a_second_unit_of_work_inside_the_first_is_stopped(database: FakeDatabase) -> None:
    with pytest.raises(AssertionError, match="one unit of work at a time"):
        async with database.unit_of_work(), database.unit_of_work():
            pass
    assert not database.open_here()


class Seeded:
    """Lets others run between statements as a seed says, and kills one worker at one of its steps."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.trace: list[str] = []
        self.victim: asyncio.Task[None] | None = None

    async def pause(self, step: str) -> None:
        for _ in range(self.chance.randrange(3)):
            await asyncio.sleep(0)
        task = asyncio.current_task()
        self.trace.append(f"{task.get_name() if task else ''} {step}")
        if self.victim is not None and task is self.victim and self.chance.random() < 0.3:
            raise asyncio.CancelledError


async def live(seed: int) -> list[str]:
    """Six workers place and close orders; one is killed. Fails if an acknowledged order is lost or half done."""
    seeded = Seeded(seed)
    database = FakeDatabase(pause=seeded.pause)
    stage = await Stage(database).set()
    shared, acknowledged = await stage.order("shared"), list[Order]()

    async def work(order: Order) -> None:
        async with stage.unit_of_work() as uow:
            await uow.orders.add(order)
            locked = await uow.orders.lock(shared.id)
            await uow.orders.save(locked)
        acknowledged.append(order)
        await close(stage, order)

    tasks = [asyncio.create_task(work(stage.new_order(str(n))), name=str(n)) for n in range(6)]
    seeded.victim = tasks[seeded.chance.randrange(6)]
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [task.get_name() for task in tasks if task.cancelled() and task is not seeded.victim] == []
    assert [task.exception() for task in tasks if task is not seeded.victim] == [None] * 5
    async with stage.unit_of_work() as uow:
        for order in acknowledged:
            await uow.orders.get(order.id)
        closed = [row.order for row in database.tables.orders.committed.values() if row.order.closed_at]
        published = {event.object_id for event in await uow.outbox.claim(limit=99)}
        assert {order.id for order in closed} == published
        await uow.orders.lock(shared.id)
    return seeded.trace


async def test_no_acknowledged_order_is_lost_however_units_of_work_interleave_and_die() -> None:
    for seed in range(150):
        await live(seed)


async def test_the_same_seed_gives_the_same_life() -> None:
    for seed in range(5):
        assert await live(seed) == await live(seed)


async def test_an_unknown_thing_does_not_end_a_unit_of_work(stage: Stage) -> None:
    order = stage.new_order()
    async with stage.unit_of_work() as uow:
        with pytest.raises(NotFound):
            await uow.orders.get(order.id)
        await uow.orders.add(order)
    assert await status(stage, order) is OrderStatus.PENDING
