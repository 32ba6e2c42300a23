"""Idempotency keys as rows: claimed by one statement that either wins, takes over, or leaves the row locked."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import Write, given, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.channels import Mode
from domain.idempotency import RUNNING, IdempotencyKey, IdempotentCall

PURGED_AT_ONCE = 10_000

_t = tables.idempotency
_IDENTITY = ["merchant_id", "mode", "key"]
_this = and_(*(_t.c[name] == bindparam(name) for name in _IDENTITY))
_insert = insert(_t).values(
    {name: bindparam(name) for name in [*_IDENTITY, "fingerprint", "locked_until", "created_at"]}
)
# An abandoned run of the very same call is taken over; any other row in the way is locked by the attempt to insert.
_CLAIM = prepare(
    _insert.on_conflict_do_update(
        index_elements=_IDENTITY,
        set_={"locked_until": _insert.excluded.locked_until},
        where=and_(
            _t.c.status.is_(None),
            _t.c.locked_until <= bindparam("now"),
            _t.c.fingerprint == _insert.excluded.fingerprint,
        ),
    ).returning(_t.c.key)
)
_LOCK = prepare(select(_t).where(_this).with_for_update(key_share=True))
_answer = given(_t, [*_IDENTITY, "status", "body"], joined=True)
_ANSWER = Write(
    "answer",
    _t.name,
    prepare(
        update(_t)
        .values(status=_answer["status"], body=_answer["body"])
        .where(*(_t.c[name] == _answer[name] for name in _IDENTITY))
    ),
)
_RELEASE = prepare(delete(_t).where(_this))
_old = (
    select(_t.c.merchant_id, _t.c.mode, _t.c.key)
    .where(_t.c.created_at < bindparam("before"))
    .order_by(_t.c.created_at)
    .limit(PURGED_AT_ONCE)
)
_purged = delete(_t).where(tuple_(*(_t.c[name] for name in _IDENTITY)).in_(_old)).returning(_t.c.key).cte("purged")
_PURGE = prepare(select(func.count().label("rows")).select_from(_purged))


@dataclass(frozen=True, slots=True)
class SqlIdempotentCalls:
    tx: Transaction

    async def claim(self, key: IdempotencyKey, *, now: datetime) -> IdempotentCall | None:
        while True:
            ours = await self.tx.run(
                _CLAIM,
                **_identity(key),
                fingerprint=key.fingerprint,
                locked_until=now + RUNNING,
                created_at=now,
                now=now,
            )
            if ours:
                return None
            for found in await self.tx.run(_LOCK, **_identity(key)):
                return IdempotentCall(
                    key=IdempotencyKey(
                        merchant_id=found["merchant_id"],
                        mode=Mode(found["mode"]),
                        key=found["key"],
                        fingerprint=found["fingerprint"],
                    ),
                    locked_until=found["locked_until"],
                    status=found["status"],
                    body=found["body"],
                )
            # It was released in between: now it is free.

    async def answer(self, key: IdempotencyKey, status: int, body: bytes) -> None:
        await self.tx.write(_ANSWER, [_identity(key) | {"status": status, "body": body}], key="key")

    async def release(self, key: IdempotencyKey) -> None:
        await self.tx.run(_RELEASE, **_identity(key))

    async def purge(self, before: datetime) -> int:
        """At most PURGED_AT_ONCE, the oldest: call again while it returns that many."""
        (found,) = await self.tx.run(_PURGE, before=before)
        return int(found["rows"])


def _identity(key: IdempotencyKey) -> dict[str, str]:
    return {"merchant_id": key.merchant_id, "mode": key.mode, "key": key.key}
