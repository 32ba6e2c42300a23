"""Channel payments as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
from sqlalchemy import bindparam, select

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import publish
from adapters.outbound.sql.statements import inserting, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.channels import FundMode, Mode
from domain.money import Money
from domain.payments import ChannelPayment, Unattributed

_t = tables.channel_payment
_ADD = inserting(
    "add_payment",
    _t,
    [
        "id", "account_id", "mode", "fund_mode", "transaction_id", "number", "total", "received", "payer_paid", "fee",
        "currency", "paid_at", "evidence", "recorded_at", "unattributed", "attempt_id", "order_id", "merchant_id",
    ],
)  # fmt: skip
_FIND = prepare(
    select(_t).where(_t.c.account_id == bindparam("account_id"), _t.c.transaction_id == bindparam("transaction_id"))
)
_UNKNOWN = prepare(
    select(_t)
    .where(_t.c.account_id == bindparam("account_id"), _t.c.number == bindparam("number"), _t.c.order_id.is_(None))
    .order_by(_t.c.recorded_at, _t.c.id)
    .limit(1)
)
_i = tables.suspense_item
_PAYING = prepare(
    select(_t, _t.c.fee.label("borne"))
    .where(_t.c.order_id == bindparam("order_id"), _t.c.unattributed.is_(None))
    .union_all(
        select(_t, _i.c.fee.label("borne"))
        .join(_i, _i.c.payment_id == _t.c.id)
        .where(_i.c.order_id == bindparam("order_id"))
    )
)
_OF_ORDER = prepare(select(_t).where(_t.c.order_id == bindparam("order_id")).order_by(_t.c.recorded_at, _t.c.id))


@dataclass(frozen=True, slots=True)
class SqlPayments:
    tx: Transaction

    async def find(self, account_id: str, transaction_id: str) -> ChannelPayment | None:
        found = await self.tx.read(_FIND, account_id=account_id, transaction_id=transaction_id)
        return payment_of(found[0]) if found else None

    async def unknown(self, account_id: str, number: str) -> ChannelPayment | None:
        found = await self.tx.read(_UNKNOWN, account_id=account_id, number=number)
        return payment_of(found[0]) if found else None

    async def of_order(self, order_id: str) -> Sequence[ChannelPayment]:
        return [payment_of(found) for found in await self.tx.read(_OF_ORDER, order_id=order_id)]

    async def paying(self, order_id: str) -> ChannelPayment | None:
        for found in await self.tx.read(_PAYING, order_id=order_id):
            payment = payment_of(found)
            return replace(payment, fee=Money(found["borne"], payment.fee.currency))
        return None

    async def add(self, payment: ChannelPayment) -> None:
        row = {
            "id": payment.id,
            "account_id": payment.account_id,
            "mode": payment.mode,
            "fund_mode": payment.fund_mode,
            "transaction_id": payment.transaction_id,
            "number": payment.number,
            "total": payment.total.minor,
            "received": payment.received.minor,
            "payer_paid": payment.payer_paid.minor,
            "fee": payment.fee.minor,
            "currency": payment.received.currency,
            "paid_at": payment.paid_at,
            "evidence": payment.evidence,
            "recorded_at": payment.recorded_at,
            "unattributed": payment.unattributed,
            "attempt_id": payment.attempt_id,
            "order_id": payment.order_id,
            "merchant_id": payment.merchant_id,
        }
        await self.tx.write(_ADD, [row])
        await publish(self.tx, payment.events)


def payment_of(found: asyncpg.Record | Mapping[str, Any]) -> ChannelPayment:
    currency = found["currency"]
    return ChannelPayment(
        id=found["id"],
        account_id=found["account_id"],
        mode=Mode(found["mode"]),
        fund_mode=FundMode(found["fund_mode"]),
        transaction_id=found["transaction_id"],
        number=found["number"],
        total=Money(found["total"], currency),
        received=Money(found["received"], currency),
        payer_paid=Money(found["payer_paid"], currency),
        fee=Money(found["fee"], currency),
        paid_at=found["paid_at"],
        evidence=found["evidence"],
        recorded_at=found["recorded_at"],
        unattributed=Unattributed(found["unattributed"]) if found["unattributed"] else None,
        attempt_id=found["attempt_id"],
        order_id=found["order_id"],
        merchant_id=found["merchant_id"],
    )
