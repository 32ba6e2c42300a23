"""A backlog is claimed at the price of what is claimed, although the statistics still say that nothing is ever due."""

from datetime import UTC, datetime
from typing import TypeAlias

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql.deliveries import SqlDeliveries
from adapters.outbound.sql.statements import Statement
from adapters.outbound.sql.transaction import reading

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
LANES, EACH = 50, 40  # of each lane so many due, and as many delivered before

_SEED = """INSERT INTO delivery (id, event_id, endpoint_id, merchant_id, mode, url, lane, created_at, next_at, status,
  tries, tries_before, in_flight)
SELECT 'dlv_' || $2::text || lpad(g::text, 20, '0'), 'evt_' || $2 || g, 'whe_' || g % $3, 'mch_1', 'live',
  'https://shop.example', 'whe_' || g % $3, $4, CASE WHEN $2 = 'due' THEN $4::timestamptz END, $2, 0, 0, false
FROM generate_series(1, $1::int) g"""
_LOOKS = Statement("SELECT idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'delivery'", (), {})


@pytest.fixture
async def after_quiet_days(owner: Owner) -> None:
    """Two thousand are due; the statistics were taken when as many had been delivered and none was due."""
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(_SEED, LANES * EACH, "delivered", LANES, NOW)
    await owner.execute("VACUUM ANALYZE delivery")
    await owner.execute(_SEED, LANES * EACH, "due", LANES, NOW)


async def test_a_backlog_after_quiet_days_takes_few_looks(after_quiet_days: None, engine: AsyncEngine) -> None:
    async with reading(engine) as tx:
        claimed = await SqlDeliveries(tx).claim_due(NOW, limit=100, per_endpoint=4)
        ((looks,),) = await tx.read(_LOOKS)
    assert len(claimed) == 100
    # A few for each lane and for each that is claimed, however many are due.
    assert looks < 10 * (LANES + 100)
