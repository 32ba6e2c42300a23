"""Finding an object by any number, and everything that happened to an order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import prepare
from adapters.outbound.sql.transaction import Transaction, reading
from adapters.outbound.sql.unit_of_work import SqlDatabase
from application.ports.lists import Hit, Told
from application.stories import MOST, audited, happened, paid, posted, tried
from domain.channels import Mode

EACH = 20
# kind, table, the column searched, and where it says which order, merchant and mode
_PLACES = (
    ("order", "payment_order", "id", "id", "merchant_id", "mode"),
    ("order", "payment_order", "merchant_order_no", "id", "merchant_id", "mode"),
    ("attempt", "attempt", "id", "order_id", "merchant_id", "mode"),
    ("attempt", "attempt", "number", "order_id", "merchant_id", "mode"),
    ("channel_payment", "channel_payment", "id", "order_id", "merchant_id", "mode"),
    ("channel_payment", "channel_payment", "transaction_id", "order_id", "merchant_id", "mode"),
    ("channel_payment", "channel_payment", "number", "order_id", "merchant_id", "mode"),
    ("refund", "refund", "id", "order_id", "merchant_id", "mode"),
    ("refund", "refund", "merchant_refund_no", "order_id", "merchant_id", "mode"),
    ("refund", "refund", "number", "order_id", "merchant_id", "mode"),
    ("settlement", "settlement", "id", "NULL", "merchant_id", "mode"),
    ("settlement", "settlement", "number", "NULL", "merchant_id", "mode"),
    ("suspense_item", "suspense_item", "id", "NULL", "NULL", "mode"),
    ("event", "event", "id", "NULL", "merchant_id", "mode"),
    ("delivery", "delivery", "id", "NULL", "merchant_id", "mode"),
    ("webhook_endpoint", "webhook_endpoint", "id", "NULL", "merchant_id", "mode"),
    ("api_key", "api_key", "id", "NULL", "merchant_id", "mode"),
    ("channel_account", "channel_account", "id", "NULL", "merchant_id", "mode"),
    ("merchant", "merchant", "id", "NULL", "id", "NULL"),
)
_SEARCH = prepare(
    text(
        " UNION ALL ".join(
            f"(SELECT '{kind}' AS kind, id, '{column}' AS field, CAST({order} AS text) AS order_id,"  # noqa: S608
            f" CAST({merchant} AS text) AS merchant_id, CAST({mode} AS text) AS mode FROM {table}"
            f" WHERE {column} = :number"
            f" AND (CAST(:merchant_id AS text) IS NULL OR CAST({merchant} AS text) = :merchant_id)"
            f" AND (CAST(:mode AS text) IS NULL OR CAST({mode} AS text) = :mode)"
            f" ORDER BY id LIMIT {EACH})"
            for kind, table, column, order, merchant, mode in _PLACES
        )
    ).bindparams(bindparam("merchant_id", type_=Text), bindparam("mode", type_=Text))
)
_ids = bindparam("ids", type_=ARRAY(Text)).any_()
_PARTS = prepare(
    text(
        "SELECT id FROM payment_order WHERE id = :id UNION ALL SELECT id FROM attempt WHERE order_id = :id"
        " UNION ALL SELECT id FROM channel_payment WHERE order_id = :id"
        " UNION ALL SELECT id FROM refund WHERE order_id = :id"
    )
)
_e, _t, _p, _a = tables.event, tables.transfer, tables.channel_payment, tables.audit_record
_EVENTS = prepare(select(_e).where(_e.c.object_id == _ids).order_by(_e.c.at, _e.c.xid, _e.c.n).limit(MOST))
_PAYMENTS = prepare(select(_p).where(_p.c.order_id == bindparam("id")).order_by(_p.c.recorded_at).limit(MOST))
_TRANSFERS = prepare(select(_t).where(_t.c.about == _ids).order_by(_t.c.id).limit(MOST))
_AUDIT = prepare(select(_a).where(_a.c.object_id == _ids).order_by(_a.c.n).limit(MOST))
_d, _try = tables.delivery, tables.delivery_try
_TRIES = prepare(
    select(_try, _d.c.event_id, _d.c.endpoint_id, _d.c.url)
    .join(_d, _d.c.id == _try.c.delivery_id)
    .where(_d.c.event_id == _ids)
    .order_by(_try.c.id)
    .limit(MOST)
)


@dataclass(frozen=True, slots=True)
class SqlFinding:
    database: SqlDatabase

    async def search(self, number: str, *, merchant_id: str | None = None, mode: Mode | None = None) -> Sequence[Hit]:
        async with reading(self.database.engine) as tx:
            found = await tx.read(_SEARCH, number=number, merchant_id=merchant_id, mode=str(mode) if mode else None)
        return [Hit(**dict(row)) for row in found]

    async def story(self, order_id: str) -> Sequence[Told]:
        async with reading(self.database.engine) as tx:
            ids = [row["id"] for row in await tx.read(_PARTS, id=order_id)]
            lines = await self._lines(tx, order_id, ids) if ids else []
        return sorted(lines, key=lambda told: told.at)[:MOST]

    async def _lines(self, tx: Transaction, order_id: str, ids: list[str]) -> list[Told]:
        events: list[Any] = list(await tx.read(_EVENTS, ids=ids))
        sent = [row["id"] for row in events if row["announced"]]
        return [
            *(happened(dict(row)) for row in events),
            *(paid(dict(row)) for row in await tx.read(_PAYMENTS, id=order_id)),
            *(posted(dict(row)) for row in await tx.read(_TRANSFERS, ids=ids)),
            *(tried(dict(row)) for row in await tx.read(_TRIES, ids=sent)),
            *(audited(dict(row)) for row in await tx.read(_AUDIT, ids=ids)),
        ]
