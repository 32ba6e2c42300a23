"""Merchants' webhook endpoints as rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import Text, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import publish
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import Mode
from domain.errors import NotFound
from domain.notifications import Disabled, Endpoint

_t = tables.webhook_endpoint
_MOVING = [
    "url", "sealed", "event_types", "previous_sealed", "previous_until", "enabled", "enabled_at", "disabled",
    "disabled_at", "revision",
]  # fmt: skip
_ADD = inserting("add_endpoint", _t, ["id", "merchant_id", "mode", "created_at", *_MOVING])
_SAVE = updating("save_endpoint", _t, _MOVING)
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
# NO KEY: a new delivery may refer to it meanwhile.
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_MANY = prepare(select(_t).where(_t.c.id == bindparam("ids", type_=ARRAY(Text)).any_()))
_OF_MERCHANT = prepare(
    select(_t)
    .where(_t.c.merchant_id == bindparam("merchant_id"), _t.c.mode == bindparam("mode"))
    .order_by(_t.c.created_at, _t.c.id)
)


@dataclass(frozen=True, slots=True)
class SqlEndpoints:
    tx: Transaction

    async def get(self, endpoint_id: str) -> Endpoint:
        for found in await self.tx.read(_GET, id=endpoint_id):
            return _endpoint_of(found)
        raise NotFound(f"no webhook endpoint {endpoint_id}")

    async def lock(self, endpoint_id: str) -> Endpoint:
        for found in await self.tx.run(_LOCK, id=endpoint_id):
            return _endpoint_of(found)
        raise NotFound(f"no webhook endpoint {endpoint_id}")

    async def many(self, endpoint_ids: Collection[str]) -> Mapping[str, Endpoint]:
        return {found["id"]: _endpoint_of(found) for found in await self.tx.read(_MANY, ids=list(endpoint_ids))}

    async def of_merchant(self, merchant_id: str, mode: Mode) -> Sequence[Endpoint]:
        return [_endpoint_of(found) for found in await self.tx.read(_OF_MERCHANT, merchant_id=merchant_id, mode=mode)]

    async def add(self, endpoint: Endpoint) -> None:
        whose = {"merchant_id": endpoint.merchant_id, "mode": endpoint.mode, "created_at": endpoint.created_at}
        await self.tx.write(_ADD, [_moving(endpoint) | whose])

    async def save(self, endpoint: Endpoint) -> None:
        await self.tx.write(_SAVE, [_moving(endpoint)], short=stale)
        await publish(self.tx, endpoint.events)


def _endpoint_of(found: asyncpg.Record) -> Endpoint:
    return Endpoint(
        id=found["id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        url=found["url"],
        sealed=found["sealed"],
        created_at=found["created_at"],
        event_types=frozenset(found["event_types"]),
        previous_sealed=found["previous_sealed"],
        previous_until=found["previous_until"],
        enabled=found["enabled"],
        enabled_at=found["enabled_at"],
        disabled=Disabled(found["disabled"]) if found["disabled"] else None,
        disabled_at=found["disabled_at"],
        revision=found["revision"],
    )


def _moving(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "sealed": endpoint.sealed,
        "event_types": sorted(endpoint.event_types),
        "previous_sealed": endpoint.previous_sealed,
        "previous_until": endpoint.previous_until,
        "enabled": endpoint.enabled,
        "enabled_at": endpoint.enabled_at,
        "disabled": endpoint.disabled,
        "disabled_at": endpoint.disabled_at,
        "revision": endpoint.revision,
    }
