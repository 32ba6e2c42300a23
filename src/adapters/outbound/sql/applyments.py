"""Merchants' applications at a channel as rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import bindparam, select

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.applyments import Applyment, ApplymentStatus, Rejection
from domain.channels import Method, Mode
from domain.errors import NotFound

_t = tables.applyment
_FROZEN = ["id", "merchant_id", "mode", "credential_id", "code", "methods", "created_at"]
_MOVING = [
    "sealed", "status", "channel_id", "sub_mchid", "sign_url", "rejections", "account_id", "next_at", "polls",
]  # fmt: skip
_ADD = inserting("add_applyment", _t, [*_FROZEN, *_MOVING])
_SAVE = updating("save_applyment", _t, _MOVING)
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_OF_MERCHANT = prepare(select(_t).where(_t.c.merchant_id == bindparam("merchant_id")).order_by(_t.c.id.desc()))
_DUE = prepare(
    select(_t)
    .where(_t.c.next_at <= bindparam("now"))
    .order_by(_t.c.next_at, _t.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class SqlApplyments:
    tx: Transaction

    async def get(self, applyment_id: str) -> Applyment:
        return _one(await self.tx.read(_GET, id=applyment_id))

    async def lock(self, applyment_id: str) -> Applyment:
        return _one(await self.tx.run(_LOCK, id=applyment_id))

    async def of_merchant(self, merchant_id: str) -> Sequence[Applyment]:
        return [_applyment_of(found) for found in await self.tx.read(_OF_MERCHANT, merchant_id=merchant_id)]

    async def add(self, applyment: Applyment) -> None:
        frozen = {
            "merchant_id": applyment.merchant_id,
            "mode": applyment.mode,
            "credential_id": applyment.credential_id,
            "code": applyment.code,
            "methods": sorted(applyment.methods),
            "created_at": applyment.created_at,
        }
        await self.tx.write(_ADD, [frozen | _moving(applyment)])

    async def save(self, applyment: Applyment) -> None:
        await self.tx.write(_SAVE, [_moving(applyment)], short=stale)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Applyment]:
        claimed = [_applyment_of(found).polled(now) for found in await self.tx.run(_DUE, now=now, limit=limit)]
        if claimed:
            await self.tx.write(_SAVE, [_moving(applyment) for applyment in claimed], short=stale)
        return claimed


def _moving(applyment: Applyment) -> dict[str, Any]:
    return {
        "id": applyment.id,
        "sealed": applyment.sealed,
        "status": applyment.status,
        "channel_id": applyment.channel_id,
        "sub_mchid": applyment.sub_mchid,
        "sign_url": applyment.sign_url,
        "rejections": [asdict(one) for one in applyment.rejections],
        "account_id": applyment.account_id,
        "next_at": applyment.next_at,
        "polls": applyment.polls,
    }


def _one(found: Sequence[asyncpg.Record]) -> Applyment:
    if not found:
        raise NotFound("no such application")
    return _applyment_of(found[0])


def _applyment_of(found: asyncpg.Record) -> Applyment:
    return Applyment(
        id=found["id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        credential_id=found["credential_id"],
        code=found["code"],
        methods=frozenset(Method(method) for method in found["methods"]),
        created_at=found["created_at"],
        sealed=found["sealed"],
        status=ApplymentStatus(found["status"]),
        channel_id=found["channel_id"],
        sub_mchid=found["sub_mchid"],
        sign_url=found["sign_url"],
        rejections=tuple(Rejection(**one) for one in found["rejections"]),
        account_id=found["account_id"],
        next_at=found["next_at"],
        polls=found["polls"],
    )
