"""A database of the real kind, empty for each test, with the application's own role and rights."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql import SqlDatabase, SqlMerchantQueries, create_engine
from adapters.outbound.sql.account_queries import SqlAccountQueries
from adapters.outbound.sql.finding import SqlFinding
from adapters.outbound.sql.lists import SqlLists
from adapters.outbound.sql.migrations import APPLICATION_ROLE
from adapters.outbound.sql.people_queries import SqlPeopleQueries
from adapters.outbound.sql.reconciliation_queries import SqlReconciliationQueries
from adapters.outbound.sql.reports import SqlReports
from adapters.outbound.sql.tables import metadata
from application.ports.balances import AccountQueries
from application.ports.lists import Finding, Lists
from application.ports.queries import MerchantQueries, PeopleQueries, ReconciliationQueries
from application.ports.reports import Reports
from tests.contracts.stage import Stage


@dataclass(frozen=True, slots=True)
class Stored(SqlDatabase):
    """What the contracts want of a database, with its read models."""

    @property
    def queries(self) -> MerchantQueries:
        return SqlMerchantQueries(self)

    @property
    def people(self) -> PeopleQueries:
        return SqlPeopleQueries(self)

    @property
    def reconciliation(self) -> ReconciliationQueries:
        return SqlReconciliationQueries(self)

    @property
    def account_queries(self) -> AccountQueries:
        return SqlAccountQueries(self)

    @property
    def reports(self) -> Reports:
        return SqlReports(self)

    @property
    def lists(self) -> Lists:
        return SqlLists(self)

    @property
    def finding(self) -> Finding:
        return SqlFinding(self)


@pytest.fixture
async def owner(module_database_url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A connection of the tables' owner, to a database without rows: for looking, and for what only an owner may."""
    connection = await asyncpg.connect(module_database_url.replace("+asyncpg", "", 1))
    await connection.execute(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")
    yield connection
    await connection.close()


@pytest.fixture
async def engine(module_database_url: str, owner: object) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(module_database_url, pool_size=8, role=APPLICATION_ROLE)
    yield engine
    await engine.dispose()


@pytest.fixture
def database(engine: AsyncEngine) -> Stored:
    return Stored(engine)


@pytest.fixture
async def stage(database: Stored) -> Stage:
    return await Stage(database).set()
