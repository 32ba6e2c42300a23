"""Held money as rows: one item a payment."""

from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import bindparam, select

from adapters.outbound.sql import tables
from adapters.outbound.sql.payments import payment_of
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import Mode
from domain.errors import NotFound
from domain.money import Money
from domain.payments import ChannelPayment, SuspenseItem, SuspenseStatus, Unattributed

_t, _p = tables.suspense_item, tables.channel_payment
_FROZEN = ["id", "payment_id", "account_id", "mode", "amount", "currency", "reason", "created_at"]
_MOVING = ["status", "order_id", "fee"]
_ADD = inserting("add_item", _t, [*_FROZEN, *_MOVING])
_SAVE = updating("save_item", _t, _MOVING)
_OF_PAYMENT = prepare(select(_t).where(_t.c.payment_id == bindparam("payment_id")))
_both = select(_t, *(column.label(f"its_{column.name}") for column in _p.c)).join(_p, _p.c.id == _t.c.payment_id)
_GET = prepare(_both.where(_t.c.id == bindparam("id")))
_LOCK = prepare(_both.where(_t.c.id == bindparam("id")).with_for_update(of=_t, key_share=True))


@dataclass(frozen=True, slots=True)
class SqlSuspense:
    tx: Transaction

    async def of_payment(self, payment_id: str) -> SuspenseItem | None:
        for found in await self.tx.read(_OF_PAYMENT, payment_id=payment_id):
            return _item_of(found)
        return None

    async def get(self, item_id: str) -> tuple[SuspenseItem, ChannelPayment]:
        for found in await self.tx.read(_GET, id=item_id):
            return _both_of(found)
        raise NotFound(f"no suspense item {item_id}")

    async def lock(self, item_id: str) -> tuple[SuspenseItem, ChannelPayment]:
        for found in await self.tx.run(_LOCK, id=item_id):
            return _both_of(found)
        raise NotFound(f"no suspense item {item_id}")

    async def add(self, item: SuspenseItem) -> None:
        await self.tx.write(_ADD, [_frozen(item) | _moving(item)])

    async def save(self, item: SuspenseItem) -> None:
        await self.tx.write(_SAVE, [_moving(item)], short=stale)


def _both_of(found: asyncpg.Record) -> tuple[SuspenseItem, ChannelPayment]:
    its_payment = {name: found[f"its_{name}"] for name in _p.c.keys()}  # noqa: SIM118
    return _item_of(found), payment_of(its_payment)


def _item_of(found: asyncpg.Record) -> SuspenseItem:
    currency = found["currency"]
    return SuspenseItem(
        id=found["id"],
        payment_id=found["payment_id"],
        account_id=found["account_id"],
        mode=Mode(found["mode"]),
        amount=Money(found["amount"], currency),
        reason=Unattributed(found["reason"]),
        created_at=found["created_at"],
        status=SuspenseStatus(found["status"]),
        order_id=found["order_id"],
        fee=Money(found["fee"], currency),
    )


def _frozen(item: SuspenseItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "payment_id": item.payment_id,
        "account_id": item.account_id,
        "mode": item.mode,
        "amount": item.amount.minor,
        "currency": item.amount.currency,
        "reason": item.reason,
        "created_at": item.created_at,
    }


def _moving(item: SuspenseItem) -> dict[str, Any]:
    return {"id": item.id, "status": item.status, "order_id": item.order_id, "fee": item.fee.minor}
