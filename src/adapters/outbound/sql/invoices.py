"""Invoices as rows, and what they are made of: the movement of SFD accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg
from sqlalchemy import Text, bindparam, case, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import publish
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.channels import Mode
from domain.errors import NotFound
from domain.invoices import SETTLING, Due, Invoice, InvoiceStatus, last_day
from domain.ledger import AccountKind
from domain.money import Money

_t = tables.invoice
_FROZEN = ["id", "merchant_id", "mode", "month", "amount", "currency", "created_at"]
_MOVING = ["status", "account_id", "reference", "settled_at", "revision"]
_ADD = inserting("add_invoice", _t, [*_FROZEN, *_MOVING])
_SAVE = updating("save_invoice", _t, _MOVING, revision=True)
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_OF_MERCHANT = prepare(
    select(_t)
    .where(_t.c.merchant_id == bindparam("merchant_id"), _t.c.mode == bindparam("modes", type_=ARRAY(Text)).any_())
    .order_by(_t.c.month.desc(), _t.c.mode)
)
_OF_MONTH = prepare(select(_t).where(_t.c.month == bindparam("month")).order_by(_t.c.merchant_id, _t.c.mode))
_l, _m = tables.ledger_account, tables.transfer
_moved = (
    select(
        _l.c.owner,
        _l.c.mode,
        _l.c.currency,
        func.sum(case((_m.c.debit_account == _l.c.id, _m.c.amount), else_=-_m.c.amount)).label("due"),
    )
    .join(_m, (_m.c.debit_account == _l.c.id) | (_m.c.credit_account == _l.c.id))
    .where(
        _l.c.kind == str(AccountKind.SERVICE_FEE_DUE),
        _m.c.channel_date <= bindparam("until"),
        *(_m.c.fact != fact for fact in sorted(SETTLING)),
    )
    .group_by(_l.c.owner, _l.c.mode, _l.c.currency)
    .subquery("moved")
)
_invoiced = (
    select(_t.c.merchant_id, _t.c.mode, _t.c.currency, func.sum(_t.c.amount).label("amount"))
    .group_by(_t.c.merchant_id, _t.c.mode, _t.c.currency)
    .subquery("invoiced")
)
_left = _moved.c.due - func.coalesce(_invoiced.c.amount, 0)
_DUE = prepare(
    select(_moved.c.owner, _moved.c.mode, _moved.c.currency, _left.label("amount"))
    .outerjoin(
        _invoiced,
        (_invoiced.c.merchant_id == _moved.c.owner)
        & (_invoiced.c.mode == _moved.c.mode)
        & (_invoiced.c.currency == _moved.c.currency),
    )
    .where(
        _left > 0,
        ~select(_t.c.id)
        .where(_t.c.merchant_id == _moved.c.owner, _t.c.mode == _moved.c.mode, _t.c.month >= bindparam("month"))
        .exists(),
    )
    .order_by(_moved.c.owner, _moved.c.mode)
)


@dataclass(frozen=True, slots=True)
class SqlInvoices:
    tx: Transaction

    async def get(self, invoice_id: str) -> Invoice:
        return _one(await self.tx.read(_GET, id=invoice_id), invoice_id)

    async def lock(self, invoice_id: str) -> Invoice:
        return _one(await self.tx.run(_LOCK, id=invoice_id), invoice_id)

    async def of_merchant(self, merchant_id: str, mode: Mode | None = None) -> Sequence[Invoice]:
        modes = [str(mode)] if mode is not None else [str(each) for each in Mode]
        return [_invoice(row) for row in await self.tx.read(_OF_MERCHANT, merchant_id=merchant_id, modes=modes)]

    async def of_month(self, month: date) -> Sequence[Invoice]:
        return [_invoice(row) for row in await self.tx.read(_OF_MONTH, month=month)]

    async def due(self, month: date) -> Sequence[Due]:
        found = await self.tx.read(_DUE, until=last_day(month), month=month)
        return [
            Due(
                merchant_id=row["owner"],
                mode=Mode(row["mode"]),
                amount=Money(int(row["amount"]), row["currency"]),
            )
            for row in found
        ]

    async def add(self, invoice: Invoice) -> None:
        frozen = {
            "id": invoice.id,
            "merchant_id": invoice.merchant_id,
            "mode": invoice.mode,
            "month": invoice.month,
            "amount": invoice.amount.minor,
            "currency": invoice.amount.currency,
            "created_at": invoice.created_at,
        }
        await self.tx.write(_ADD, [frozen | _moving(invoice)])
        await publish(self.tx, invoice.events)

    async def save(self, invoice: Invoice) -> None:
        await self.tx.write(_SAVE, [_moving(invoice)], short=stale)
        await publish(self.tx, invoice.events)


def _moving(invoice: Invoice) -> dict[str, Any]:
    return {name: getattr(invoice, name) for name in ("id", *_MOVING)}


def _invoice(row: asyncpg.Record) -> Invoice:
    return Invoice(
        id=row["id"],
        merchant_id=row["merchant_id"],
        mode=Mode(row["mode"]),
        month=row["month"],
        amount=Money(row["amount"], row["currency"]),
        created_at=row["created_at"],
        status=InvoiceStatus(row["status"]),
        account_id=row["account_id"],
        reference=row["reference"],
        settled_at=row["settled_at"],
        revision=row["revision"],
    )


def _one(found: Sequence[asyncpg.Record], what: str) -> Invoice:
    if not found:
        raise NotFound(f"no invoice {what}")
    return _invoice(found[0])
