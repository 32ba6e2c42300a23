"""API keys as rows: what is kept of them is a keyed digest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import ColumnElement, bindparam, literal_column, or_, select, update

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import Write, given, inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import Mode
from domain.errors import NotFound
from domain.merchants import USE_GRAIN, ApiKey, Scope

_t = tables.api_key
_FROZEN = ["id", "merchant_id", "mode", "digest", "last4", "created_at", "scopes", "last_used_at"]
_MOVING = ["name", "expires_at", "revoked_at"]
_ADD = inserting("add_key", _t, [*_FROZEN, *_MOVING])
_SAVE = updating("save_key", _t, _MOVING)
_FIND = prepare(select(_t).where(_t.c.digest == bindparam("digest")))
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update())
_OF_MERCHANT = prepare(
    select(_t)
    .where(_t.c.merchant_id == bindparam("merchant_id"), _t.c.mode == bindparam("mode"))
    .order_by(_t.c.created_at.desc(), _t.c.id.desc())
    .limit(bindparam("limit"))
)
_GRAIN: ColumnElement[timedelta] = literal_column(f"interval '{USE_GRAIN.total_seconds():.0f} seconds'")
_use = given(_t, ["id", "last_used_at"], joined=True)
_stale = (
    select(_t.c.id, _use["last_used_at"].label("now"))
    .where(_t.c.id == _use["id"])
    .where(or_(_t.c.last_used_at.is_(None), _t.c.last_used_at <= _use["last_used_at"] - _GRAIN))
    .with_for_update(of=_t, skip_locked=True)
    .cte("unwritten_use")
)
_USED = Write(
    "use_key",
    "api_key",
    prepare(update(_t).values(last_used_at=_stale.c.now).where(_t.c.id == _stale.c.id)),
)


@dataclass(frozen=True, slots=True)
class SqlApiKeys:
    tx: Transaction

    async def add(self, key: ApiKey) -> None:
        frozen = {
            "merchant_id": key.merchant_id,
            "mode": key.mode,
            "digest": key.digest,
            "last4": key.last4,
            "created_at": key.created_at,
            "scopes": None if key.scopes is None else sorted(key.scopes),
            "last_used_at": key.last_used_at,
        }
        await self.tx.write(_ADD, [_moving(key) | frozen])

    async def find(self, digest: bytes) -> ApiKey | None:
        for found in await self.tx.read(_FIND, digest=digest):
            return _key_of(found)
        return None

    async def lock(self, key_id: str) -> ApiKey:
        for found in await self.tx.run(_LOCK, id=key_id):
            return _key_of(found)
        raise NotFound(f"no API key {key_id}")

    async def of_merchant(self, merchant_id: str, mode: Mode, *, limit: int) -> Sequence[ApiKey]:
        found = await self.tx.read(_OF_MERCHANT, merchant_id=merchant_id, mode=mode, limit=limit)
        return [_key_of(row) for row in found]

    async def save(self, key: ApiKey) -> None:
        await self.tx.write(_SAVE, [_moving(key)], short=stale)

    async def used(self, key_id: str, now: datetime) -> None:
        await self.tx.write(_USED, [{"id": key_id, "last_used_at": now}])


def _key_of(found: asyncpg.Record) -> ApiKey:
    return ApiKey(
        id=found["id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        digest=found["digest"],
        last4=found["last4"],
        created_at=found["created_at"],
        expires_at=found["expires_at"],
        revoked_at=found["revoked_at"],
        name=found["name"],
        scopes=None if found["scopes"] is None else frozenset(map(Scope, found["scopes"])),
        last_used_at=found["last_used_at"],
    )


def _moving(key: ApiKey) -> dict[str, Any]:
    return {"id": key.id, "name": key.name, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
