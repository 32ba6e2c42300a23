"""Events, written with the aggregate that they happened to, and the outbox of those still to be fanned out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import Boolean, Text, bindparam, column, select, table
from sqlalchemy.dialects.postgresql import ARRAY, insert

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import Write, inserting, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.errors import NotFound
from domain.events import Event

_COLUMNS = ["id", "type", "object_id", "merchant_id", "mode", "at", "api_version", "data", "announced", "notify_url"]
_ADD = inserting("add_event", tables.event, _COLUMNS, ignoring=["id"], returning=["id", "announced"])
# Only for events that were new: saving one again after it was fanned out must not send it again.
_added = table("add_event", column("id"), column("announced", Boolean))
_ADD_OUTBOX = Write(
    "add_outbox",
    "outbox",
    prepare(insert(tables.outbox).from_select(["event_id"], select(_added.c.id).where(_added.c.announced), False)),
)
_GET = prepare(select(tables.event).where(tables.event.c.id == bindparam("id")))
_MANY = prepare(select(tables.event).where(tables.event.c.id == bindparam("ids", type_=ARRAY(Text)).any_()))
_ABOUT = prepare(
    select(tables.event)
    .where(tables.event.c.object_id == bindparam("ids", type_=ARRAY(Text)).any_())
    .order_by(tables.event.c.xid, tables.event.c.n)
)
_CLAIM = prepare(
    select(tables.event)
    .join(tables.outbox, tables.outbox.c.event_id == tables.event.c.id)
    .order_by(tables.outbox.c.n)
    .limit(bindparam("limit"))
    .with_for_update(of=tables.outbox, skip_locked=True)
)
_DONE = prepare(tables.outbox.delete().where(tables.outbox.c.event_id == bindparam("ids", type_=ARRAY(Text)).any_()))


async def publish(tx: Transaction, events: Sequence[Event]) -> None:
    """Store new events, with outbox rows for those to be announced; those already stored stay as they are."""
    if events:
        await tx.write(_ADD, [_row(event) for event in events])
        await tx.write(_ADD_OUTBOX, [])


@dataclass(frozen=True, slots=True)
class SqlEvents:
    tx: Transaction

    async def get(self, event_id: str) -> Event:
        for found in await self.tx.read(_GET, id=event_id):
            return event_of(found)
        raise NotFound(f"no event {event_id}")

    async def many(self, event_ids: Collection[str]) -> Mapping[str, Event]:
        return {found["id"]: event_of(found) for found in await self.tx.read(_MANY, ids=list(event_ids))}

    async def about(self, object_ids: Collection[str]) -> Sequence[Event]:
        return [event_of(found) for found in await self.tx.read(_ABOUT, ids=list(object_ids))]


@dataclass(frozen=True, slots=True)
class SqlOutbox:
    tx: Transaction

    async def claim(self, *, limit: int) -> Sequence[Event]:
        return [event_of(found) for found in await self.tx.run(_CLAIM, limit=limit)]

    async def done(self, events: Sequence[Event]) -> None:
        await self.tx.run(_DONE, ids=[event.id for event in events])


def event_of(found: asyncpg.Record | Mapping[str, Any]) -> Event:
    return Event(
        id=found["id"],
        type=found["type"],
        object_id=found["object_id"],
        merchant_id=found["merchant_id"],
        mode=found["mode"],
        at=found["at"],
        data=found["data"],
        announced=found["announced"],
        api_version=found["api_version"],
        notify_url=found["notify_url"],
    )


def _row(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "object_id": event.object_id,
        "merchant_id": event.merchant_id,
        "mode": event.mode,
        "at": event.at,
        "api_version": event.api_version,
        "data": dict(event.data),
        "announced": event.announced,
        "notify_url": event.notify_url,
    }
