"""What becomes of a unit of work when things go wrong, and how little is said when they go well."""

import asyncio
import importlib
import pkgutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import pytest
from sqlalchemy import func, make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound import sql
from adapters.outbound.sql import SqlDatabase, create_engine
from adapters.outbound.sql import engine as engines
from adapters.outbound.sql.engine import SETTINGS
from adapters.outbound.sql.failures import StaleWrite
from adapters.outbound.sql.migrations import APPLICATION_ROLE
from adapters.outbound.sql.statements import FEW, Write, prepare
from adapters.outbound.sql.transaction import Transaction, reading
from application.ports.storage import AlreadyExists
from domain.bookkeeping import payment_received
from domain.channels import ChannelNotice, Method
from domain.errors import DatabaseUnavailable, NotFound, OutcomeUnknown
from domain.orders import Order
from domain.payments import ChannelPayment
from tests.contracts.stage import NOW, Stage
from tests.integration.sql.conftest import Stored
from tests.integration.sql.wire import Wire, wired


def _sql_modules() -> list[ModuleType]:
    return [importlib.import_module(f"{sql.__name__}.{found.name}") for found in pkgutil.iter_modules(sql.__path__)]


def _has_few(write: object) -> TypeGuard[Write]:
    return isinstance(write, Write) and write.few is not None and write.table != "watched"


Owner = Any  # asyncpg's connection, generic only in its stubs


@pytest.fixture
async def wire(module_database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Wire]:
    """With True as its parameter, one that lingers."""
    with tempfile.TemporaryDirectory(prefix="pty") as directory:
        async with wired(module_database_url, Path(directory)) as wire:
            wire.lingers = getattr(request, "param", False)
            yield wire


@pytest.fixture
async def far(wire: Wire) -> AsyncIterator[SqlDatabase]:
    """The same database behind the wire."""
    engine = create_engine(wire.url, pool_size=2, role=APPLICATION_ROLE)
    yield SqlDatabase(engine)
    await engine.dispose()


async def add(database: SqlDatabase, order: Order) -> None:
    async with database.unit_of_work() as uow:
        await uow.orders.add(order)


async def is_stored(stage: Stage, order: Order) -> bool:
    async with stage.unit_of_work() as uow:
        try:
            return (await uow.orders.get(order.id)).id == order.id
        except NotFound:
            return False


# ── Few words ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_placing_an_order_is_one_exchange_with_the_server(stage: Stage, wire: Wire, far: SqlDatabase) -> None:
    await add(far, stage.new_order())  # connects and prepares
    wire.asked.clear()
    await add(far, stage.new_order())
    assert wire.asked == ["execute"]


async def test_reading_needs_no_transaction(stage: Stage, wire: Wire, far: SqlDatabase) -> None:
    order = await stage.order()
    async with far.unit_of_work() as uow:
        await uow.orders.get(order.id)
        wire.asked.clear()
        await uow.orders.get(order.id)
        await uow.merchants.get(stage.merchant.id)
    assert wire.asked == ["execute"] * 2


@pytest.mark.parametrize("watching", [True, False])
async def test_confirming_a_payment_sends_all_its_writes_at_once(
    stage: Stage, wire: Wire, far: SqlDatabase, watching: bool
) -> None:
    async def confirm() -> ChannelPayment:
        order = await stage.order()
        attempt = await stage.attempt(order)
        payment = stage.new_payment(order, attempt)
        wire.asked.clear()
        async with far.unit_of_work() as uow:
            attempts = uow.attempts
            found = await (attempts.watch_numbered if watching else attempts.lock_numbered)(attempt.number)
            assert found is not None
            locked, trying = found
            await uow.payments.add(payment)
            await uow.attempts.save(trying.succeeded(NOW))
            await uow.ledger.post(payment_received(payment))
            await uow.orders.save(locked.pay(payment.total, method=attempt.method, paid_at=NOW, now=NOW))
            notice = ChannelNotice(f"n-{order.id}", "payment", None)
            await uow.notices.add(stage.account.id, notice, body=b"", outcome="confirmed", received_at=NOW)
        return payment

    await confirm()  # connects, prepares, and opens the accounts
    payment = await confirm()
    assert wire.asked == (["execute"] * 2 if watching else ["BEGIN", "execute", "execute", "COMMIT"])
    async with stage.unit_of_work() as uow:
        assert len(await uow.ledger.about(payment.id)) == 2
        assert (await uow.orders.get(str(payment.order_id))).paid == payment.total
        assert len(await uow.outbox.claim(limit=9)) == 2


@pytest.mark.parametrize("rows", [1, 2, 3])
async def test_however_many_rows_a_write_has_each_is_stored_as_it_was_given(stage: Stage, rows: int) -> None:
    """One and two are parameters, three are JSON: with bytes, maps, times, flags, numbers and what is not there."""
    orders = [await stage.order() for _ in range(rows)]
    paid = [order.pay(order.amount, method=Method.WECHAT_NATIVE, paid_at=NOW, now=NOW) for order in orders]
    body, headers = bytes(range(256)), {"wechatpay-nonce": '"火龙果"\\'}
    async with stage.unit_of_work() as uow:
        for order in paid:
            await uow.orders.save(order)
            notice = ChannelNotice(f"n-{order.id}", "payment", None, headers=headers)
            await uow.notices.add(stage.account.id, notice, body=body, outcome="confirmed", received_at=NOW)
    async with stage.unit_of_work() as uow:
        for order in paid:
            assert await uow.orders.get(order.id) == replace(order, events=())
            kept = await uow.notices.get(stage.account.id, f"n-{order.id}")
            assert (kept.body, kept.headers, kept.received_at) == (body, headers, NOW)
            assert order.events[-1] in await uow.events.about([order.id])


def test_parameters_stand_in_the_order_in_which_a_row_gives_them() -> None:
    writes = {write.name: write for module in _sql_modules() for write in vars(module).values() if _has_few(write)}
    assert len(writes) > 50
    for write in writes.values():
        for rows in range(1, FEW + 1):
            words = write.words(rows)
            assert list(words.names) == [f"{name}_{row}" for row in range(rows) for name, _ in write.columns], write
            assert not words.constants, write.name


# ── Constraints ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_taken_key_is_named_from_a_statement_and_from_the_end(stage: Stage) -> None:
    order = await stage.order("A-1")
    again = stage.new_order("A-1")
    with pytest.raises(AlreadyExists) as at_the_end:
        async with stage.unit_of_work() as uow:
            await uow.orders.add(again)
    with pytest.raises(AlreadyExists) as in_a_statement:
        async with stage.unit_of_work() as uow:
            await uow.orders.add(again)
            await uow.orders.get(order.id)
    assert at_the_end.value.constraint == in_a_statement.value.constraint == "uq_order_merchant_order_no"


async def test_a_known_transaction_is_a_better_answer_than_a_paid_order(stage: Stage) -> None:
    order = await stage.order()
    attempt = await stage.attempt(order)
    payment = stage.new_payment(order, attempt, "T-1")
    async with stage.unit_of_work() as uow:
        await uow.payments.add(payment)
    with pytest.raises(AlreadyExists) as taken:
        async with stage.unit_of_work() as uow:
            await uow.payments.add(replace(payment, id="pay_2"))
    assert taken.value.constraint == "uq_channel_payment_transaction"


async def test_saving_what_has_moved_on_is_a_bug_that_shows(stage: Stage) -> None:
    order = await stage.order()
    async with stage.unit_of_work() as uow:
        closed = (await uow.orders.lock(order.id)).close("merchant", now=NOW)
        await uow.orders.save(closed)
    with pytest.raises(StaleWrite):
        async with stage.unit_of_work() as uow:
            await uow.orders.save(order)  # read before, never locked
    async with stage.unit_of_work() as uow:
        assert await uow.orders.get(order.id) == replace(closed, events=())


async def test_an_error_that_somebody_swallows_commits_nothing(stage: Stage) -> None:
    order, new = await stage.order("A-1"), stage.new_order()
    with pytest.raises(AssertionError, match="went on in it"):
        async with stage.unit_of_work() as uow:
            await uow.orders.add(new)
            await uow.orders.lock(order.id)
            await uow.orders.add(stage.new_order("A-1"))
            with pytest.raises(AlreadyExists):
                await uow.orders.get(order.id)
    assert not await is_stored(stage, new)


# ── The line is cut ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("heard", [True, False])
async def test_a_commit_without_an_answer_has_an_unknown_outcome(
    stage: Stage, wire: Wire, far: SqlDatabase, heard: bool
) -> None:
    order, new = await stage.order(), stage.new_order()
    setattr(wire, "cut_after" if heard else "cut_before", lambda question: question == "COMMIT")
    with pytest.raises(OutcomeUnknown):
        async with far.unit_of_work() as uow:
            await uow.orders.lock(order.id)
            await uow.orders.add(new)
    assert await is_stored(stage, new) is heard


@pytest.mark.parametrize("heard", [True, False])
async def test_a_single_statement_without_an_answer_has_an_unknown_outcome(
    stage: Stage, wire: Wire, far: SqlDatabase, heard: bool
) -> None:
    await add(far, stage.new_order())
    new = stage.new_order()
    setattr(wire, "cut_after" if heard else "cut_before", lambda question: question == "execute")
    with pytest.raises(OutcomeUnknown):
        await add(far, new)
    wire.cut_after = wire.cut_before = lambda _: False
    assert await is_stored(stage, new) is heard
    await add(far, stage.new_order())  # the lost connection is not handed out again


async def test_a_connection_lost_before_the_commit_leaves_no_doubt(stage: Stage, wire: Wire, far: SqlDatabase) -> None:
    order, new = await stage.order(), stage.new_order()
    with pytest.raises(DatabaseUnavailable):
        async with far.unit_of_work() as uow:
            await uow.orders.lock(order.id)
            await uow.orders.add(new)
            wire.cut_after = lambda question: question == "execute"
            await uow.orders.get(order.id)
    assert not await is_stored(stage, new)


@pytest.mark.parametrize("done", range(4))
@pytest.mark.parametrize("wire", [False, True], ids=["closed", "its farewell heard"], indirect=True)
async def test_a_session_that_the_server_ends_after_any_statement_is_lost_and_no_bug(
    stage: Stage, owner: Owner, wire: Wire, far: SqlDatabase, done: int
) -> None:
    new = stage.new_order()
    pid = prepare(select(func.pg_backend_pid().label("pid")))

    async def end(session: int) -> None:
        wire.ended.clear()
        assert await owner.fetchval("SELECT pg_terminate_backend($1, 5000)", session)
        async with asyncio.timeout(5):
            await wire.ended.wait()
        for _ in range(3):
            await asyncio.sleep(0)  # our loop reads what the wire has passed on

    tx = Transaction(far.engine)
    (session,) = await tx.run(pid)
    with pytest.raises((DatabaseUnavailable, OutcomeUnknown)) as lost:
        try:
            for step in range(4):
                if step == done:
                    await end(session["pid"])
                if step < 3:
                    await tx.run(pid)
            await tx.commit()
        finally:
            await tx.close()
    assert isinstance(lost.value, DatabaseUnavailable) or done == 3
    wire.lingers = False
    await add(far, new)  # the lost connection is not handed out again
    assert await is_stored(stage, new)


@pytest.mark.parametrize("place", [True, False])
async def test_a_server_that_falls_silent_is_waited_for_once_and_its_connection_thrown_away(
    stage: Stage, wire: Wire, monkeypatch: pytest.MonkeyPatch, place: bool
) -> None:
    monkeypatch.setattr(engines, "COMMAND_SECONDS", 0.5)
    engine = create_engine(wire.url, pool_size=1, role=APPLICATION_ROLE)
    far, order, new = SqlDatabase(engine), await stage.order(), stage.new_order()
    await add(far, stage.new_order())
    wire.swallowed = lambda question: question == "execute"
    with pytest.raises(OutcomeUnknown if place else DatabaseUnavailable):
        async with far.unit_of_work() as uow:
            await (uow.orders.add(new) if place else uow.orders.get(order.id))
    wire.swallowed = lambda _: False
    await add(far, new)
    assert await is_stored(stage, new)
    await engine.dispose()


async def test_connections_that_died_in_the_pool_are_noticed_before_they_are_used(
    stage: Stage, owner: Owner, engine: AsyncEngine
) -> None:
    await asyncio.gather(*(stage.order() for _ in range(4)))
    kill = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = 'pitaya'"
    assert await owner.fetchval(f"{kill} AND datname = current_database()") >= 1
    for _ in range(3):
        await asyncio.sleep(0)  # they have ended: now our loop reads their goodbyes
    await asyncio.gather(*(stage.order() for _ in range(4)))


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    engine = create_engine(f"postgresql://pitaya@/pitaya?host={tmp_path}")
    with pytest.raises(DatabaseUnavailable):
        async with SqlDatabase(engine).unit_of_work() as uow:
            await uow.orders.get("ord_1")
    await engine.dispose()


# ── Waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_waits_too_long_for_a_lock_gives_up_and_may_come_again(stage: Stage) -> None:
    order = await stage.order()
    async with stage.unit_of_work() as uow:
        await uow.orders.lock(order.id)

        async def want() -> None:
            async with stage.unit_of_work() as second:
                await second.orders.lock(order.id)

        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            await asyncio.create_task(want())
    await want()


async def test_a_query_that_the_server_stops_leaves_the_connection_usable(owner: Owner, engine: AsyncEngine) -> None:
    async with reading(engine) as tx:
        nap = asyncio.create_task(tx.read(prepare(select(func.pg_sleep(20)))))
        stop = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        async with asyncio.timeout(5):
            while await owner.fetchval(f"{stop} AND datname = current_database()") == 0:  # noqa: ASYNC110 - polled
                await asyncio.sleep(0.02)
        with pytest.raises(DatabaseUnavailable):
            await nap
        assert len(await tx.read(prepare(select(func.now())))) == 1


async def test_every_connection_has_its_timeouts_and_its_role(database: Stored) -> None:
    async with reading(database.engine) as tx:
        for name, value in {**SETTINGS, "role": APPLICATION_ROLE, "application_name": "pitaya"}.items():
            (found,) = await tx.read(prepare(select(func.current_setting(name).label("value"))))
            assert str(found["value"]) == value


async def test_notices_are_taken_while_the_other_pool_is_exhausted(module_database_url: str, stage: Stage) -> None:
    def engine_of(seconds: float) -> AsyncEngine:
        return create_engine(module_database_url, pool_size=1, role=APPLICATION_ROLE, pool_seconds=seconds)

    order = await stage.order()
    busy, notices = engine_of(0.1), engine_of(0.1)
    async with SqlDatabase(busy).unit_of_work() as uow:
        await uow.orders.lock(order.id)
        with pytest.raises(DatabaseUnavailable):
            await asyncio.create_task(add(SqlDatabase(busy), stage.new_order()))
        async with SqlDatabase(notices).unit_of_work() as other:
            await other.notices.add(
                "cha_1", ChannelNotice("n-1", "payment", None), body=b"", outcome="", received_at=NOW
            )
    await busy.dispose()
    await notices.dispose()


async def test_a_unit_of_work_knows_that_it_is_open(database: Stored) -> None:
    async def inside() -> bool:
        return database.open_here()

    assert not database.open_here()
    async with database.unit_of_work():
        assert database.open_here()
        assert await inside()
    with pytest.raises(KeyError):
        async with database.unit_of_work():
            raise KeyError
    assert not database.open_here()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg"])
def test_a_url_may_name_postgresql_in_any_way(scheme: str) -> None:
    engine = create_engine(f"{scheme}://u:p@h:1/d")
    assert engine.url == make_url("postgresql+asyncpg://u:p@h:1/d")
