"""What was done, as rows that the application can only add."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy import bindparam, select

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import Row, inserting, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.actors import Actor, ActorKind, AuditRecord

_t = tables.audit_record
_ADD = inserting("add_audit", _t, [column.name for column in _t.columns if column.name not in ("xid", "n")])
_ABOUT = prepare(select(_t).where(_t.c.object_id == bindparam("object_id")).order_by(_t.c.n))


@dataclass(frozen=True, slots=True)
class SqlAudit:
    tx: Transaction

    async def add(self, record: AuditRecord) -> None:
        await self.tx.write(_ADD, [_row(record)])

    async def about(self, object_id: str) -> Sequence[AuditRecord]:
        return [record_of(found) for found in await self.tx.read(_ABOUT, object_id=object_id)]


def record_of(found: asyncpg.Record) -> AuditRecord:
    return AuditRecord(
        id=found["id"],
        at=found["at"],
        actor=Actor(
            kind=ActorKind(found["actor_kind"]),
            id=found["actor_id"],
            name=found["actor_name"],
            roles=tuple(found["actor_roles"]),
            merchant_id=found["actor_merchant_id"],
            behind=found["behind"],
            address=found["address"],
            request_id=found["request_id"],
        ),
        action=found["action"],
        object_id=found["object_id"],
        merchant_id=found["merchant_id"],
        before=found["before"],
        after=found["after"],
    )


def _row(record: AuditRecord) -> Row:
    actor = record.actor
    return {
        "id": record.id,
        "at": record.at,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "actor_roles": list(actor.roles),
        "actor_merchant_id": actor.merchant_id,
        "behind": actor.behind,
        "address": actor.address,
        "request_id": actor.request_id,
        "action": record.action,
        "object_id": record.object_id,
        "merchant_id": record.merchant_id,
        "before": dict(record.before),
        "after": dict(record.after),
    }
