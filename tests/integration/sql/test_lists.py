"""With a million orders, no list and no search reads more than it shows by a factor of ten (EXPLAIN says what it read).

Asked of both kinds of plans that the server may choose: made for these values, and made for any.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import asyncpg
import pytest

from adapters.outbound.sql.finding import _SEARCH
from adapters.outbound.sql.lists import _Shape, _values, page_statement
from adapters.outbound.sql.queries import _delivery_log
from adapters.outbound.sql.statements import Statement
from application.listings import LISTINGS
from application.ports.lists import Asked, Listing

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
ORDERS = 1_000_000
OTHERS = 100_000
LIMIT = 50
FACTOR = 10
FEW = 40  # pages of indexes that are passed on the way down, however little is shown

# Everything is made of g. One merchant has a third of all, a thousand share the rest; one in fifty is test; statuses
# are as rare as in life: one in a thousand is open, a few in a million are of the rarest kind.
_SEED = (
    (
        ORDERS,
        """INSERT INTO payment_order (id, merchant_id, mode, merchant_order_no, amount, currency, subject, expires_in,
  method, metadata, cashier_token, created_at, expires_at, status, paid, refunded, refunding, paid_method, paid_at,
  closed_at, close_reason, revision, next_at)
SELECT 'ord_' || lpad(g::text, 26, '0'), m, CASE WHEN g % 50 = 0 THEN 'test' ELSE 'live' END, 'N' || g, 1000 + g % 997,
  'CNY', 'Coffee', 1800, NULL, '{}', 'tok' || g, t, t + interval '30 min', s,
  CASE WHEN s = 'paid' THEN 1000 + g % 997 ELSE 0 END, 0, 0, CASE WHEN s = 'paid' THEN 'alipay_qr' END,
  CASE WHEN s = 'paid' THEN t END, CASE WHEN s = 'closed' THEN t END, CASE WHEN s = 'closed' THEN 'expired' END, 2, t
FROM (SELECT g, CASE WHEN g % 3 = 0 THEN 'mch_big' ELSE 'mch_' || g % 1000 * 7919 % 1000 END AS m,
  timestamptz '2026-01-01' + g * interval '1 second' AS t,
  CASE WHEN g % 1009 = 0 THEN 'pending' WHEN g % 5 = 0 THEN 'closed' ELSE 'paid' END AS s
  FROM generate_series(1, $1::int) g) x""",
    ),
    (
        OTHERS,
        """INSERT INTO attempt (id, order_id, merchant_id, mode, method, account_id, number, amount, currency,
  fund_mode, fee_ppm, fee_minimum, fee_kept, cost_ppm, created_at, expires_at, status, polls, revision)
SELECT 'att_' || lpad(g::text, 26, '0'), 'ord_' || lpad(g::text, 26, '0'),
  CASE WHEN g % 3 = 0 THEN 'mch_big' ELSE 'mch_' || g % 1000 * 7919 % 1000 END,
  CASE WHEN g % 50 = 0 THEN 'test' ELSE 'live' END, 'alipay_qr', 'cha_' || g % 20, 'PTY' || g, 1000, 'CNY', 'collect',
  6000, 0, false, 3800, timestamptz '2026-01-01' + g * interval '1 second', timestamptz '2026-02-01',
  CASE WHEN g % 60013 = 0 THEN 'unknown' WHEN g % 5 = 0 THEN 'closed' ELSE 'succeeded' END, 0, 2
FROM generate_series(1, $1::int) g""",
    ),
    (
        OTHERS,
        """INSERT INTO channel_payment (id, account_id, mode, fund_mode, transaction_id, number, total, received,
  payer_paid, fee, currency, paid_at, evidence, recorded_at, unattributed, attempt_id, order_id, merchant_id)
SELECT 'pay_' || lpad(g::text, 26, '0'), 'cha_' || g % 20, CASE WHEN g % 50 = 0 THEN 'test' ELSE 'live' END, 'collect',
  '2026' || lpad(g::text, 24, '0'), 'PTY' || g, 1000, 1000, 1000, 6, 'CNY', t, 'notice:' || g, t,
  CASE WHEN g % 40009 = 0 THEN 'late' END, 'att_' || lpad(g::text, 26, '0'), 'ord_' || lpad(g::text, 26, '0'),
  CASE WHEN g % 3 = 0 THEN 'mch_big' ELSE 'mch_' || g % 1000 * 7919 % 1000 END
FROM (SELECT g, timestamptz '2026-01-01' + g * interval '1 second' AS t FROM generate_series(1, $1::int) g) x""",
    ),
    (
        OTHERS // 2,
        """INSERT INTO refund (id, order_id, payment_id, merchant_id, mode, account_id, fund_mode, number,
  payment_number, total, amount, debit, share, currency, reason, origin, created_at,
  merchant_refund_no, from_pending, from_available, from_debt, status, destination, polls, revision)
SELECT 'ref_' || lpad(g::text, 26, '0'), 'ord_' || lpad(g::text, 26, '0'), 'pay_' || lpad(g::text, 26, '0'),
  CASE WHEN g % 3 = 0 THEN 'mch_big' ELSE 'mch_' || g % 1000 * 7919 % 1000 END,
  CASE WHEN g % 50 = 0 THEN 'test' ELSE 'live' END, 'cha_' || g % 20, 'collect', 'PTR' || g, 'PTY' || g, 1000, 1000,
  1000, 0, 'CNY', '', 'merchant', timestamptz '2026-01-01' + g * interval '1 second', 'R' || g, 1000, 0, 0,
  CASE WHEN g % 9001 = 0 THEN 'abnormal' WHEN g % 11 = 0 THEN 'failed' ELSE 'succeeded' END, 'original', 0, 3
FROM generate_series(1, $1::int) g""",
    ),
    (
        20_000,
        """INSERT INTO suspense_item (id, payment_id, account_id, mode, amount, currency, reason, created_at, status)
SELECT 'sus_' || lpad(g::text, 26, '0'), 'pay_' || lpad(g::text, 26, '0'), 'cha_' || g % 20,
  CASE WHEN g % 50 = 0 THEN 'test' ELSE 'live' END, 1000, 'CNY', 'late',
  timestamptz '2026-01-01' + g * interval '1 second', CASE WHEN g % 5003 = 0 THEN 'open' ELSE 'refunded' END
FROM generate_series(1, $1::int) g""",
    ),
    (
        OTHERS,
        """INSERT INTO notice (account_id, notice_id, kind, body, outcome, received_at)
SELECT 'cha_' || CASE WHEN g % 30011 = 0 THEN 99 ELSE g % 20 END, 'n-' || g, 'payment', '', CASE WHEN g % 30011 = 0 THEN
  'mismatch' ELSE 'confirmed' END, timestamptz '2026-01-01' + g * interval '1 second'
FROM generate_series(1, $1::int) g""",
    ),
    (
        OTHERS,
        """INSERT INTO event (id, type, object_id, merchant_id, mode, at, api_version, data, announced)
SELECT 'evt_' || lpad(g::text, 26, '0'), 'order.paid', 'ord_' || lpad(g::text, 26, '0'), 'mch_big', 'live',
  timestamptz '2026-01-01' + g * interval '1 second', '2026-11-01', '{}', true
FROM generate_series(1, $1::int) g""",
    ),
    (
        2_000,
        """INSERT INTO webhook_endpoint (id, merchant_id, mode, url, sealed, created_at, event_types, enabled, disabled,
  revision)
SELECT 'whe_' || g, CASE WHEN g % 3 = 0 THEN 'mch_big' ELSE 'mch_' || g % 1000 END,
  CASE WHEN g % 50 = 0 THEN 'test' ELSE 'live' END, 'https://shop.example/' || g, '', timestamptz '2026-01-01' +
  g * interval '1 second', '[]', g % 997 <> 0, CASE WHEN g % 997 = 0 THEN 'failing' END, 0
FROM generate_series(1, $1::int) g""",
    ),
    (
        OTHERS,
        """INSERT INTO delivery (id, event_id, endpoint_id, merchant_id, mode, url, lane, created_at, next_at, status,
  tries, tries_before, in_flight)
SELECT 'dlv_' || lpad(g::text, 26, '0'), 'evt_' || lpad(g::text, 26, '0'), 'whe_' || g % 2000,
  CASE WHEN g % 3 = 0 THEN 'mch_big' ELSE 'mch_' || g % 1000 * 7919 % 1000 END,
  CASE WHEN g % 50 = 0 THEN 'test' ELSE 'live' END, 'https://shop.example', 'whe_' || g % 2000,
  timestamptz '2026-01-01' + g * interval '1 second', CASE WHEN g % 10007 = 0 THEN timestamptz '2026-12-31' END,
  CASE WHEN g % 10007 = 0 THEN 'due' WHEN g % 70001 = 0 THEN 'cancelled' WHEN g % 301 = 0 THEN 'exhausted' ELSE
  'delivered' END, 1, 0, false
FROM generate_series(1, $1::int) g""",
    ),
    (
        OTHERS,
        """INSERT INTO transfer (idem_key, fact, debit_account, credit_account, amount, currency, mode, about,
  channel_date)
SELECT 'k' || g, 'payment', 1, 2, 1000, 'CNY', 'live', 'pay_' || lpad((g / 2)::text, 26, '0'), '2026-01-01'
FROM generate_series(1, $1::int) g""",
    ),
    (
        OTHERS,
        """INSERT INTO account_entry (id, kind, mode, amount, repaid, currency, reason, made_by, merchant_id,
  created_at)
SELECT 'ent_' || lpad(g::text, 26, '0'), CASE WHEN g % 30011 = 0 THEN 'unfreeze' ELSE 'freeze' END, 'live', 1, 0, 'CNY',
  'a complaint', 'opr_1', 'mch_' || g % 1000, timestamptz '2026-01-01' + g * interval '1 second'
FROM generate_series(1, $1::int) g""",
    ),
    (
        OTHERS,
        """INSERT INTO settlement (id, merchant_id, mode, number, origin, swept, amount, fee, currency, lines,
  created_at, status, charge, polls, revision)
SELECT 'stl_' || lpad(g::text, 26, '0'), CASE WHEN g % 3 = 0 THEN 'mch_big' ELSE 'mch_' || g % 1000 * 7919 % 1000 END,
  CASE WHEN g % 50 = 0 THEN 'test' ELSE 'live' END, 'PTS' || g, 'automatic', 1000, 1000, 0, 'CNY', 7,
  timestamptz '2026-01-01' + g * interval '1 second',
  CASE WHEN g % 9001 = 0 THEN 'rejected' ELSE 'created' END, 0, 0, 1
FROM generate_series(1, $1::int) g""",
    ),
    (
        OTHERS,
        """INSERT INTO audit_record (id, at, actor_kind, actor_id, actor_name, actor_roles, action, object_id,
  merchant_id, before, after)
SELECT 'aud_' || lpad(g::text, 26, '0'), timestamptz '2026-01-01' + g * interval '1 second', 'operator',
  'opr_' || CASE WHEN g % 30011 = 0 THEN 99 ELSE g % 7 END, 'Mina', '[]', 'merchant.edited', 'mch_' || g % 1000,
  'mch_' || g % 1000, '{}', '{}'
FROM generate_series(1, $1::int) g""",
    ),
    (
        1_000,
        """INSERT INTO merchant (id, name, late_payment, active, created_at)
SELECT 'mch_' || g, 'Café ' || g, 'refund', true, timestamptz '2026-01-01' + g * interval '1 second'
FROM generate_series(1, $1::int) g""",
    ),
)
# A common value and a rare one of what a quick list is filtered by, and one that is nobody's.
_VALUES: Mapping[str, Sequence[str]] = {
    "mode": ("live", "test"),
    "merchant_id": ("mch_big", "mch_7", "mch_nobody"),
    "account_id": ("cha_7", "cha_99"),
    "order_id": ("ord_" + "123".zfill(26),),
    "number": ("PTY123", "PTR123", "PTS123"),
    "merchant_refund_no": ("R123",),
    "merchant_order_no": ("N123",),
    "transaction_id": ("2026" + "123".zfill(24),),
    "endpoint_id": ("whe_7", "whe_none"),
    "event_id": ("evt_" + "123".zfill(26),),
    "about": ("pay_" + "123".zfill(26),),
    "actor_id": ("opr_3", "opr_99"),
    "object_id": ("mch_7",),
    "unattributed": ("late", "second"),
    "outcome": ("confirmed", "mismatch"),
    "disabled": ("failing", "gone"),
}


@dataclass(frozen=True, slots=True)
class Read:
    """What a query read and showed."""

    rows: int
    shown: int
    pages: int
    plan: str


@pytest.fixture(scope="module")
def seeded(module_database_url: str) -> str:
    """The database of all cases here: filled once, by one statement a table, and its indexes built afterwards."""
    url = module_database_url.replace("+asyncpg", "", 1)
    asyncio.run(_seed(url))
    return url


async def _seed(url: str) -> None:
    owner: Owner = await asyncpg.connect(url)
    try:
        await _fill(owner)
    finally:
        await owner.close()


async def _fill(owner: Owner) -> None:
    await owner.execute("SET synchronous_commit = off; SET session_replication_role = replica; SET jit = off")
    await owner.execute("SET maintenance_work_mem = '256MB'")
    tables = sorted({statement.split()[2] for _, statement in _SEED})
    indexes = await owner.fetch(
        "SELECT indexname, indexdef FROM pg_indexes i WHERE tablename = ANY($1) AND NOT EXISTS"
        " (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)",
        tables,
    )
    for index in indexes:
        await owner.execute(f"DROP INDEX {index['indexname']}")
    await _let_blank(owner, tables)
    for count, statement in _SEED:
        await owner.execute(statement, count, timeout=120)
    for index in indexes:
        await owner.execute(index["indexdef"], timeout=60)
    await owner.execute(f"VACUUM ANALYZE {', '.join(tables)}", timeout=60)


async def _let_blank(owner: Owner, tables: list[str]) -> None:
    """Columns that the statements above do not name, because others have added them, get something blank."""
    blank = {"text": "''", "json": "'{}'", "boolean": "false", "bytea": "''", "timestamp with time zone": "now()"}
    for row in await owner.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_name = ANY($1)"
        " AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
        tables,
    ):
        value = blank.get(row["data_type"], "NULL" if row["data_type"] in ("date", "xid8") else "0")
        await owner.execute(f"ALTER TABLE {row['table_name']} ALTER {row['column_name']} SET DEFAULT {value}")


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
async def owner(seeded: str, request: pytest.FixtureRequest) -> AsyncIterator[Owner]:
    connection: Owner = await asyncpg.connect(seeded)
    await connection.execute(f"SET jit = off; SET plan_cache_mode = {request.param}")
    yield connection
    await connection.close()


async def read(owner: Owner, statement: Statement, values: Mapping[str, Any]) -> Read:
    found = await owner.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.sql}", *statement.arguments(values), timeout=30
    )
    (explained,) = json.loads(found)
    plan = explained["Plan"]
    rows = sum(_rows(node) for node in _scans(plan))
    pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return Read(rows, round(plan["Actual Rows"]), pages, json.dumps(plan, indent=1))


def _scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    children = plan.get("Plans", [])
    if plan["Node Type"].endswith("Scan") and plan["Node Type"] != "Bitmap Heap Scan":
        yield plan
    for child in children:
        yield from _scans(child)


def _rows(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


def _little(what: str, got: Read) -> list[str]:
    complaints = []
    if got.rows > FACTOR * max(got.shown, 1):
        complaints.append(f"{what}: {got.rows} rows read to show {got.shown}")
    if got.pages > FACTOR * max(got.shown, 1) + FEW:
        complaints.append(f"{what}: {got.pages} pages read to show {got.shown}")
    return complaints


def _cases(listing: Listing) -> Iterator[Asked]:
    """Each quick set of filters with common and rare values; both directions; the beginning and the middle of time."""
    for names in listing.quick:
        pools = [_VALUES[name] if name in _VALUES else listing.filters[name] for name in names]
        for oldest_first in (False, True):
            for chosen in _product(pools):
                yield Asked.of(listing, dict(zip(names, chosen, strict=True)), oldest_first=oldest_first)
    if listing.ranged:
        since, until = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
        names = listing.quick[0]
        yield Asked.of(listing, {name: _VALUES[name][0] for name in names}, since=since, until=until)


def _product(pools: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    if not pools:
        yield ()
        return
    for value in pools[0]:
        for rest in _product(pools[1:]):
            yield (value, *rest)


@pytest.mark.parametrize("name", [name for name, listing in LISTINGS.items() if listing.quick])
async def test_a_page_of_a_list_reads_little_more_than_it_shows(owner: Owner, name: str) -> None:
    listing, complaints, shown = LISTINGS[name], list[str](), 0
    for asked in _cases(listing):
        for after in (False, True):
            values = {**_values(asked), **(_middle(listing) if after else {}), "limit": LIMIT + 1}
            got = await read(owner, page_statement(_Shape.of(listing, asked, after=after)), values)
            shown += got.shown
            complaints += _little(f"{name} {dict(asked.filters)} after={after} {asked.oldest_first=}", got)
    assert not complaints, "\n".join(complaints)
    assert shown, "nothing was shown at all: this proves nothing"


def _middle(listing: Listing) -> dict[str, Any]:
    places: dict[str, Any] = {
        "id": "zzz" if listing.name != "transfers" else 50_000,
        "n": 50_000,
        "account_id": "cha_7",
        "notice_id": "n-5",
    }
    middle = datetime(2026, 1, 2, 3, tzinfo=UTC)
    return {f"after_{name}": middle if name.endswith("_at") else places[name] for name in listing.order}


async def test_a_search_reads_what_it_finds(owner: Owner) -> None:
    complaints, found = [], 0
    for number in (
        "ord_" + "77".zfill(26),
        "N4711",
        "PTY123",
        "2026" + "123".zfill(24),
        "mch_7",
        "nothing",
        "' OR 1=1",
    ):
        got = await read(owner, _SEARCH, {"number": number, "merchant_id": None, "mode": None})
        found += got.shown
        complaints += [each for each in _little(number, got) if "rows" in each]
        assert got.pages <= 100, f"{number}: {got.pages} pages\n{got.plan}"
    assert not complaints, "\n".join(complaints)
    assert found >= 6


async def test_the_merchants_delivery_log_reads_little_more_than_it_shows(owner: Owner) -> None:
    complaints = []
    for endpoint_id in (None, "whe_7"):
        for status in (None, "due", "delivered", "exhausted", "cancelled"):
            statement = _delivery_log(endpoint_id is not None, False, status)
            place = {"created_at": datetime(2026, 6, 1, tzinfo=UTC), "id": ""}
            merchant = "mch_big" if endpoint_id is None else "mch_" + str(7 * 7919 % 1000)
            asked = {"merchant_id": merchant, "mode": "live", "endpoint_id": endpoint_id, "event_id": None}
            got = await read(owner, statement, {**asked, **place, "limit": 21})
            complaints += _little(f"{endpoint_id} {status}", got)
    assert not complaints, "\n".join(complaints)
