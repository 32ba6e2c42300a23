"""The promises' checkers on a database, for the doctor and for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.outbound.sql import create_engine
from adapters.outbound.sql.promises import SqlPromises
from bootstrap.settings import Settings


@asynccontextmanager
async def promises(settings: Settings) -> AsyncIterator[SqlPromises]:
    """The checkers, as the application's role sees the database. They need no Redis and no channel."""
    engine = create_engine(settings.database_url, pool_size=1, role=settings.database_role)
    try:
        yield SqlPromises(engine)
    finally:
        await engine.dispose()
