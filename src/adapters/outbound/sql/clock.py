"""The database's clock, read without a round trip."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import DateTime, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql.statements import prepare
from adapters.outbound.sql.transaction import reading

_CLOCK = prepare(select(func.clock_timestamp(type_=DateTime(timezone=True)).label("at")))


class SqlClock:
    """This machine's time plus its measured distance to the database's, so that all machines decide by one clock."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.skew = timedelta(0)
        """Database minus machine at the last ``refresh``; for health: a machine far off should be mended."""

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skew

    async def refresh(self) -> timedelta:
        """Measure again; the database is taken to have answered in the middle of the round trip."""
        async with reading(self._engine) as tx:
            await tx.read(_CLOCK)  # pays for connecting and preparing, outside the measurement
            before = datetime.now(UTC)
            (answer,) = await tx.read(_CLOCK)
            after = datetime.now(UTC)
        self.skew = answer["at"] - (before + (after - before) / 2)
        return self.skew
