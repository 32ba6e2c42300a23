"""The chain over the audit records as rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy import BigInteger, Text, bindparam, cast, exists, func, select, tuple_
from sqlalchemy.sql import Select

from adapters.outbound.sql import tables
from adapters.outbound.sql.audit import record_of
from adapters.outbound.sql.columns import Xid8
from adapters.outbound.sql.statements import inserting, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.audit_chain import Entry, Link

_ONE_AT_A_TIME = 0x6175646974  # "audit": the advisory lock of those who chain

_r, _l = tables.audit_record, tables.audit_link
_HEAD = prepare(select(_l).order_by(_l.c.position.desc()).limit(1))
_LOCK = prepare(select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger))))
# The last chained record that is still there: links are made in the order of their records.
_END = prepare(
    select(cast(_r.c.xid, Text).label("xid"), _r.c.n)
    .join(_l, _l.c.record_id == _r.c.id)
    .order_by(_l.c.position.desc())
    .limit(1)
)
_PLACE = tuple_(_r.c.xid, _r.c.n)
_THERE = tuple_(cast(cast(bindparam("xid"), Text), Xid8), bindparam("n", type_=BigInteger))
_READABLE = [*(column for column in _r.columns if column.name != "xid"), cast(_r.c.xid, Text).label("xid_text")]
_UNCHAINED = prepare(
    select(*_READABLE)
    .where(_PLACE > _THERE, _r.c.xid < func.pg_snapshot_xmin(func.pg_current_snapshot()))
    .order_by(_r.c.xid, _r.c.n)
    .limit(bindparam("limit"))
)
_AFTER = prepare(
    select(_l.c.position, _l.c.record_id, _l.c.digest, *_READABLE)
    .select_from(_l.outerjoin(_r, _r.c.id == _l.c.record_id))
    .where(_l.c.position > bindparam("position"))
    .order_by(_l.c.position)
    .limit(bindparam("limit"))
)
_unlinked: "Select[tuple[str]]" = select(_r.c.id).where(~exists().where(_l.c.record_id == _r.c.id))
_STRAYS = prepare(_unlinked.where(_PLACE <= _THERE).order_by(_r.c.n).limit(bindparam("limit")))
_PENDING = prepare(select(func.count().label("rows")).select_from(_r).where(_PLACE > _THERE))
_ADD = inserting("add_links", _l, ["position", "record_id", "digest"])


@dataclass(frozen=True, slots=True)
class SqlAuditChain:
    tx: Transaction

    async def head(self) -> Link | None:
        for found in await self.tx.read(_HEAD):
            return _link(found)
        return None

    async def lock_head(self) -> Link | None:
        await self.tx.run(_LOCK, key=_ONE_AT_A_TIME)
        return await self.head()

    async def unchained(self, *, limit: int) -> Sequence[Entry]:
        xid, n = await self._end()
        return [_entry(found) for found in await self.tx.read(_UNCHAINED, xid=xid, n=n, limit=limit)]

    async def add(self, links: Sequence[Link]) -> None:
        rows = [{"position": link.position, "record_id": link.record_id, "digest": link.digest} for link in links]
        if rows:
            await self.tx.write(_ADD, rows, key="position")

    async def after(self, position: int, *, limit: int) -> Sequence[tuple[Link, Entry | None]]:
        rows = await self.tx.read(_AFTER, position=position, limit=limit)
        return [(_link(found), _entry(found) if found["id"] is not None else None) for found in rows]

    async def strays(self, *, limit: int) -> Sequence[str]:
        xid, n = await self._end()
        return [found["id"] for found in await self.tx.read(_STRAYS, xid=xid, n=n, limit=limit)]

    async def pending(self) -> int:
        xid, n = await self._end()
        (found,) = await self.tx.read(_PENDING, xid=xid, n=n)
        return int(found["rows"])

    async def _end(self) -> tuple[str, int]:
        for found in await self.tx.read(_END):
            return found["xid"], found["n"]
        return "0", 0


def _link(found: asyncpg.Record) -> Link:
    return Link(position=found["position"], record_id=found["record_id"], digest=found["digest"])


def _entry(found: asyncpg.Record) -> Entry:
    return Entry(record=record_of(found), xid=int(found["xid_text"]), n=found["n"])
