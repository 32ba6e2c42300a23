"""Orders as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import bindparam, select, text, update

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import publish
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import Method, Mode
from domain.errors import NotFound
from domain.money import Money
from domain.orders import Order, OrderRequest, OrderStatus

_t = tables.payment_order
_ASKED = [
    "id", "merchant_id", "mode", "merchant_order_no", "amount", "currency", "subject", "expires_in", "method",
    "return_url", "notify_url", "payer_ip", "locale", "metadata", "profit_sharing", "cashier_token", "created_at",
    "expires_at",
]  # fmt: skip
_MOVING = [
    "status", "paid", "refunded", "refunding", "paid_method", "paid_at", "closed_at", "close_reason", "revision",
]  # fmt: skip
_ADD = inserting("add_order", _t, [*_ASKED, *_MOVING, "next_at"])
_SAVE = updating("save_order", _t, _MOVING, revision=True)
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
# NO KEY: as exclusive against other lockers, but it lets a new attempt refer to the order.
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_BY_TOKEN = prepare(select(_t).where(_t.c.cashier_token == bindparam("token")))
_PLACED = prepare(
    select(_t).where(
        _t.c.merchant_id == bindparam("merchant_id"),
        _t.c.mode == bindparam("mode"),
        _t.c.merchant_order_no == bindparam("merchant_order_no"),
    )
)
_due = (
    select(_t.c.id, _t.c.next_at)
    .where(text(tables.ORDER_EXPIRING), _t.c.next_at <= bindparam("now"))
    .order_by(_t.c.next_at, _t.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
    .cte("due")
)
_CLAIM_EXPIRED = prepare(
    update(_t).values(next_at=bindparam("retry_at")).where(_t.c.id == _due.c.id).returning(_t.c.id, _due.c.next_at)
)


@dataclass(frozen=True, slots=True)
class SqlOrders:
    tx: Transaction

    async def get(self, order_id: str) -> Order:
        return _one(await self.tx.read(_GET, id=order_id), order_id)

    async def placed(self, merchant_id: str, mode: Mode, merchant_order_no: str) -> Order:
        found = await self.tx.read(_PLACED, merchant_id=merchant_id, mode=mode, merchant_order_no=merchant_order_no)
        return _one(found, merchant_order_no)

    async def by_token(self, cashier_token: str) -> Order:
        return _one(await self.tx.read(_BY_TOKEN, token=cashier_token), "behind this link")

    async def lock(self, order_id: str) -> Order:
        return _one(await self.tx.run(_LOCK, id=order_id), order_id)

    async def add(self, order: Order) -> None:
        await self.tx.write(_ADD, [_asked(order) | _moving(order) | {"next_at": order.expires_at}])
        await publish(self.tx, order.events)

    async def save(self, order: Order) -> None:
        await self.tx.write(_SAVE, [_moving(order)], short=stale)
        await publish(self.tx, order.events)

    async def claim_expired(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[str]:
        claimed = await self.tx.run(_CLAIM_EXPIRED, now=now, retry_at=retry_at, limit=limit)
        return [row["id"] for row in sorted(claimed, key=lambda row: (row["next_at"], row["id"]))]


def order_of(found: asyncpg.Record | Mapping[str, Any]) -> Order:
    currency = found["currency"]
    return Order(
        id=found["id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        request=OrderRequest(
            merchant_order_no=found["merchant_order_no"],
            amount=Money(found["amount"], currency),
            subject=found["subject"],
            expires_in=found["expires_in"],
            method=_method(found["method"]),
            return_url=found["return_url"],
            notify_url=found["notify_url"],
            payer_ip=found["payer_ip"],
            locale=found["locale"],
            metadata=found["metadata"],
            profit_sharing=found["profit_sharing"],
        ),
        cashier_token=found["cashier_token"],
        created_at=found["created_at"],
        expires_at=found["expires_at"],
        status=OrderStatus(found["status"]),
        paid=Money(found["paid"], currency),
        refunded=Money(found["refunded"], currency),
        refunding=Money(found["refunding"], currency),
        paid_method=_method(found["paid_method"]),
        paid_at=found["paid_at"],
        closed_at=found["closed_at"],
        close_reason=found["close_reason"],
        revision=found["revision"],
    )


def _asked(order: Order) -> dict[str, Any]:
    request = order.request
    return {
        "id": order.id,
        "merchant_id": order.merchant_id,
        "mode": order.mode,
        "merchant_order_no": request.merchant_order_no,
        "amount": request.amount.minor,
        "currency": request.amount.currency,
        "subject": request.subject,
        "expires_in": request.expires_in,
        "method": request.method,
        "return_url": request.return_url,
        "notify_url": request.notify_url,
        "payer_ip": request.payer_ip,
        "locale": request.locale,
        "metadata": dict(request.metadata),
        "profit_sharing": request.profit_sharing,
        "cashier_token": order.cashier_token,
        "created_at": order.created_at,
        "expires_at": order.expires_at,
    }


def _moving(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": order.status,
        "paid": order.paid.minor,
        "refunded": order.refunded.minor,
        "refunding": order.refunding.minor,
        "paid_method": order.paid_method,
        "paid_at": order.paid_at,
        "closed_at": order.closed_at,
        "close_reason": order.close_reason,
        "revision": order.revision,
    }


def _one(found: Sequence[asyncpg.Record], what: str) -> Order:
    if not found:
        raise NotFound(f"no order {what}")
    return order_of(found[0])


def _method(text_: str | None) -> Method | None:
    return Method(text_) if text_ else None
