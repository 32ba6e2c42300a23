"""Fake reports of payments: fact after fact, refund after refund, with the domain's own rounding."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from application.ports.reports import By, Wanted
from domain.channels import FundMode
from domain.errors import InvalidRequest
from domain.money import FeePlan, Money, Rate
from domain.payments import ChannelPayment, SuspenseStatus
from domain.refunds import DEBITED, Refund
from domain.times import shanghai_day
from tests.fakes.rows import Tables
from tests.fakes.storage import Transaction

_FIGURES = ("payments", "gross", "refunds", "refunded", "fees", "cost", "margin")


class FakeReports:
    def __init__(self, tables: Tables, begin: Callable[[], Transaction]) -> None:
        self._tables, self._begin = tables, begin

    async def payments(self, wanted: Wanted) -> Sequence[Mapping[str, Any]]:
        await self._begin().statement("reports.payments")
        rows = dict[tuple[Any, ...], dict[str, Any]]()
        for names, figures in (*self._paid(wanted), *self._given_back(wanted)):
            if wanted.merchant_id not in (None, names[By.MERCHANT]) or wanted.channel not in (None, names[By.CHANNEL]):
                continue
            asked = {str(by): names[by] for by in (*wanted.by, "currency")}
            row = rows.setdefault(tuple(asked.values()), asked | dict.fromkeys(_FIGURES, 0))
            for name, figure in figures.items():
                row[name] += figure
            row["margin"] = row["fees"] - row["cost"]
        if len(rows) > wanted.most:
            raise InvalidRequest(f"a report has at most {wanted.most} rows", code="report_too_large")
        return [rows[key] for key in sorted(rows, key=lambda key: [(part is None, part) for part in key])]

    def _paid(self, wanted: Wanted) -> Iterator[tuple[dict[str, Any], dict[str, int]]]:
        attributed = {
            item.payment_id: item
            for item in self._tables.suspense.committed.values()
            if item.status is SuspenseStatus.ATTRIBUTED
        }
        for payment in self._tables.payments.committed.values():
            item = attributed.get(payment.id)
            if not _within(wanted, payment, payment.paid_at) or (payment.unattributed and item is None):
                continue
            merchant_id = payment.merchant_id
            if item is not None and item.order_id is not None:
                merchant_id = self._tables.orders.committed[item.order_id].order.merchant_id
            fee = payment.fee + item.fee if item else payment.fee
            figures = {"payments": 1, "gross": payment.received.minor, "fees": fee.minor}
            yield (
                self._names(payment, merchant_id, payment.paid_at),
                figures | {"cost": self._cost(payment).minor},
            )

    def _given_back(self, wanted: Wanted) -> Iterator[tuple[dict[str, Any], dict[str, int]]]:
        zero = Money(0)
        so_far = dict[str, tuple[Money, Money]]()
        for at, refund in sorted(self._accepted(), key=lambda each: (each[0], each[1].id)):
            payment = self._tables.payments.committed[refund.payment_id]
            cost = self._cost(payment)
            refunded, returned = so_far.get(payment.id, (zero, zero))
            refunded = refunded + refund.debit
            part = FeePlan(Rate(0)).share(fee=cost, received=payment.received, refunded=refunded, returned=returned)
            so_far[payment.id] = refunded, returned + part
            if _within(wanted, refund, at):
                figures = {"refunds": 1, "refunded": refund.debit.minor, "fees": -refund.share.minor}
                yield self._names(payment, refund.merchant_id, at), figures | {"cost": -part.minor}

    def _accepted(self) -> Iterator[tuple[datetime, Refund]]:
        for refund in self._tables.refunds.committed.values():
            if refund.status in DEBITED and refund.item_id is None and refund.accepted_at is not None:
                yield refund.accepted_at, refund

    def _cost(self, payment: ChannelPayment) -> Money:
        if payment.attempt_id is None or payment.fund_mode is not FundMode.COLLECT:
            return Money(0, payment.received.currency)
        return self._tables.attempts.committed[payment.attempt_id].terms.cost_rate.of(payment.received)

    def _names(self, payment: ChannelPayment, merchant_id: str | None, at: datetime) -> dict[str, Any]:
        attempt = self._tables.attempts.committed[payment.attempt_id] if payment.attempt_id else None
        return {
            By.DAY: str(shanghai_day(at)),
            By.MERCHANT: merchant_id,
            By.CHANNEL: str(self._tables.accounts.committed[payment.account_id].channel),
            By.METHOD: str(attempt.method) if attempt else None,
            "currency": payment.received.currency,
        }


def _within(wanted: Wanted, fact: ChannelPayment | Refund, at: datetime) -> bool:
    return fact.mode is wanted.mode and wanted.first <= shanghai_day(at) <= wanted.last
