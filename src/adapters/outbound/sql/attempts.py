"""Attempts as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import Text, bindparam, select, text

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import publish
from adapters.outbound.sql.limits import follow
from adapters.outbound.sql.orders import order_of
from adapters.outbound.sql.statements import Write, inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.attempts import Attempt, AttemptStatus
from domain.channels import ActionType, FundMode, Method, Mode, PayerAction, Terms
from domain.errors import NotFound
from domain.money import FeePlan, Money, Rate
from domain.orders import Order

_t = tables.attempt
_FROZEN = [
    "id", "order_id", "merchant_id", "mode", "method", "account_id", "number", "amount", "currency", "fund_mode",
    "fee_ppm", "fee_minimum", "fee_maximum", "fee_kept", "cost_ppm", "created_at", "expires_at", "counted_on",
    "payer_id", "payer_ip", "return_url", "notify_url", "instalments", "shared",
]  # fmt: skip
_MOVING = ["status", "action_type", "action_value", "action_fields", "failure", "next_at", "polls", "revision"]
_ADD = inserting("add_attempt", _t, [*_FROZEN, *_MOVING])
_SAVE = updating("save_attempt", _t, _MOVING, revision=True)
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_o = tables.payment_order
# One exchange, and still the order first: what the attempt is joined with is locked before there is a row to lock.
_its_order = (
    select(_o)
    .where(_o.c.id == select(_t.c.order_id).where(_t.c.number == bindparam("number")).scalar_subquery())
    .with_for_update(key_share=True)
    .subquery("its_order")
)
_LOCK_NUMBERED = prepare(
    select(_t, *(column.label(f"its_{column.name}") for column in _its_order.c))
    .join(_its_order, _its_order.c.id == _t.c.order_id)
    .where(_t.c.number == bindparam("number"))
    .with_for_update(of=_t, key_share=True)
)
_its = _o.alias("its_order")
_NUMBERED = prepare(
    select(_t, *(column.label(f"its_{column.name}") for column in _its.c), text("attempt.xmin::text AS version"))
    .add_columns(text("its_order.xmin::text AS its_version"))
    .join(_its, _its.c.id == _t.c.order_id)
    .where(_t.c.number == bindparam("number"))
)
# xmin is who wrote a row's newest version: the same one, the same row. The order first, as everywhere.
_WATCHED = ("id", "version", "order_id", "its_version")
_unmoved = prepare(
    text("""
SELECT a.id FROM attempt a JOIN (
  SELECT o.id FROM payment_order o WHERE o.id = :order_id AND o.xmin::text = :its_version
  FOR NO KEY UPDATE) its ON its.id = a.order_id
WHERE a.id = :id AND a.xmin::text = :version
FOR NO KEY UPDATE OF a
""").bindparams(*(bindparam(name, type_=Text) for name in _WATCHED))
)
_UNMOVED = Write(  # a unit watches one
    "unmoved", "watched", _unmoved, whole=True, few=lambda _: _unmoved, columns=[(n, False) for n in _unmoved.names]
)
_OF_ORDER = prepare(select(_t).where(_t.c.order_id == bindparam("order_id")).order_by(_t.c.created_at, _t.c.id))
_DUE = prepare(
    select(_t)
    .where(text(tables.ATTEMPT_LIVE), _t.c.next_at <= bindparam("now"))
    .order_by(_t.c.next_at, _t.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class SqlAttempts:
    tx: Transaction

    async def get(self, attempt_id: str) -> Attempt:
        return _one(await self.tx.read(_GET, id=attempt_id), attempt_id)

    async def lock(self, attempt_id: str) -> Attempt:
        return _one(await self.tx.run(_LOCK, id=attempt_id), attempt_id)

    async def lock_numbered(self, number: str) -> tuple[Order, Attempt] | None:
        for found in await self.tx.run(_LOCK_NUMBERED, number=number):
            return _its_order_of(found), _attempt_of(found)
        return None

    async def watch_numbered(self, number: str) -> tuple[Order, Attempt] | None:
        for found in await self.tx.read(_NUMBERED, number=number):
            row = {name: found[name] for name in _WATCHED}
            await self.tx.write(_UNMOVED, [row])
            return _its_order_of(found), _attempt_of(found)
        return None

    async def of_order(self, order_id: str) -> Sequence[Attempt]:
        return [_attempt_of(found) for found in await self.tx.read(_OF_ORDER, order_id=order_id)]

    async def add(self, attempt: Attempt) -> None:
        await self.tx.write(_ADD, [_frozen(attempt) | _moving(attempt)])
        await publish(self.tx, attempt.events)

    async def save(self, attempt: Attempt) -> None:
        await self.tx.write(_SAVE, [_moving(attempt)], short=stale)
        await follow(self.tx, attempt)
        await publish(self.tx, attempt.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Attempt]:
        due = await self.tx.run(_DUE, now=now, limit=limit)
        claimed = [_attempt_of(found).polled(now) for found in due]
        if claimed:
            await self.tx.write(_SAVE, [_moving(attempt) for attempt in claimed], short=stale)
        return claimed


def _its_order_of(found: asyncpg.Record) -> Order:
    return order_of({name: found[f"its_{name}"] for name in _o.c.keys()})  # noqa: SIM118


def _attempt_of(found: asyncpg.Record) -> Attempt:
    return Attempt(
        id=found["id"],
        order_id=found["order_id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        method=Method(found["method"]),
        account_id=found["account_id"],
        number=found["number"],
        amount=Money(found["amount"], found["currency"]),
        fund_mode=FundMode(found["fund_mode"]),
        terms=Terms(
            FeePlan(Rate(found["fee_ppm"]), found["fee_minimum"], found["fee_maximum"], found["fee_kept"]),
            Rate(found["cost_ppm"]),
        ),
        created_at=found["created_at"],
        expires_at=found["expires_at"],
        counted_on=found["counted_on"],
        status=AttemptStatus(found["status"]),
        payer_id=found["payer_id"],
        payer_ip=found["payer_ip"],
        return_url=found["return_url"],
        notify_url=found["notify_url"],
        instalments=found["instalments"],
        shared=found["shared"],
        action=_action_of(found),
        failure=found["failure"],
        next_at=found["next_at"],
        polls=found["polls"],
        revision=found["revision"],
    )


def _action_of(found: asyncpg.Record) -> PayerAction | None:
    if found["action_type"] is None:
        return None
    return PayerAction(ActionType(found["action_type"]), found["action_value"], found["action_fields"])


def _frozen(attempt: Attempt) -> dict[str, Any]:
    plan = attempt.terms.fee_plan
    return {
        "id": attempt.id,
        "order_id": attempt.order_id,
        "merchant_id": attempt.merchant_id,
        "mode": attempt.mode,
        "method": attempt.method,
        "account_id": attempt.account_id,
        "number": attempt.number,
        "amount": attempt.amount.minor,
        "currency": attempt.amount.currency,
        "fund_mode": attempt.fund_mode,
        "fee_ppm": plan.rate.ppm,
        "fee_minimum": plan.minimum,
        "fee_maximum": plan.maximum,
        "fee_kept": plan.kept,
        "cost_ppm": attempt.terms.cost_rate.ppm,
        "created_at": attempt.created_at,
        "expires_at": attempt.expires_at,
        "payer_id": attempt.payer_id,
        "payer_ip": attempt.payer_ip,
        "return_url": attempt.return_url,
        "notify_url": attempt.notify_url,
        "instalments": attempt.instalments,
        "shared": attempt.shared,
        "counted_on": attempt.counted_on,
    }


def _moving(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "status": attempt.status,
        "action_type": attempt.action.type if attempt.action else None,
        "action_value": attempt.action.value if attempt.action else None,
        "action_fields": dict(attempt.action.fields) if attempt.action else None,
        "failure": attempt.failure,
        "next_at": attempt.next_at,
        "polls": attempt.polls,
        "revision": attempt.revision,
    }


def _one(found: Sequence[asyncpg.Record], attempt_id: str) -> Attempt:
    if not found:
        raise NotFound(f"no attempt {attempt_id}")
    return _attempt_of(found[0])
