"""Refunds as rows."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import bindparam, select, text

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import publish
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import FundMode, Mode
from domain.errors import NotFound
from domain.money import Money
from domain.redirections import Destination, Redirection
from domain.refunds import Draws, Refund, RefundOrigin, RefundStatus

_t = tables.refund
_FROZEN = [
    "id", "order_id", "payment_id", "item_id", "merchant_id", "mode", "account_id", "fund_mode", "number",
    "payment_number", "total", "amount", "currency", "reason", "origin", "created_at", "merchant_refund_no",
    "notify_url",
]  # fmt: skip
_MOVING = [
    "debit", "share", "from_pending", "from_available", "from_debt", "status", "channel_id", "failure", "evidence",
    "accepted_at", "succeeded_at", "destination", "redirection", "next_at", "polls", "revision",
]  # fmt: skip
_ADD = inserting("add_refund", _t, [*_FROZEN, *_MOVING])
_SAVE = updating("save_refund", _t, _MOVING, revision=True)
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_NUMBERED = prepare(select(_t).where(_t.c.account_id == bindparam("account_id"), _t.c.number == bindparam("number")))
_ASKED = prepare(
    select(_t).where(
        _t.c.merchant_id == bindparam("merchant_id"),
        _t.c.mode == bindparam("mode"),
        _t.c.merchant_refund_no == bindparam("merchant_refund_no"),
    )
)
_OF_ORDER = prepare(select(_t).where(_t.c.order_id == bindparam("order_id")).order_by(_t.c.created_at, _t.c.id))
_OF_PAYMENT = prepare(select(_t).where(_t.c.payment_id == bindparam("payment_id")).order_by(_t.c.created_at, _t.c.id))
_DUE = prepare(
    select(_t)
    .where(text(tables.REFUND_PURSUED), _t.c.next_at <= bindparam("now"))
    .order_by(_t.c.next_at, _t.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class SqlRefunds:
    tx: Transaction

    async def get(self, refund_id: str) -> Refund:
        return _one(await self.tx.read(_GET, id=refund_id), refund_id)

    async def lock(self, refund_id: str) -> Refund:
        return _one(await self.tx.run(_LOCK, id=refund_id), refund_id)

    async def numbered(self, account_id: str, number: str) -> Refund | None:
        return _first(await self.tx.read(_NUMBERED, account_id=account_id, number=number))

    async def asked(self, merchant_id: str, mode: Mode, merchant_refund_no: str) -> Refund | None:
        found = await self.tx.read(_ASKED, merchant_id=merchant_id, mode=mode, merchant_refund_no=merchant_refund_no)
        return _first(found)

    async def of_order(self, order_id: str) -> Sequence[Refund]:
        return [refund_of(found) for found in await self.tx.read(_OF_ORDER, order_id=order_id)]

    async def of_payment(self, payment_id: str) -> Sequence[Refund]:
        return [refund_of(found) for found in await self.tx.read(_OF_PAYMENT, payment_id=payment_id)]

    async def add(self, refund: Refund) -> None:
        await self.tx.write(_ADD, [_frozen(refund) | _moving(refund)])
        await publish(self.tx, refund.events)

    async def save(self, refund: Refund) -> None:
        await self.tx.write(_SAVE, [_moving(refund)], short=stale)
        await publish(self.tx, refund.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Refund]:
        claimed = [refund_of(found).polled(now) for found in await self.tx.run(_DUE, now=now, limit=limit)]
        if claimed:
            await self.tx.write(_SAVE, [_moving(refund) for refund in claimed], short=stale)
        return claimed


def refund_of(found: asyncpg.Record) -> Refund:
    currency = found["currency"]
    return Refund(
        id=found["id"],
        order_id=found["order_id"],
        payment_id=found["payment_id"],
        item_id=found["item_id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        account_id=found["account_id"],
        fund_mode=FundMode(found["fund_mode"]),
        number=found["number"],
        payment_number=found["payment_number"],
        total=Money(found["total"], currency),
        amount=Money(found["amount"], currency),
        debit=Money(found["debit"], currency),
        share=Money(found["share"], currency),
        reason=found["reason"],
        origin=RefundOrigin(found["origin"]),
        created_at=found["created_at"],
        draws=Draws(
            pending=Money(found["from_pending"], currency),
            available=Money(found["from_available"], currency),
            debt=Money(found["from_debt"], currency),
        ),
        merchant_refund_no=found["merchant_refund_no"],
        notify_url=found["notify_url"],
        status=RefundStatus(found["status"]),
        channel_id=found["channel_id"],
        failure=found["failure"],
        evidence=found["evidence"],
        accepted_at=found["accepted_at"],
        succeeded_at=found["succeeded_at"],
        destination=Destination(found["destination"]),
        redirection=_redirection_of(found["redirection"]),
        next_at=found["next_at"],
        polls=found["polls"],
        revision=found["revision"],
    )


def _frozen(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "order_id": refund.order_id,
        "payment_id": refund.payment_id,
        "item_id": refund.item_id,
        "merchant_id": refund.merchant_id,
        "mode": refund.mode,
        "account_id": refund.account_id,
        "fund_mode": refund.fund_mode,
        "number": refund.number,
        "payment_number": refund.payment_number,
        "total": refund.total.minor,
        "amount": refund.amount.minor,
        "currency": refund.amount.currency,
        "reason": refund.reason,
        "origin": refund.origin,
        "created_at": refund.created_at,
        "merchant_refund_no": refund.merchant_refund_no,
        "notify_url": refund.notify_url,
    }


def _moving(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "debit": refund.debit.minor,
        "share": refund.share.minor,
        "from_pending": refund.draws.pending.minor,
        "from_available": refund.draws.available.minor,
        "from_debt": refund.draws.debt.minor,
        "status": refund.status,
        "channel_id": refund.channel_id,
        "failure": refund.failure,
        "evidence": refund.evidence,
        "accepted_at": refund.accepted_at,
        "succeeded_at": refund.succeeded_at,
        "destination": refund.destination,
        "redirection": _redirection(refund.redirection),
        "next_at": refund.next_at,
        "polls": refund.polls,
        "revision": refund.revision,
    }


def _redirection(redirection: Redirection | None) -> dict[str, Any] | None:
    if redirection is None:
        return None
    sealed = base64.b64encode(redirection.sealed).decode()
    return {"to": redirection.to, "sealed": sealed, "approved": redirection.approved}


def _redirection_of(stored: Mapping[str, Any] | None) -> Redirection | None:
    if stored is None:
        return None
    return Redirection(Destination(stored["to"]), base64.b64decode(stored["sealed"]), stored["approved"])


def _first(found: Sequence[asyncpg.Record]) -> Refund | None:
    return refund_of(found[0]) if found else None


def _one(found: Sequence[asyncpg.Record], refund_id: str) -> Refund:
    if not found:
        raise NotFound(f"no refund {refund_id}")
    return refund_of(found[0])
