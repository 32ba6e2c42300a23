"""What the stack can do before any feature: Litestar and asyncpg, one statement a request. The measure of `bench`.

The same input, rows and signature check as Pitaya's place and confirm, and nothing else. /place and /confirm are one
CTE each; /place3 and /confirm3 say the same in a plain transaction of three statements.
"""

import base64
import hmac
import json
import os
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import uuid4

import asyncpg
import msgspec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from litestar import Litestar, Request, Response, post

GIVEN: dict[str, Any] = json.loads(os.environ["BENCH_BARE"])
PUBLIC_KEY: Any = load_pem_public_key(GIVEN["alipay_public_key"].encode())
ACCOUNTS = GIVEN["accounts"]  # receivable, pending, income
KEY = "SELECT merchant_id, mode FROM api_key WHERE digest = $1 AND revoked_at IS NULL"


def shifted(sql: str, by: int) -> str:
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + by}", sql)


ORDER = """INSERT INTO payment_order (id, merchant_id, mode, merchant_order_no, amount, currency, subject, expires_in,
 notify_url, metadata, cashier_token, created_at, expires_at, status, paid, refunded, refunding, revision, next_at,
 profit_sharing) SELECT $1::text, k.merchant_id, k.mode, $2::text, $3::bigint, 'CNY', $4::text, 1800, $5::text, '{}',
  $6::text, $7::timestamptz, $8::timestamptz, 'pending', 0, 0, 0, 1, $8, false FROM k"""
EVENT = "INSERT INTO event (id, type, object_id, merchant_id, mode, at, api_version, data, announced, notify_url) "
CREATED = f"""{EVENT} SELECT $1::text, 'order.created', $2::text, k.merchant_id, k.mode, $3::timestamptz, '2026-11-01',
  $4::json, false, $5::text FROM k"""
PLACE = f"WITH k AS ({KEY}), o AS ({shifted(ORDER, 1)}) {shifted(CREATED, 9)}"
CALLER = "WITH k AS (SELECT $1::text AS merchant_id, $2::text AS mode) "
ORDER3, CREATED3 = CALLER + shifted(ORDER, 2), CALLER + shifted(CREATED, 2)
FOUND = """SELECT a.id AS attempt_id, a.account_id, a.mode, a.fund_mode, a.merchant_id, o.id AS order_id, o.notify_url,
 to_json(a) AS attempt, to_json(o) AS placed FROM attempt a JOIN payment_order o ON o.id = a.order_id
 WHERE a.number = $1 AND a.amount = $2 AND a.status = 'pending' AND o.status = 'pending' FOR NO KEY UPDATE OF o, a"""
MONEY = """p AS (INSERT INTO channel_payment (id, account_id, mode, fund_mode, transaction_id, number, total, received,
  payer_paid, fee, currency, paid_at, evidence, recorded_at, attempt_id, order_id, merchant_id)
  SELECT $3::text, account_id, mode, fund_mode, $4::text, $1::text, $2::bigint, $2, $2, $5::bigint, 'CNY',
   $6::timestamptz, 'notice:' || $7::text, $8::timestamptz, attempt_id, order_id, merchant_id FROM f),
 t AS (INSERT INTO transfer (idem_key, fact, debit_account, credit_account, amount, currency, mode, about, channel_date)
  SELECT 'payment:' || account_id || ':' || $4::text || ':' || part, 'payment', $9::bigint, credit, part_amount, 'CNY',
   mode, $3::text, ($6::timestamptz AT TIME ZONE 'Asia/Shanghai')::date FROM f, (VALUES
   ('net', $10::bigint, $2::bigint - $5::bigint), ('fee', $11::bigint, $5)) AS parts (part, credit, part_amount)),
 ua AS (UPDATE attempt SET status = 'succeeded', next_at = NULL, revision = revision + 1 FROM f WHERE id = attempt_id),
 uo AS (UPDATE payment_order SET status = 'paid', paid = $2::bigint, paid_method = 'alipay_qr',
  paid_at = $6::timestamptz, revision = revision + 1 FROM f WHERE id = order_id)"""
WORDS = f"""e AS ({EVENT} SELECT each.id, type, object_id, merchant_id, mode, $1::timestamptz, '2026-11-01', data,
  announced, notify_url FROM f, LATERAL (VALUES ($2::text, 'attempt.succeeded', attempt_id, attempt, false),
   ($3::text, 'order.paid', order_id, placed, true)) AS each (id, type, object_id, data, announced)
  RETURNING id, announced),
 b AS (INSERT INTO outbox (event_id) SELECT id FROM e WHERE announced)
 INSERT INTO notice (account_id, notice_id, kind, body, headers, outcome, received_at)
 SELECT account_id, $4::text, 'trade_status_sync', $5::bytea, '{{}}', 'confirmed', $1::timestamptz FROM f"""
CONFIRM = f"WITH f AS ({FOUND}), {MONEY}, {shifted(WORDS, 11)}"
AGAIN = f"WITH f AS ({FOUND.partition(' AND a.status')[0]}), "
MONEY3, WORDS3 = f"{AGAIN}{MONEY} SELECT 1", f"{AGAIN}{shifted(WORDS, 2)}"


class NewOrder(msgspec.Struct, forbid_unknown_fields=True):
    merchant_order_no: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    amount: Annotated[int, msgspec.Meta(ge=1, le=10**10)]
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=127)]
    currency: str = "CNY"
    notify_url: str | None = None


def placing(request: Any, data: NewOrder) -> tuple[bytes, dict[str, Any], tuple[Any, ...], tuple[Any, ...]]:
    key = request.headers["authorization"].removeprefix("Bearer ").encode()
    digest = hmac.digest(GIVEN["pepper"].encode(), key, "sha256")
    now, id_, token = datetime.now(UTC), f"ord_{uuid4().hex}", uuid4().hex
    expires = now + timedelta(seconds=1800)
    answer = {
        "id": id_, "object": "order", "mode": "test", "merchant_order_no": data.merchant_order_no, "status": "pending",
        "amount": data.amount, "currency": data.currency, "paid_amount": 0, "refunded_amount": 0,
        "subject": data.subject, "method": None, "return_url": None, "notify_url": data.notify_url, "payer_ip": None,
        "locale": None, "metadata": {}, "created_at": now.isoformat(), "expires_at": expires.isoformat(),
        "paid_at": None, "closed_at": None, "close_reason": None,
    }  # fmt: skip
    order = (id_, data.merchant_order_no, data.amount, data.subject, data.notify_url, token, now, expires)
    event = (f"evt_{uuid4().hex}", id_, now, json.dumps(answer), data.notify_url)
    return digest, answer | {"cashier_url": token, "attempts": []}, order, event


@post("/place")
async def place(request: Request[Any, Any, Any], data: NewOrder) -> dict[str, Any]:
    digest, answer, order, event = placing(request, data)
    assert await app.state.pool.execute(PLACE, digest, *order, *event) == "INSERT 0 1"
    return answer


@post("/place3")
async def place3(request: Request[Any, Any, Any], data: NewOrder) -> dict[str, Any]:
    digest, answer, order, event = placing(request, data)
    async with app.state.pool.acquire() as connection, connection.transaction():
        caller = await connection.fetchrow(KEY, digest)
        await connection.execute(ORDER3, *caller, *order)
        await connection.execute(CREATED3, *caller, *event)
    return answer


def verified(body: bytes) -> tuple[Any, ...]:
    """Number, amount, payment id, transaction, fee, time of payment and notice id, if rightly signed."""
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
    signature, sign_type = base64.b64decode(fields.pop("sign")), fields.pop("sign_type")
    signed = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name])
    PUBLIC_KEY.verify(signature, signed.encode(), PKCS1v15(), SHA256())
    assert (sign_type, fields["app_id"], fields["seller_id"]) == ("RSA2", GIVEN["app_id"], GIVEN["seller_id"])
    amount = int(fields["total_amount"].replace(".", ""))
    paid_at = datetime.fromisoformat(fields["gmt_payment"] + "+08:00")
    fee = (2 * amount * GIVEN["fee_ppm"] + 1_000_000) // 2_000_000
    return fields["out_trade_no"], amount, uuid4().hex, fields["trade_no"], fee, paid_at, fields["notify_id"]


@post("/confirm", status_code=200)
async def confirm(request: Request[Any, Any, Any]) -> Response[bytes]:
    body, now = await request.body(), datetime.now(UTC)
    what = verified(body)
    said = (now, uuid4().hex, uuid4().hex, what[6], body)
    assert await app.state.pool.execute(CONFIRM, *what, now, *ACCOUNTS, *said) == "INSERT 0 1"
    return Response(b"success", media_type="text/plain")


@post("/confirm3", status_code=200)
async def confirm3(request: Request[Any, Any, Any]) -> Response[bytes]:
    body, now = await request.body(), datetime.now(UTC)
    what = verified(body)
    async with app.state.pool.acquire() as connection, connection.transaction():
        assert await connection.fetchrow(FOUND, *what[:2])
        await connection.execute(MONEY3, *what, now, *ACCOUNTS)
        await connection.execute(WORDS3, *what[:2], now, uuid4().hex, uuid4().hex, what[6], body)
    return Response(b"success", media_type="text/plain")


async def connect(app: Litestar) -> None:
    settings = {"jit": "off", "role": "pitaya_app"}
    app.state.pool = await asyncpg.create_pool(GIVEN["database_url"], min_size=8, max_size=8, server_settings=settings)


app = Litestar([place, place3, confirm, confirm3], on_startup=[connect], openapi_config=None, logging_config=None)
