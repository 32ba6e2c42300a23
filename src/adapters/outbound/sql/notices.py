"""The inbox of channel notices: the verified ones for good, the refused ones for a week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from sqlalchemy import bindparam, delete, func, select

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import inserting, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.channels import Channel, ChannelNotice
from domain.errors import NotFound
from domain.kept_notices import KEPT_AN_HOUR, KeptNotice, RefusedNotice

_NOTICE = ["account_id", "notice_id", "kind", "headers", "body", "outcome", "received_at"]
_ADD = inserting("add_notice", tables.notice, _NOTICE, ignoring=["account_id", "notice_id"])
_ADD_FRESH = inserting("add_fresh_notice", tables.notice, _NOTICE)
_GET = prepare(
    select(tables.notice).where(
        tables.notice.c.account_id == bindparam("account_id"), tables.notice.c.notice_id == bindparam("notice_id")
    )
)
_r = tables.refused_notice
_REFUSE = inserting("refuse", _r, ["id", "account_id", "channel", "reason", "headers", "body", "received_at"])
_IN_AN_HOUR = prepare(
    select(func.count().label("rows")).where(
        _r.c.account_id == bindparam("account_id"), _r.c.received_at > bindparam("since")
    )
)
_REFUSED = prepare(select(_r).where(_r.c.id == bindparam("id")))
_REFUSALS = prepare(select(_r).order_by(_r.c.received_at.desc(), _r.c.id.desc()).limit(bindparam("limit")))
_PURGED_AT_ONCE = 10_000
_old = select(_r.c.id).where(_r.c.received_at < bindparam("before")).order_by(_r.c.received_at).limit(_PURGED_AT_ONCE)
_purged = delete(_r).where(_r.c.id.in_(_old)).returning(_r.c.id).cte("purged")
_PURGE = prepare(select(func.count().label("rows")).select_from(_purged))


@dataclass(frozen=True, slots=True)
class SqlNotices:
    tx: Transaction

    async def add(
        self,
        account_id: str,
        notice: ChannelNotice,
        *,
        body: bytes,
        outcome: str,
        received_at: datetime,
        fresh: bool = False,
    ) -> None:
        row = {
            "account_id": account_id,
            "notice_id": notice.id,
            "kind": notice.kind,
            "headers": dict(notice.headers),
            "body": body,
            "outcome": outcome,
            "received_at": received_at,
        }
        await self.tx.write(_ADD_FRESH if fresh else _ADD, [row], key="notice_id")

    async def get(self, account_id: str, notice_id: str) -> KeptNotice:
        for found in await self.tx.read(_GET, account_id=account_id, notice_id=notice_id):
            return KeptNotice(
                account_id=account_id,
                headers=found["headers"],
                body=found["body"],
                received_at=found["received_at"],
            )
        raise NotFound(f"no notice {notice_id} of {account_id}")

    async def refuse(self, notice: RefusedNotice) -> bool:
        since = notice.received_at - timedelta(hours=1)
        (found,) = await self.tx.read(_IN_AN_HOUR, account_id=notice.account_id, since=since)
        if found["rows"] >= KEPT_AN_HOUR:
            return False
        row = {
            "id": notice.id,
            "account_id": notice.account_id,
            "channel": notice.channel,
            "reason": notice.reason,
            "headers": dict(notice.headers),
            "body": notice.body,
            "received_at": notice.received_at,
        }
        await self.tx.write(_REFUSE, [row])
        return True

    async def refused(self, notice_id: str) -> RefusedNotice:
        for found in await self.tx.read(_REFUSED, id=notice_id):
            return _refused_of(found)
        raise NotFound(f"no refused notice {notice_id}")

    async def refusals(self, *, limit: int) -> Sequence[RefusedNotice]:
        return [_refused_of(found) for found in await self.tx.read(_REFUSALS, limit=limit)]

    async def purge_refused(self, before: datetime) -> int:
        """At most 10,000, the oldest: call again while it returns that many."""
        (found,) = await self.tx.run(_PURGE, before=before)
        return int(found["rows"])


def _refused_of(found: asyncpg.Record) -> RefusedNotice:
    return RefusedNotice(
        id=found["id"],
        account_id=found["account_id"],
        channel=Channel(found["channel"]),
        reason=found["reason"],
        headers=found["headers"],
        body=found["body"],
        received_at=found["received_at"],
    )
