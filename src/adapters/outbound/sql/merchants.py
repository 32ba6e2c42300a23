"""Merchants as rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg
from sqlalchemy import Text, bindparam, or_, select

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Records, Transaction, stale
from domain.channels import FundMode
from domain.errors import NotFound
from domain.merchants import BankAccount, Contact, LatePayment, Merchant
from domain.payouts import PayeeKind

_t = tables.merchant
_MOVING = [
    "name", "short_name", "contacts", "late_payment", "fund_modes", "networks", "orders_per_minute",
    "payee_holder", "payee_bank", "payee_sealed", "payee_last4", "payee_changed_at", "payee_kind", "active",
]  # fmt: skip
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_ADD = inserting("add_merchant", _t, ["id", "created_at", *_MOVING])
_SAVE = updating("save_merchant", _t, _MOVING)
_before = bindparam("before", type_=Text)
_PAGE = prepare(
    select(_t).where(or_(_before.is_(None), _t.c.id < _before)).order_by(_t.c.id.desc()).limit(bindparam("limit"))
)


@dataclass(frozen=True, slots=True)
class SqlMerchants:
    tx: Transaction

    async def get(self, merchant_id: str) -> Merchant:
        return _one(await self.tx.read(_GET, id=merchant_id), merchant_id)

    async def lock(self, merchant_id: str) -> Merchant:
        return _one(await self.tx.run(_LOCK, id=merchant_id), merchant_id)

    async def add(self, merchant: Merchant) -> None:
        await self.tx.write(_ADD, [_moving(merchant) | {"created_at": merchant.created_at}])

    async def save(self, merchant: Merchant) -> None:
        await self.tx.write(_SAVE, [_moving(merchant)], short=stale)

    async def page(self, *, before: str | None, limit: int) -> Sequence[Merchant]:
        return [merchant_of(found) for found in await self.tx.read(_PAGE, before=before, limit=limit)]


def merchant_of(found: asyncpg.Record) -> Merchant:
    return Merchant(
        id=found["id"],
        name=found["name"],
        created_at=found["created_at"],
        short_name=found["short_name"],
        contacts=tuple(Contact(**contact) for contact in found["contacts"]),
        late_payment=LatePayment(found["late_payment"]),
        fund_modes=frozenset(map(FundMode, found["fund_modes"])),
        networks=tuple(found["networks"]),
        orders_per_minute=found["orders_per_minute"],
        payee=_payee_of(found) if found["payee_holder"] is not None else None,
        active=found["active"],
    )


def _payee_of(found: asyncpg.Record) -> BankAccount:
    return BankAccount(
        holder=found["payee_holder"],
        bank=found["payee_bank"],
        sealed=found["payee_sealed"],
        last4=found["payee_last4"],
        changed_at=found["payee_changed_at"],
        kind=PayeeKind(found["payee_kind"]),
    )


def _moving(merchant: Merchant) -> dict[str, Any]:
    payee = merchant.payee
    return {
        "id": merchant.id,
        "name": merchant.name,
        "short_name": merchant.short_name,
        "contacts": [asdict(contact) for contact in merchant.contacts],
        "late_payment": merchant.late_payment,
        "fund_modes": sorted(merchant.fund_modes),
        "networks": list(merchant.networks),
        "orders_per_minute": merchant.orders_per_minute,
        "payee_holder": payee.holder if payee else None,
        "payee_bank": payee.bank if payee else None,
        "payee_sealed": payee.sealed if payee else None,
        "payee_last4": payee.last4 if payee else None,
        "payee_changed_at": payee.changed_at if payee else None,
        "payee_kind": payee.kind if payee else None,
        "active": merchant.active,
    }


def _one(found: Records, merchant_id: str) -> Merchant:
    if not found:
        raise NotFound(f"no merchant {merchant_id}")
    return merchant_of(found[0])
