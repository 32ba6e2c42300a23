"""What the application may not do, and what keeps a process from starting."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql import SqlClock, create_engine
from adapters.outbound.sql.health import APPEND_ONLY, ping, unsafe_settings
from adapters.outbound.sql.migrations import APPLICATION_ROLE, head_revision
from adapters.outbound.sql.tables import metadata
from domain.errors import DatabaseUnavailable

Owner = Any  # asyncpg's connection, generic only in its stubs


@pytest.fixture
async def own(database_url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """The owner of a database that this test may spoil."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", "", 1))
    yield connection
    await connection.close()


@pytest.fixture
async def spoilt(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The application in that database."""
    engine = create_engine(database_url, pool_size=1, role=APPLICATION_ROLE)
    yield engine
    await engine.dispose()


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_what_happened_cannot_be_changed_by_the_application(
    engine: AsyncEngine, table: str, statement: str
) -> None:
    for column in metadata.tables[table].columns:
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match=r"permission denied|can only be updated to DEFAULT"):
                await connection.execute(text(statement.format(table, column.name, column.name)))
        if "UPDATE" not in statement:
            break


# Queues, counters, sessions that are over, notices that nobody believed, and the lines of a bill, which one issued
# again replaces.
PASSING = {
    "outbox",
    "idempotency",
    "circuit",
    "throttle",
    "session",
    "refused_notice",
    "statement_line",
    "fund_line",
    "merchant_statement_due",
}


@pytest.mark.parametrize("table", sorted(set(metadata.tables) - PASSING))
async def test_nothing_but_what_passes_may_be_deleted(engine: AsyncEngine, table: str) -> None:
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(text(f"DELETE FROM {table}"))


@pytest.mark.parametrize(
    "column", ["id", "merchant_id", "mode", "merchant_order_no", "amount", "currency", "created_at", "expires_at"]
)
async def test_what_an_order_asked_for_cannot_be_changed(engine: AsyncEngine, column: str) -> None:
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(text(f"UPDATE payment_order SET {column} = {column}"))


@pytest.mark.parametrize(
    "statement", ["DROP TABLE transfer", "ALTER TABLE transfer DISABLE TRIGGER ALL", "CREATE TABLE t ()"]
)
async def test_the_application_cannot_change_the_schema(engine: AsyncEngine, statement: str) -> None:
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            await connection.execute(text(statement))


async def test_nothing_speaks_against_a_database_that_is_set_up_as_it_should_be(engine: AsyncEngine) -> None:
    assert await unsafe_settings(engine) == []
    assert await ping(engine) == ("database", True, f"schema {head_revision()}", True)


async def test_an_owner_is_no_application(module_database_url: str) -> None:
    engine = create_engine(module_database_url, pool_size=1)
    reasons = "; ".join(await unsafe_settings(engine))
    await engine.dispose()
    for table in APPEND_ONLY:
        assert f"may UPDATE rows of {table}" in reasons
    assert "may DELETE rows of transfer" in reasons
    assert "superuser" in reasons


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("GRANT UPDATE (amount) ON transfer TO pitaya_app", "may UPDATE rows of transfer"),
        ("GRANT UPDATE (body) ON notice TO pitaya_app", "may UPDATE rows of notice"),
        ("GRANT DELETE ON event TO pitaya_app", "may DELETE rows of event"),
        ("GRANT TRUNCATE ON delivery_try TO PUBLIC", "may TRUNCATE rows of delivery_try"),
        ("ALTER DATABASE {} SET synchronous_commit = off", "synchronous_commit = off"),
        ("UPDATE alembic_version SET version_num = '0003'", "the schema is at 0003"),
        ("DELETE FROM alembic_version", "the schema is at None"),
    ],
)
async def test_each_danger_is_named(
    own: Owner, spoilt: AsyncEngine, database_url: str, spoil: str, reason: str
) -> None:
    await own.execute(spoil.format(f'"{make_url(database_url).database}"'))
    (found,) = await unsafe_settings(spoilt)
    assert reason in found


async def test_a_schema_newer_than_this_process_keeps_it_in_service(own: Owner, spoilt: AsyncEngine) -> None:
    await own.execute("UPDATE alembic_version SET version_num = '9999'")
    assert await ping(spoilt) == ("database", True, "schema 9999", True)


async def test_a_server_that_is_not_there_is_reported_and_not_raised(tmp_path: Path) -> None:
    engine = create_engine(f"postgresql://pitaya@/pitaya?host={tmp_path}")
    name, works, _, required = await ping(engine)
    assert (name, works, required) == ("database", False, True)
    with pytest.raises(DatabaseUnavailable):
        await unsafe_settings(engine)
    await engine.dispose()


async def test_the_clock_follows_the_databases(engine: AsyncEngine, owner: Owner) -> None:
    clock = SqlClock(engine)
    clock.skew += await owner.fetchval("SELECT interval '1 hour'")
    skew = await clock.refresh()
    assert clock.skew == skew
    before = await owner.fetchval("SELECT clock_timestamp()")
    ours = clock.now()
    after = await owner.fetchval("SELECT clock_timestamp()")
    assert before - abs(skew) <= ours <= after + abs(skew)
    assert ours.utcoffset() is not None
    assert abs(skew.total_seconds()) < 1
