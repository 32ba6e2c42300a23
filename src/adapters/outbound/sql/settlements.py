"""Settlements as rows, and the transfers inside them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import BigInteger, Integer, bindparam, cast, func, select, text, update

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import publish
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import Mode
from domain.errors import NotFound
from domain.ledger import Account
from domain.merchants import BankAccount
from domain.money import Money
from domain.payouts import PayeeKind
from domain.settlement_postings import StatementLine
from domain.settlements import Rail, Settlement, SettlementOrigin, SettlementStatus, Source

_t, _line, _transfer = tables.settlement, tables.settlement_transfer, tables.transfer
_FROZEN = [
    "id", "merchant_id", "mode", "number", "origin", "swept", "amount", "fee", "currency", "lines", "created_at",
]  # fmt: skip
_MOVING = [
    "status", "payee", "rail", "source_owner", "source_fund", "approved_by", "approved_at", "paid_at", "charge",
    "reference", "failure", "confirmation", "next_at", "polls", "revision",
]  # fmt: skip
_ADD = inserting("add_settlement", _t, [*_FROZEN, *_MOVING])
_SAVE = updating("save_settlement", _t, _MOVING, revision=True)
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_NUMBERED = prepare(select(_t).where(_t.c.number == bindparam("number")))
_DUE = prepare(
    select(_t)
    .where(text(tables.SETTLEMENT_UNDER_WAY), _t.c.next_at <= bindparam("now"))
    .order_by(_t.c.next_at, _t.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
)
_LAST = "stl_~"  # above every id
_PAGE = prepare(
    select(_t)
    .where(
        _t.c.merchant_id == bindparam("merchant_id"),
        _t.c.mode == bindparam("mode"),
        _t.c.id.collate("C") < bindparam("before"),
    )
    .order_by(_t.c.id.collate("C").desc())
    .limit(bindparam("limit"))
)
_OPEN = (_line.c.account_id == bindparam("account", type_=BigInteger), text(tables.LINE_OPEN))
_AVAILABLE = prepare(select(cast(func.coalesce(func.sum(_line.c.amount), 0), BigInteger).label("sum")).where(*_OPEN))
_swept = (
    update(_line).where(*_OPEN).values(settlement_id=bindparam("settlement_id")).returning(_line.c.amount).cte("swept")
)
_SWEEP = prepare(
    select(
        cast(func.coalesce(func.sum(_swept.c.amount), 0), BigInteger).label("sum"),
        cast(func.count(), Integer).label("lines"),
    ).select_from(_swept)
)
_INSIDE = prepare(
    select(
        _line.c.idem_key,
        _line.c.amount,
        *(_transfer.c[name] for name in ("fact", "about", "currency", "channel_date")),
    )
    .join(_transfer, _transfer.c.idem_key == _line.c.idem_key)
    .where(_line.c.settlement_id == bindparam("settlement_id"))
    .order_by(_transfer.c.id)
)


@dataclass(frozen=True, slots=True)
class SqlSettlements:
    tx: Transaction

    async def get(self, settlement_id: str) -> Settlement:
        return _one(await self.tx.read(_GET, id=settlement_id), settlement_id)

    async def lock(self, settlement_id: str) -> Settlement:
        return _one(await self.tx.run(_LOCK, id=settlement_id), settlement_id)

    async def numbered(self, number: str) -> Settlement | None:
        found = await self.tx.read(_NUMBERED, number=number)
        return settlement_of(found[0]) if found else None

    async def add(self, settlement: Settlement) -> None:
        await self.tx.write(_ADD, [_frozen(settlement) | _moving(settlement)])
        await publish(self.tx, settlement.events)

    async def save(self, settlement: Settlement) -> None:
        await self.tx.write(_SAVE, [_moving(settlement)], short=stale)
        await publish(self.tx, settlement.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Settlement]:
        claimed = [settlement_of(found).polled(now) for found in await self.tx.run(_DUE, now=now, limit=limit)]
        if claimed:
            await self.tx.write(_SAVE, [_moving(settlement) for settlement in claimed], short=stale)
        return claimed

    async def page(self, merchant_id: str, mode: Mode, *, before: str | None, limit: int) -> Sequence[Settlement]:
        found = await self.tx.read(_PAGE, merchant_id=merchant_id, mode=mode, before=before or _LAST, limit=limit)
        return [settlement_of(row) for row in found]


@dataclass(frozen=True, slots=True)
class SqlSweeps:
    tx: Transaction

    async def available(self, account: Account) -> int:
        (found,) = await self.tx.read(_AVAILABLE, account=account.id)
        return int(found["sum"])

    async def sweep(self, account: Account, settlement_id: str) -> tuple[int, int]:
        (found,) = await self.tx.run(_SWEEP, account=account.id, settlement_id=settlement_id)
        return int(found["sum"]), int(found["lines"])

    async def inside(self, settlement_id: str) -> Sequence[StatementLine]:
        return [
            StatementLine(
                idem_key=found["idem_key"],
                fact=found["fact"],
                about=found["about"],
                amount=found["amount"],
                currency=found["currency"],
                channel_date=found["channel_date"],
            )
            for found in await self.tx.read(_INSIDE, settlement_id=settlement_id)
        ]


def settlement_of(found: asyncpg.Record) -> Settlement:
    currency = found["currency"]
    return Settlement(
        id=found["id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        number=found["number"],
        origin=SettlementOrigin(found["origin"]),
        swept=Money(found["swept"], currency),
        amount=Money(found["amount"], currency),
        fee=Money(found["fee"], currency),
        lines=found["lines"],
        created_at=found["created_at"],
        status=SettlementStatus(found["status"]),
        payee=_payee_of(found["payee"]) if found["payee"] else None,
        source=Source(Rail(found["rail"]), found["source_owner"], found["source_fund"]) if found["rail"] else None,
        approved_by=found["approved_by"],
        approved_at=found["approved_at"],
        paid_at=found["paid_at"],
        charge=Money(found["charge"], currency),
        reference=found["reference"],
        failure=found["failure"],
        confirmation=found["confirmation"],
        next_at=found["next_at"],
        polls=found["polls"],
        revision=found["revision"],
    )


def _payee_of(kept: Any) -> BankAccount:
    sealed, changed_at = base64.b64decode(kept["sealed"]), datetime.fromisoformat(kept["changed_at"])
    kind = PayeeKind(kept.get("kind", PayeeKind.BANK))
    return BankAccount(**kept | {"sealed": sealed, "changed_at": changed_at, "kind": kind})


def _payee(payee: BankAccount) -> dict[str, Any]:
    return {
        "holder": payee.holder,
        "bank": payee.bank,
        "sealed": base64.b64encode(payee.sealed).decode(),
        "last4": payee.last4,
        "changed_at": payee.changed_at.isoformat(),
        "kind": payee.kind,
    }


def _frozen(settlement: Settlement) -> dict[str, Any]:
    return {
        "id": settlement.id,
        "merchant_id": settlement.merchant_id,
        "mode": settlement.mode,
        "number": settlement.number,
        "origin": settlement.origin,
        "swept": settlement.swept.minor,
        "amount": settlement.amount.minor,
        "fee": settlement.fee.minor,
        "currency": settlement.amount.currency,
        "lines": settlement.lines,
        "created_at": settlement.created_at,
    }


def _moving(settlement: Settlement) -> dict[str, Any]:
    source = settlement.source
    return {
        "id": settlement.id,
        "status": settlement.status,
        "payee": _payee(settlement.payee) if settlement.payee else None,
        "rail": source.rail if source else None,
        "source_owner": source.owner if source else None,
        "source_fund": source.fund if source else None,
        "approved_by": settlement.approved_by,
        "approved_at": settlement.approved_at,
        "paid_at": settlement.paid_at,
        "charge": settlement.charge.minor,
        "reference": settlement.reference,
        "failure": settlement.failure,
        "confirmation": settlement.confirmation,
        "next_at": settlement.next_at,
        "polls": settlement.polls,
        "revision": settlement.revision,
    }


def _one(found: Sequence[asyncpg.Record], settlement_id: str) -> Settlement:
    if not found:
        raise NotFound(f"no settlement {settlement_id}")
    return settlement_of(found[0])
