"""Deliveries as rows, each with its tries."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import BigInteger, DateTime, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import event_of
from adapters.outbound.sql.statements import Write, given, inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import Mode
from domain.events import Event
from domain.notifications import Answer, Delivery, DeliveryStatus, Endpoint

_t = tables.delivery
_GIVEN_UP = (DeliveryStatus.EXHAUSTED, DeliveryStatus.CANCELLED)
_FROZEN = ["id", "event_id", "endpoint_id", "merchant_id", "mode", "url", "lane", "created_at"]
_MOVING = ["next_at", "status", "tries", "tries_before", "in_flight"]
_ADD = inserting("add_delivery", _t, [*_FROZEN, *_MOVING], ignoring=["event_id", "endpoint_id"])
_SAVE = updating("save_delivery", _t, _MOVING)
_ADD_TRY = inserting(
    "add_try", tables.delivery_try, ["delivery_id", "at", "status_code", "error", "body", "duration_ms"]
)
_LOCK = prepare(
    select(_t)
    .where(_t.c.id == bindparam("ids", type_=ARRAY(Text)).any_())
    .order_by(_t.c.id)
    .with_for_update(key_share=True)
)
_known = given(_t, ["id", *_MOVING], joined=True)
_UNMOVED = Write(
    "unmoved_delivery",
    "watched",
    prepare(
        select(_t.c.id)
        .where(_t.c.id == _known["id"], *(_t.c[name].is_not_distinct_from(_known[name]) for name in _MOVING))
        .order_by(_t.c.id)
        .with_for_update(of=_t, key_share=True)
    ),
    whole=True,
)
# Lane by lane along the index (a loose index scan, PostgreSQL wiki): a lane costs a probe and what it may send, however
# much it holds back. Chosen first, locked after, and asked again then: the lock reads the newest row, and one that
# another worker has leased meanwhile is not due any more. In this order whatever the statistics say (MATERIALIZED, and
# a LIMIT in each row's own lookup): when a backlog comes they still know of hardly anything due, and a join made by
# them asked each lane two thousand times for two thousand rows.
_DUE = prepare(
    text(f"""
WITH RECURSIVE lane (name) AS (
  (SELECT lane FROM delivery WHERE {tables.DELIVERY_DUE} ORDER BY lane LIMIT 1)
  UNION ALL
  SELECT (SELECT d.lane FROM delivery d WHERE d.{tables.DELIVERY_DUE} AND d.lane > lane.name ORDER BY d.lane LIMIT 1)
  FROM lane WHERE lane.name IS NOT NULL),
room AS MATERIALIZED (
  SELECT lane.name, CASE WHEN c.paused_until > :now THEN 0 WHEN c.paused_until IS NOT NULL THEN 1 ELSE :each END
    - (SELECT count(*) FROM delivery d WHERE d.{tables.DELIVERY_IN_FLIGHT} AND d.lane = lane.name AND d.next_at > :now)
    AS places
  FROM lane LEFT JOIN circuit c ON c.lane = lane.name WHERE lane.name IS NOT NULL),
chosen AS MATERIALIZED (
  SELECT due.id FROM room CROSS JOIN LATERAL (
    SELECT d.id, d.next_at FROM delivery d WHERE d.{tables.DELIVERY_DUE} AND d.lane = room.name AND d.next_at <= :now
    ORDER BY d.next_at, d.id LIMIT room.places) AS due
  WHERE room.places > 0 ORDER BY due.next_at, due.id)
SELECT d.* FROM chosen CROSS JOIN LATERAL (
  SELECT * FROM delivery WHERE id = chosen.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS d
WHERE d.{tables.DELIVERY_DUE} AND d.next_at <= :now LIMIT :limit
""").bindparams(bindparam("now", type_=DateTime(timezone=True)), bindparam("each", type_=BigInteger))  # noqa: S608 - words of our own
)
_CANCEL = prepare(
    text(f"""
UPDATE delivery SET status = 'cancelled', next_at = NULL, in_flight = false
WHERE id IN (SELECT id FROM delivery WHERE {tables.DELIVERY_DUE} AND endpoint_id = :endpoint_id
             ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
""")  # noqa: S608
)
_MISSED = prepare(
    text("""
SELECT e.*, d.id AS delivery_id
FROM event e LEFT JOIN delivery d ON d.event_id = e.id AND d.endpoint_id = :endpoint_id
WHERE e.merchant_id = :merchant_id AND e.mode = :mode AND e.announced AND e.at >= :since AND e.at < :until
AND (cardinality(CAST(:types AS text[])) = 0 OR e.type = ANY (CAST(:types AS text[])))
AND (CAST(:url AS text) IS NOT NULL OR e.notify_url IS NOT NULL)
AND (d.id IS NULL OR d.status IN ('exhausted', 'cancelled'))
AND NOT EXISTS (SELECT FROM outbox o WHERE o.event_id = e.id)
ORDER BY e.xid, e.n LIMIT :limit
""").bindparams(bindparam("since", type_=DateTime(timezone=True)), bindparam("until", type_=DateTime(timezone=True)))
)


@dataclass(frozen=True, slots=True)
class SqlDeliveries:
    tx: Transaction

    async def add(self, delivery: Delivery) -> None:
        await self.tx.write(_ADD, [_frozen(delivery) | _moving(delivery)])

    async def claim_due(self, now: datetime, *, limit: int, per_endpoint: int) -> Sequence[Delivery]:
        due = await self.tx.run(_DUE, now=now, limit=limit, each=per_endpoint)
        claimed = [delivery_of(found).leased(now) for found in due]
        if claimed:
            await self.tx.write(_SAVE, [_moving(delivery) for delivery in claimed], short=stale)
        return claimed

    async def lock(self, delivery_ids: Collection[str]) -> dict[str, Delivery]:
        return {found["id"]: delivery_of(found) for found in await self.tx.run(_LOCK, ids=list(delivery_ids))}

    async def watch(self, deliveries: Sequence[Delivery]) -> None:
        await self.tx.write(_UNMOVED, [_moving(delivery) for delivery in deliveries])

    async def save(self, delivery: Delivery, answer: Answer | None, at: datetime) -> None:
        await self.tx.write(_SAVE, [_moving(delivery)], short=stale)
        if answer is not None:
            row = {
                "delivery_id": delivery.id,
                "at": at,
                "status_code": answer.status_code,
                "error": answer.error,
                "body": answer.body,
                "duration_ms": answer.duration_ms,
            }
            await self.tx.write(_ADD_TRY, [row], key="delivery_id")

    async def cancel_due(self, endpoint_id: str, *, limit: int) -> int:
        return len(await self.tx.run(_CANCEL, endpoint_id=endpoint_id, limit=limit))

    async def missed(
        self, endpoint: Endpoint, since: datetime, until: datetime, *, limit: int
    ) -> Sequence[tuple[Event, Delivery | None]]:
        found = await self.tx.run(
            _MISSED,
            endpoint_id=endpoint.id,
            merchant_id=endpoint.merchant_id,
            mode=endpoint.mode,
            since=since,
            until=until,
            types=sorted(endpoint.event_types),
            url=endpoint.url,
            limit=limit,
        )
        locked = await self.lock([row["delivery_id"] for row in found if row["delivery_id"]])
        # One that somebody has asked for meanwhile is missed no more.
        given_up = {id_: each for id_, each in locked.items() if each.status in _GIVEN_UP}
        return [
            (event_of(row), given_up.get(row["delivery_id"] or ""))
            for row in found
            if row["delivery_id"] is None or row["delivery_id"] in given_up
        ]


def delivery_of(found: asyncpg.Record) -> Delivery:
    return Delivery(
        id=found["id"],
        event_id=found["event_id"],
        endpoint_id=found["endpoint_id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        url=found["url"],
        lane=found["lane"],
        created_at=found["created_at"],
        next_at=found["next_at"],
        status=DeliveryStatus(found["status"]),
        tries=found["tries"],
        tries_before=found["tries_before"],
        in_flight=found["in_flight"],
    )


def _frozen(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "endpoint_id": delivery.endpoint_id,
        "merchant_id": delivery.merchant_id,
        "mode": delivery.mode,
        "url": delivery.url,
        "lane": delivery.lane,
        "created_at": delivery.created_at,
    }


def _moving(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "next_at": delivery.next_at,
        "status": delivery.status,
        "tries": delivery.tries,
        "tries_before": delivery.tries_before,
        "in_flight": delivery.in_flight,
    }
