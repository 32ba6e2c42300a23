"""Orders: what a merchant asks us to collect, from placing to paid or closed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from domain.channels import Method, Mode
from domain.errors import Conflict
from domain.events import Event, with_event
from domain.money import Money
from domain.states import Table, step
from domain.times import rfc3339


class OrderStatus(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    CLOSED = "closed"


ORDER_TRANSITIONS: Table[OrderStatus] = {
    OrderStatus.PENDING: frozenset({OrderStatus.PAID, OrderStatus.CLOSED}),
    OrderStatus.PAID: frozenset(),
    # A late payment that the merchant's policy accepts: the money has moved, so we follow it.
    OrderStatus.CLOSED: frozenset({OrderStatus.PAID}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What a merchant sends to place an order. Two with one merchant_order_no must be equal (``Order.asks``)."""

    merchant_order_no: str
    amount: Money
    subject: str
    expires_in: int
    method: Method | None = None
    return_url: str | None = None
    notify_url: str | None = None
    payer_ip: str | None = None
    locale: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    profit_sharing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Unique by (merchant, mode, merchant_order_no). A transition returns the next order and carries its events."""

    id: str
    merchant_id: str
    mode: Mode
    request: OrderRequest
    cashier_token: str = field(repr=False)
    created_at: datetime
    expires_at: datetime
    status: OrderStatus = OrderStatus.PENDING
    paid: Money = Money(0)
    refunded: Money = Money(0)
    refunding: Money = Money(0)
    paid_method: Method | None = None
    paid_at: datetime | None = None
    closed_at: datetime | None = None
    close_reason: str | None = None
    revision: int = 0
    events: tuple[Event, ...] = ()

    @classmethod
    def place(
        cls,
        request: OrderRequest,
        *,
        id: str,
        merchant_id: str,
        mode: Mode,
        token: str,
        now: datetime,
        expires_at: datetime,
    ) -> Self:
        """A new pending order. Nobody is notified of it: the merchant has just made it."""
        order = cls(
            id=id,
            merchant_id=merchant_id,
            mode=mode,
            request=request,
            cashier_token=token,
            created_at=now,
            expires_at=expires_at,
        )
        return order._next(now, "order.created", announced=False)

    @property
    def amount(self) -> Money:
        return self.request.amount

    def asks(self, request: OrderRequest) -> bool:
        """Whether a repeated call asks for this very order (then it is returned) or for another (a conflict)."""
        return self.request == request

    def pay(self, amount: Money, *, method: Method, paid_at: datetime, now: datetime) -> Self:
        """The one effective payment has been booked. ``paid_at`` is the channel's time."""
        status = step("order", ORDER_TRANSITIONS, self.status, OrderStatus.PAID)
        return replace(self, status=status, paid=amount, paid_method=method, paid_at=paid_at)._next(now, "order.paid")

    def close(self, reason: str, *, now: datetime) -> Self:
        """Nobody can pay any more: each attempt is closed at its channel. ``reason`` is ``expired`` or ``merchant``."""
        status = step("order", ORDER_TRANSITIONS, self.status, OrderStatus.CLOSED)
        return replace(self, status=status, closed_at=now, close_reason=reason)._next(now, "order.closed")

    def with_refunds(self, refunding: Money, refunded: Money, *, now: datetime) -> Self:
        """What its refunds come to has changed. Refunds that the channel made without asking us may, with ours in
        flight, seem more than was paid until ours fail: as much counts as can be."""
        refunding = min(refunding, self.paid)
        refunded = min(refunded, self.paid - refunding)
        if (self.refunding, self.refunded) == (refunding, refunded):
            return self
        changed = replace(self, refunding=refunding, refunded=refunded)
        return changed._next(now, "order.refunds_changed", announced=False)

    def payable_at(self, now: datetime) -> None:
        """Raises Conflict when no new attempt may start."""
        if self.status is OrderStatus.PAID:
            raise Conflict("this order is paid", code="order_paid")
        if self.status is OrderStatus.CLOSED:
            raise Conflict("this order is closed", code="order_closed")
        if now >= self.expires_at:
            raise Conflict("this order has expired", code="order_expired")

    def snapshot(self) -> dict[str, Any]:
        """The order as merchants see it, in the API and in events. Amounts in minor units, times RFC 3339."""
        asked = self.request
        return {
            "id": self.id,
            "object": "order",
            "mode": str(self.mode),
            "merchant_order_no": asked.merchant_order_no,
            "status": str(self.status),
            "amount": asked.amount.minor,
            "currency": asked.amount.currency,
            "paid_amount": self.paid.minor,
            "refunded_amount": self.refunded.minor,
            "refunding_amount": self.refunding.minor,
            "subject": asked.subject,
            "method": _text(self.paid_method or asked.method),
            "return_url": asked.return_url,
            "notify_url": asked.notify_url,
            "payer_ip": asked.payer_ip,
            "locale": asked.locale,
            "metadata": dict(asked.metadata),
            "profit_sharing": asked.profit_sharing,
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
            "paid_at": rfc3339(self.paid_at) if self.paid_at else None,
            "closed_at": rfc3339(self.closed_at) if self.closed_at else None,
            "close_reason": self.close_reason,
        }

    def _next(self, now: datetime, type_: str, *, announced: bool = True) -> Self:
        return with_event(self, type_, now, announced=announced, notify_url=self.request.notify_url)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
