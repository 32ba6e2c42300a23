"""The history of the schema: up, down and up again, ending exactly where the code's tables are."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, make_url, pool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from adapters.outbound.sql import comparison, migrations
from adapters.outbound.sql.migrations import current_revision, downgrade, head_revision, migrate, revisions
from adapters.outbound.sql.tables import metadata
from domain.channels import Method


@asynccontextmanager
async def connected(url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """A database without any of our tables."""
    name = f"pitaya_test_{secrets.token_hex(6)}"

    async def execute(statement: str) -> None:
        async with connected(postgres_url) as server:
            await server.execute(statement)

    asyncio.run(execute(f'CREATE DATABASE "{name}" TEMPLATE template0'))
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    asyncio.run(execute(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def schema(url: str) -> dict[str, list[str]]:
    """All that describes the schema: columns with defaults, constraints, indexes, rights."""
    questions = {
        "columns": "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '"
        " || coalesce(column_default, '') || is_identity FROM information_schema.columns WHERE table_schema = 'public'",
        "constraints": "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
        "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "rights": "SELECT relname || ' ' || coalesce(relacl::text, '') FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
        "column rights": "SELECT attrelid::regclass || '.' || attname || ' ' || attacl::text FROM pg_attribute"
        " WHERE attacl IS NOT NULL AND attrelid IN (SELECT oid FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace)",
    }
    async with connected(url) as look:
        return {name: sorted(row[0] for row in await look.fetch(sql)) for name, sql in questions.items()}


async def differences(url: str) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        found = await connection.run_sync(compare)
    await engine.dispose()
    return found


async def test_each_step_can_be_taken_back_and_taken_again(empty_database: str) -> None:
    before = None
    for revision in revisions():
        came_from = await schema(empty_database)
        await migrate(empty_database, revision)
        arrived = await schema(empty_database)
        assert arrived != came_from
        await downgrade(empty_database, before or "base")
        assert await current_revision(empty_database) == before
        if before is not None:  # alembic's own table stays behind at the very bottom
            assert await schema(empty_database) == came_from
        await migrate(empty_database, revision)
        assert await schema(empty_database) == arrived
        before = revision
    assert before == head_revision()


async def test_the_migrated_tables_are_the_tables_that_the_code_knows(empty_database: str) -> None:
    await migrate(empty_database)
    assert await differences(empty_database) == []


async def test_checks_identities_and_table_options_are_those_that_the_code_knows(empty_database: str) -> None:
    """What compare_metadata does not look at: made from the code's tables in one database, from the history in ours."""
    await migrate(empty_database)
    migrated = await schema(empty_database)
    await downgrade(empty_database, "base")
    engine = create_async_engine(empty_database, poolclass=pool.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    made = await schema(empty_database)
    for what in ("columns", "constraints", "indexes"):
        ours = [line for line in migrated[what] if "alembic_version" not in line]
        assert ours == [line for line in made[what] if "alembic_version" not in line]


async def test_what_merchants_paid_becomes_products_with_every_method_at_that_price(empty_database: str) -> None:
    prices = [(6_000, 1, None), (6_000, 1, None), (3_800, 0, 5_000)]
    before = revisions()[revisions().index("0007") - 1]
    await migrate(empty_database, before)
    async with connected(empty_database) as look:
        for n, price in enumerate(prices):
            await look.execute(
                "INSERT INTO merchant (id, name, fee_ppm, fee_minimum, fee_maximum, late_payment, active, created_at)"
                " VALUES ($1, 'm', $2, $3, $4, 'refund', true, now())",
                f"mch_{n}",
                *price,
            )
    await migrate(empty_database, "0007")
    async with connected(empty_database) as look:
        assert await look.fetchval("SELECT count(*) FROM product") == 2
        found = await look.fetch(
            "SELECT merchant_id, product_id, plan.key, plan.value->>'ppm' AS ppm, plan.value->>'minimum' AS low,"
            " plan.value->>'maximum' AS high FROM product_binding JOIN product_version USING (product_id)"
            " CROSS JOIN json_each(plans) plan"
        )
    for n, (ppm, low, high) in enumerate(prices):
        mine = [row for row in found if row["merchant_id"] == f"mch_{n}"]
        assert {row["key"] for row in mine} == set(Method)
        assert {(row["ppm"], row["low"], row["high"]) for row in mine} == {(str(ppm), str(low), high and str(high))}
        assert all(len(row["product_id"]) == 30 for row in mine)
    await downgrade(empty_database, before)
    async with connected(empty_database) as look:
        kept = await look.fetch("SELECT fee_ppm, fee_minimum, fee_maximum FROM merchant ORDER BY id")
    assert [tuple(row) for row in kept] == prices


async def test_lines_of_bills_are_the_same_when_what_is_usual_is_left_out_and_put_back(empty_database: str) -> None:
    """A usual payment, the same with everything unlike, and a refund that has no number."""
    at = "2026-11-19 16:00:07+00"
    lines = [
        ("2026-11-20", 2, "payment", "P1", "P1", "P1", "T1", 100, 100, "CNY", 1, "succeeded", at, "NATIVE"),
        ("2026-11-20", 3, "refund", "R1", "R1", "P1", "T2", 100, 90, "USD", -1, "failed", at, ""),
        ("2026-11-21", 2, "refund", "T3", "", "P2", "T3", 5, 5, "CNY", 0, "succeeded", at, ""),
    ]
    columns = (
        "day, n, kind, key, number, payment_number, transaction_id, total, received, currency, fee, status, at, method"
    )
    before = revisions()[revisions().index("0058") - 1]
    await migrate(empty_database, before)
    async with connected(empty_database) as look:
        for day in ("2026-11-20", "2026-11-21"):
            await look.execute(
                "INSERT INTO statement_day (account_id, day, mode, status, files, tries, differences, held,"
                f" foreign_lines, matched, note) VALUES ('a', '{day}', 'test', 'fetched', '{{}}', 0, 0, 0, 0, 0, '')"
            )
        for line in lines:
            await look.execute(
                f"INSERT INTO statement_line (file_id, account_id, {columns}) VALUES ('', 'a', {str(line)[1:-1]})"
            )
        kept = await look.fetch(f"SELECT {columns} FROM statement_line ORDER BY day, n")
    await migrate(empty_database, "0058")
    async with connected(empty_database) as look:
        found = await look.fetch(f"{comparison.SAID} ORDER BY d.day, l.n")
        assert [tuple(row[name] for name in columns.split(", ")) for row in found] == [tuple(row) for row in kept]
        assert len(kept) == len(lines)
        usual = (
            "SELECT num_nulls(total, kind, number, payment_number, currency, status) FROM statement_line ORDER BY key"
        )
        assert [row[0] for row in await look.fetch(usual)] == [6, 1, 3]
    await downgrade(empty_database, before)
    async with connected(empty_database) as look:
        assert await look.fetch(f"SELECT {columns} FROM statement_line ORDER BY day, n") == kept


async def test_a_forgotten_migration_would_be_noticed(empty_database: str) -> None:
    await migrate(empty_database)
    async with connected(empty_database) as look:
        await look.execute("ALTER TABLE event DROP COLUMN notify_url")
        await look.execute("ALTER TABLE transfer ALTER posting_date DROP DEFAULT")
    assert len(await differences(empty_database)) == 2


async def test_a_migration_that_fails_leaves_nothing_behind(empty_database: str) -> None:
    async with connected(empty_database) as look:
        await look.execute("CREATE TABLE transfer (id int)")  # in the way of the third step
    with pytest.raises(DBAPIError, match="already exists"):
        await migrate(empty_database)
    assert await current_revision(empty_database) is None
    async with connected(empty_database) as look:
        assert await look.fetchval("SELECT to_regclass('payment_order')") is None


async def test_several_processes_may_migrate_at_once(empty_database: str) -> None:
    await asyncio.gather(*(migrate(empty_database) for _ in range(3)))
    assert await current_revision(empty_database) == head_revision()


async def test_a_migration_gives_up_rather_than_queue_behind_a_long_transaction(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    await migrate(empty_database)
    async with connected(empty_database) as user, user.transaction():
        await user.execute("LOCK TABLE delivery_try IN ACCESS SHARE MODE")
        with pytest.raises(DBAPIError, match="lock timeout"):
            await downgrade(empty_database, "0003")
    assert await current_revision(empty_database) == head_revision()


async def test_the_rights_go_to_the_role_that_is_named(empty_database: str) -> None:
    role = f"pitaya_test_{secrets.token_hex(6)}"
    async with connected(empty_database) as look:
        try:
            await migrate(empty_database, role=role)
            may = "SELECT has_table_privilege($1, 'transfer', 'INSERT'), rolcanlogin FROM pg_roles WHERE rolname = $1"
            assert tuple(await look.fetchrow(may, role) or ()) == (True, False)
        finally:
            await look.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


async def test_an_owner_who_cannot_create_the_role_is_told_what_to_run(empty_database: str) -> None:
    owner = f"pitaya_test_{secrets.token_hex(6)}"
    async with connected(empty_database) as server:
        await server.execute(f'CREATE ROLE "{owner}" LOGIN PASSWORD \'x\'; GRANT CREATE ON SCHEMA public TO "{owner}"')
        try:
            url = make_url(empty_database).set(username=owner, password="x")
            with pytest.raises(PermissionError, match='CREATE ROLE "pitaya_test_nobody" NOLOGIN'):
                await migrate(url, role="pitaya_test_nobody")
        finally:
            await server.execute(f'DROP OWNED BY "{owner}"; DROP ROLE "{owner}"')
