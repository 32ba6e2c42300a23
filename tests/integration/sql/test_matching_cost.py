"""Matching four times the lines is four times the work, not sixteen: EXPLAIN says what each node went through."""

import json
from datetime import date
from typing import Any, TypeAlias

import asyncpg
import pytest

from adapters.outbound.sql.bills import HANDING_OVER, MEMORY
from adapters.outbound.sql.comparison import KEYS, MOVED, SPEND
from adapters.outbound.sql.statements import Statement

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
FEWEST, FEW, MANY = 20, 500, 2_000
DAYS = {FEWEST: date(2026, 11, 18), FEW: date(2026, 11, 20), MANY: date(2026, 11, 22)}
ODD = 100  # one line in so many tells another amount than we recorded
VALUES = {"account_id": "cha_1", "ours_only": True}

# Every line with every record, as it should not be done: that the measure tells the difference.
EACH_WITH_EACH = Statement(
    "WITH mine AS MATERIALIZED (SELECT number FROM channel_payment"
    " WHERE account_id = $1 AND (paid_at AT TIME ZONE 'Asia/Shanghai')::date = $2)"
    " SELECT key FROM statement_line JOIN mine ON mine.number || '' LIKE key"
    " WHERE day_number = (SELECT number FROM statement_day WHERE account_id = $1 AND day = $2)",
    ("account_id", "day"),
    {},
)


async def seed(owner: Owner, size: int) -> None:
    """A day of payments, and what the channel's bills say of them; nobody has counted the rows for the planner."""
    for sql in (
        """INSERT INTO channel_payment (id, account_id, mode, fund_mode, transaction_id, number, total, received,
  payer_paid, fee, currency, paid_at, evidence, recorded_at)
SELECT 'pay_' || $1 || '_' || g, 'cha_1', 'live', 'collect', 'T' || $1 || '_' || g, 'PTY' || $1 || '_' || g, 1000, 1000,
  1000, 6, 'CNY', t, 'notice:' || g, t
FROM (SELECT g, ($2::date::timestamp AT TIME ZONE 'Asia/Shanghai') + g * interval '1 second' AS t
      FROM generate_series(1, $1::int) g) x""",
        """WITH day AS (
  INSERT INTO statement_day (account_id, day, mode, status, files, tries, differences, held, foreign_lines, matched,
    note)
  VALUES ('cha_1', $2, 'live', 'fetched', '{}', 0, 0, 0, 0, 0, '') RETURNING number)
INSERT INTO statement_line (day_number, n, key, transaction_id, received, fee, second, method)
SELECT number, g, 'PTY' || $1 || '_' || g, 'T' || $1 || '_' || g, CASE WHEN g % 100 = 0 THEN 999 ELSE 1000 END, 4, 0,
  'x'
FROM day, generate_series(1, $1::int) g""",
        """INSERT INTO fund_line (file_id, account_id, day, n, fund, flow_id, transaction_id, number, movement, amount,
  balance, at, words)
SELECT 'f', 'cha_1', $2, g, 'BASIC', 'F' || g, 'T' || $1 || '_' || g, 'PTY' || $1 || '_' || g, 'payment', 996, 0,
  $2::date, ''
FROM generate_series(1, $1::int) g""",
    ):
        await owner.execute(sql.replace("|| $1 ||", f"|| '{size}' ||"), size, DAYS[size])


@pytest.fixture
async def days(owner: Owner) -> Owner:
    await owner.execute("SET session_replication_role = replica; SET jit = off")
    await owner.execute(
        """INSERT INTO channel_account (id, credential_id, channel, merchant_id, mode, payee, methods, cost_ppm,
  cost_rates, priority, enabled, sealed)
SELECT 'cha_1', 'crd_1', 'alipay', NULL, 'live', '2088', '[]', 3800, '{}', 0, true, ''"""
    )
    for size in DAYS:
        await seed(owner, size)
    return owner


async def work(owner: Owner, statement: Statement, size: int) -> tuple[int, int]:
    """Rows that all nodes of the plan went through, those thrown away among them; and what was found."""
    async with owner.transaction():
        await owner.fetch(SPEND.sql, MEMORY, HANDING_OVER)
        arguments = statement.arguments(VALUES | {"day": DAYS[size]})
        (told,) = json.loads(await owner.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *arguments))
    return _rows(told["Plan"]), round(told["Plan"]["Actual Rows"])


def _rows(node: dict[str, Any]) -> int:
    thrown = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Join Filter", "Index Recheck"))
    mine = int((node["Actual Rows"] + thrown) * node["Actual Loops"])
    return mine + sum(_rows(each) for each in node.get("Plans", []))


@pytest.mark.parametrize("statement", [KEYS, MOVED], ids=["lines with records", "lines with movements"])
async def test_matching_four_times_the_lines_is_four_times_the_work(days: Owner, statement: Statement) -> None:
    (few, found), (many, more) = [await work(days, statement, size) for size in (FEW, MANY)]
    assert (found, more) == (FEW // ODD, MANY // ODD)
    assert few >= FEW
    assert many < 4.4 * few


async def test_comparing_each_with_each_would_be_noticed(days: Owner) -> None:
    (few, _), (many, _) = [await work(days, EACH_WITH_EACH, size) for size in (FEW, MANY)]
    assert many > 12 * few


async def test_a_small_day_does_not_go_through_every_attempt_ever_made(days: Owner) -> None:
    alone, _ = await work(days, KEYS, FEWEST)
    await days.execute(
        """INSERT INTO attempt (id, order_id, merchant_id, mode, method, account_id, number, amount, currency,
  fund_mode, fee_ppm, fee_minimum, fee_kept, shared, cost_ppm, created_at, expires_at, status, polls, revision)
SELECT 'att_' || g, 'ord_1', 'mch_1', 'live', 'alipay_qr', 'cha_1', 'PTY' || g, 1000, 'CNY',
  'collect', 6000, 0, false, false, 3800, now(), now(), 'failed', 0, 0
FROM generate_series(1, 50000) g"""
    )
    await days.execute("ANALYZE attempt; ANALYZE channel_payment")
    among_others, _ = await work(days, KEYS, FEWEST)
    assert among_others < 2 * alone
