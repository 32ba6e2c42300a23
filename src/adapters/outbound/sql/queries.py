"""Read models of the merchant API: each a statement of its own, outside any unit of work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Text, bindparam, cast, func, literal_column, or_, select, tuple_

from adapters.outbound.sql import tables
from adapters.outbound.sql.columns import Xid8
from adapters.outbound.sql.cursors import cursor as cursor_at
from adapters.outbound.sql.cursors import read_cursor
from adapters.outbound.sql.deliveries import delivery_of
from adapters.outbound.sql.events import event_of
from adapters.outbound.sql.orders import order_of
from adapters.outbound.sql.statements import Statement, prepare
from adapters.outbound.sql.transaction import Records, reading
from adapters.outbound.sql.unit_of_work import SqlDatabase
from application.ports.queries import Page, request_of
from domain.channels import Mode
from domain.errors import NotFound
from domain.notifications import DeliveryStatus
from domain.times import rfc3339

_o, _e, _d, _try = tables.payment_order, tables.event, tables.delivery, tables.delivery_try
_ORDERS = prepare(
    select(_o)
    .where(
        _o.c.merchant_id == bindparam("merchant_id"),
        _o.c.mode == bindparam("mode"),
        or_(bindparam("status", type_=Text).is_(None), _o.c.status == bindparam("status", type_=Text)),
        tuple_(_o.c.created_at, _o.c.id) < tuple_(bindparam("created_at"), bindparam("id")),
    )
    .order_by(_o.c.created_at.desc(), _o.c.id.desc())
    .limit(bindparam("limit"))
)
# Below the oldest transaction still running: what is not yet visible can only come behind the cursor (DESIGN 3.8).
_EVENTS = prepare(
    select(_e, cast(_e.c.xid, Text).label("xid_text"))
    .where(
        _e.c.merchant_id == bindparam("merchant_id"),
        _e.c.mode == bindparam("mode"),
        tuple_(_e.c.xid, _e.c.n) > tuple_(cast(cast(bindparam("xid"), Text), Xid8), bindparam("n")),
        _e.c.xid < func.pg_snapshot_xmin(func.pg_current_snapshot()),
    )
    .order_by(_e.c.xid, _e.c.n)
    .limit(bindparam("limit"))
)
_DELIVERIES = prepare(
    select(_d)
    .where(
        _d.c.event_id == bindparam("event_id"),
        _d.c.merchant_id == bindparam("merchant_id"),
        _d.c.mode == bindparam("mode"),
    )
    .order_by(_d.c.created_at, _d.c.id)
)
_TRIES = prepare(
    select(_try)
    .join(_d, _d.c.id == _try.c.delivery_id)
    .where(_d.c.event_id == bindparam("event_id"))
    .order_by(_try.c.id)
)
_EVENT = [column.name for column in _e.c if column.name not in ("xid", "n")]
_DELIVERY = prepare(
    select(_d, *(_e.c[name].label(f"event_{name}") for name in _EVENT))
    .join(_e, _e.c.id == _d.c.event_id)
    .where(
        _d.c.id == bindparam("id"),
        _d.c.merchant_id == bindparam("merchant_id"),
        _d.c.mode == bindparam("mode"),
    )
)
_TRIES_OF = prepare(select(_try).where(_try.c.delivery_id == bindparam("id")).order_by(_try.c.id))


@cache
def _delivery_log(endpoint: bool, event: bool, status: str | None) -> Statement:
    """A statement for each set of filters and each status: each with its own plan, so that each finds its own index."""
    wanted = [_d.c.merchant_id == bindparam("merchant_id"), _d.c.mode == bindparam("mode")]
    if endpoint:
        wanted.append(_d.c.endpoint_id == bindparam("endpoint_id"))
    if event:
        wanted.append(_d.c.event_id == bindparam("event_id"))
    if status is not None:
        wanted.append(_d.c.status == literal_column(f"'{DeliveryStatus(status)}'"))
    return prepare(
        select(_d)
        .where(*wanted, tuple_(_d.c.created_at, _d.c.id) < tuple_(bindparam("created_at"), bindparam("id")))
        .order_by(_d.c.created_at.desc(), _d.c.id.desc())
        .limit(bindparam("limit"))
    )


_NEWEST = (datetime.max.replace(tzinfo=UTC), "")
_XID_LIMIT = 2**63


@dataclass(frozen=True, slots=True)
class SqlMerchantQueries:
    database: SqlDatabase

    async def orders(self, merchant_id: str, mode: Mode, *, status: str | None, cursor: str | None, limit: int) -> Page:
        created_at, id_ = read_cursor("o", cursor, _order_place) if cursor is not None else _NEWEST
        async with reading(self.database.engine) as tx:
            found = await tx.read(
                _ORDERS,
                merchant_id=merchant_id,
                mode=mode,
                status=status,
                created_at=created_at,
                id=id_,
                limit=limit + 1,
            )
        rows, more = found[:limit], len(found) > limit
        last = cursor_at("o", rows[-1]["created_at"].isoformat(), rows[-1]["id"]) if more else None
        return Page([order_of(row).snapshot() for row in rows], last)

    async def events(self, merchant_id: str, mode: Mode, *, cursor: str | None, limit: int) -> Page:
        xid, n = read_cursor("e", cursor, _event_place) if cursor is not None else (0, 0)
        async with reading(self.database.engine) as tx:
            found = await tx.read(_EVENTS, merchant_id=merchant_id, mode=mode, xid=str(xid), n=n, limit=limit)
        last = (found[-1]["xid_text"], str(found[-1]["n"])) if found else (str(xid), str(n))
        # A body keeps the version it was written under.
        bodies = [event_of(row).body() for row in found]
        return Page(bodies, cursor_at("e", *last))

    async def deliveries(self, merchant_id: str, mode: Mode, event_id: str) -> Sequence[Mapping[str, Any]]:
        async with reading(self.database.engine) as tx:
            deliveries = await tx.read(_DELIVERIES, event_id=event_id, merchant_id=merchant_id, mode=mode)
            tries = await tx.read(_TRIES, event_id=event_id) if deliveries else ()
        return [delivery_of(row).snapshot() | {"tries": _tries_of(row["id"], tries)} for row in deliveries]

    async def delivery_log(
        self,
        merchant_id: str,
        mode: Mode,
        *,
        endpoint_id: str | None,
        event_id: str | None,
        status: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        created_at, id_ = read_cursor("d", cursor, _order_place) if cursor is not None else _NEWEST
        asked = {"endpoint_id": endpoint_id, "event_id": event_id}
        statement = _delivery_log(endpoint_id is not None, event_id is not None, status)
        place = {"merchant_id": merchant_id, "mode": mode, "created_at": created_at, "id": id_}
        async with reading(self.database.engine) as tx:
            found = await tx.read(statement, **asked, **place, limit=limit + 1)
        rows, more = found[:limit], len(found) > limit
        last = cursor_at("d", rows[-1]["created_at"].isoformat(), rows[-1]["id"]) if more else None
        return Page([delivery_of(row).snapshot() for row in rows], last)

    async def delivery(self, merchant_id: str, mode: Mode, delivery_id: str) -> Mapping[str, Any]:
        async with reading(self.database.engine) as tx:
            found = await tx.read(_DELIVERY, id=delivery_id, merchant_id=merchant_id, mode=mode)
            tries = await tx.read(_TRIES_OF, id=delivery_id) if found else ()
        if not found:
            raise NotFound(f"no delivery {delivery_id}")
        event = event_of({name: found[0][f"event_{name}"] for name in _EVENT})
        tried = _tries_of(delivery_id, tries)
        return delivery_of(found[0]).snapshot() | {"tries": tried, "request": request_of(event, found[0]["url"])}


def _tries_of(delivery_id: str, tries: Records) -> list[dict[str, Any]]:
    return [
        {
            "n": n,
            "at": rfc3339(row["at"]),
            "status_code": row["status_code"],
            "error": row["error"],
            "body": row["body"],
            "duration_ms": row["duration_ms"],
        }
        for n, row in enumerate((row for row in tries if row["delivery_id"] == delivery_id), start=1)
    ]


def _order_place(created_at: str, id_: str) -> tuple[datetime, str]:
    at = datetime.fromisoformat(created_at)
    if at.tzinfo is None or "\0" in id_:
        raise ValueError("not a place in a list of orders")
    return at, id_


def _event_place(xid: str, n: str) -> tuple[int, int]:
    if not (xid.isascii() and xid.isdigit() and n.isascii() and n.isdigit()):
        raise ValueError("not a place in a list of events")
    if int(xid) >= _XID_LIMIT or int(n) >= _XID_LIMIT:
        raise ValueError("no transaction has such a number")
    return int(xid), int(n)
