"""The schema's history, applied from code: no ini file, no command of its own.

The tables belong to whoever migrates (PITAYA_MIGRATION_URL). The application's role is created if it is missing and
gets exactly the rights that each revision grants; it never owns a table.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from adapters.outbound.sql.engine import CONNECT_SECONDS, database_url

APPLICATION_ROLE = "pitaya_app"
# A change of a table waits this long for those who use it, then gives up rather than hold up everyone behind it.
LOCK_TIMEOUT = "5s"
_ONE_AT_A_TIME = 0x706974617961  # "pitaya": the advisory lock that migrating processes queue for


async def migrate(url: str | URL, revision: str = "head", *, role: str = APPLICATION_ROLE) -> None:
    """Bring the database up to ``revision``, in one transaction: all of it or nothing. Others wait their turn."""
    await _run(url, lambda config: command.upgrade(config, revision), role=role)


async def downgrade(url: str | URL, revision: str, *, role: str = APPLICATION_ROLE) -> None:
    """Take the database back to ``revision`` ("base" for nothing). Data in what is dropped is lost."""
    await _run(url, lambda config: command.downgrade(config, revision), role=role)


async def current_revision(url: str | URL) -> str | None:
    """What the database is at; None before the first migration."""
    engine = create_async_engine(database_url(url), poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(revision_of)
    finally:
        await engine.dispose()


def revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str:
    """What this version of the code needs."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def revisions() -> list[str]:
    """All of them, oldest first."""
    return [script.revision for script in _scripts().walk_revisions()][::-1]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


async def _run(url: str | URL, act: Callable[[Config], None], *, role: str) -> None:
    settings = {"application_name": "pitaya migrate", "timezone": "UTC", "statement_timeout": "0"}
    engine = create_async_engine(
        database_url(url),
        poolclass=pool.NullPool,
        connect_args={"timeout": CONNECT_SECONDS, "server_settings": settings},
    )

    def inside(connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        config = _config()
        config.attributes.update(connection=connection, role=role)
        act(config)

    try:
        async with asyncio.timeout(600), engine.begin() as connection:
            await connection.run_sync(inside)
    finally:
        await engine.dispose()
