"""Counters of tries as rows: they hold across processes, and outlive Redis."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import prepare
from adapters.outbound.sql.transaction import Transaction

PURGED_AT_ONCE = 10_000

_t = tables.throttle
_insert = insert(_t).values(key=bindparam("key"), tries=1, since=bindparam("now"))
_over = _t.c.since <= bindparam("began_before")
_HIT = prepare(
    _insert.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "tries": case((_over, 1), else_=_t.c.tries + 1),
            "since": case((_over, _insert.excluded.since), else_=_t.c.since),
        },
    ).returning(_t.c.tries)
)
_FORGET = prepare(delete(_t).where(_t.c.key == bindparam("key")))
_old = select(_t.c.key).where(_t.c.since < bindparam("before")).order_by(_t.c.since).limit(PURGED_AT_ONCE)
_purged = delete(_t).where(_t.c.key.in_(_old), _t.c.since < bindparam("before")).returning(_t.c.key).cte("purged")
_PURGE = prepare(select(func.count().label("rows")).select_from(_purged))


@dataclass(frozen=True, slots=True)
class SqlThrottles:
    tx: Transaction

    async def hit(self, key: str, *, now: datetime, window: timedelta) -> int:
        (found,) = await self.tx.run(_HIT, key=key, now=now, began_before=now - window)
        return int(found["tries"])

    async def forget(self, key: str) -> None:
        await self.tx.run(_FORGET, key=key)

    async def purge(self, before: datetime) -> int:
        (found,) = await self.tx.run(_PURGE, before=before)
        return int(found["rows"])
