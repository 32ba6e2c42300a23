"""Static codes as rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy import bindparam, select

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import Mode
from domain.codes import StaticCode
from domain.errors import NotFound
from domain.money import Money

_t = tables.static_code
_ADD = inserting(
    "add_code",
    _t,
    ["id", "merchant_id", "mode", "token", "name", "amount", "most", "currency", "enabled", "created_at"],
)
_SAVE = updating("save_code", _t, ["enabled"])
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
_BY_TOKEN = prepare(select(_t).where(_t.c.token == bindparam("token")))
_OF_MERCHANT = prepare(
    select(_t)
    .where(_t.c.merchant_id == bindparam("merchant_id"), _t.c.mode == bindparam("mode"))
    .order_by(_t.c.created_at, _t.c.id)
)


@dataclass(frozen=True, slots=True)
class SqlCodes:
    tx: Transaction

    async def get(self, code_id: str) -> StaticCode:
        return _one(await self.tx.read(_GET, id=code_id))

    async def by_token(self, token: str) -> StaticCode:
        return _one(await self.tx.read(_BY_TOKEN, token=token))

    async def of_merchant(self, merchant_id: str, mode: Mode) -> Sequence[StaticCode]:
        return [_code_of(found) for found in await self.tx.read(_OF_MERCHANT, merchant_id=merchant_id, mode=mode)]

    async def add(self, code: StaticCode) -> None:
        row = {
            "id": code.id,
            "merchant_id": code.merchant_id,
            "mode": code.mode,
            "token": code.token,
            "name": code.name,
            "amount": code.amount.minor if code.amount else None,
            "most": code.most.minor,
            "currency": code.most.currency,
            "enabled": code.enabled,
            "created_at": code.created_at,
        }
        await self.tx.write(_ADD, [row])

    async def save(self, code: StaticCode) -> None:
        await self.tx.write(_SAVE, [{"id": code.id, "enabled": code.enabled}], short=stale)


def _one(found: Sequence[asyncpg.Record]) -> StaticCode:
    if not found:
        raise NotFound("no such code")
    return _code_of(found[0])


def _code_of(found: asyncpg.Record) -> StaticCode:
    currency = found["currency"]
    return StaticCode(
        id=found["id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        token=found["token"],
        name=found["name"],
        created_at=found["created_at"],
        amount=Money(found["amount"], currency) if found["amount"] else None,
        most=Money(found["most"], currency),
        enabled=found["enabled"],
    )
