"""Channel payments: money that arrived, recorded first, whatever state the order is in; then what it means."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self

from domain.attempts import Attempt
from domain.channels import ChannelAccount, FundMode, Mode, Receipt
from domain.errors import Conflict, IllegalTransition
from domain.events import Event, event_id
from domain.merchants import LatePayment
from domain.money import Money
from domain.orders import Order, OrderStatus
from domain.states import Table, step
from domain.times import rfc3339, shanghai_day


class Unattributed(StrEnum):
    """Why money that arrived pays no order. It is held in suspense until a policy or a person decides."""

    UNKNOWN_NUMBER = "unknown_number"
    WRONG_AMOUNT = "wrong_amount"
    SECOND = "second"
    LATE = "late"
    REVERSED = "reversed"  # a bar code payment that we have set out to undo: the channel gives it back


# What the payer gets back by itself, without a person looking at it.
SENT_BACK = frozenset({Unattributed.SECOND, Unattributed.LATE})

# How a merchant hears of money that does not pay its order.
_NEWS = {
    Unattributed.SECOND: "order.paid_twice",
    Unattributed.LATE: "order.paid_late",
    Unattributed.WRONG_AMOUNT: "order.paid_amiss",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPayment:
    """One money fact, unique by (channel account, transaction). ``evidence`` names the verified notice or query.

    Exactly one of: effective (``unattributed`` is None, it paid its order), or held with a reason.
    """

    id: str
    account_id: str
    mode: Mode
    fund_mode: FundMode
    transaction_id: str
    number: str
    total: Money
    received: Money
    payer_paid: Money
    fee: Money
    paid_at: datetime
    evidence: str
    recorded_at: datetime
    unattributed: Unattributed | None = None
    attempt_id: str | None = None
    order_id: str | None = None
    merchant_id: str | None = None
    events: tuple[Event, ...] = ()

    @property
    def channel_date(self) -> date:
        return shanghai_day(self.paid_at)

    def snapshot(self) -> dict[str, Any]:
        """The payment as merchants see it."""
        return {
            "id": self.id,
            "object": "payment",
            "order_id": self.order_id,
            "number": self.number,
            "transaction_id": self.transaction_id,
            "amount": self.total.minor,
            "received_amount": self.received.minor,
            "currency": self.total.currency,
            "paid_at": rfc3339(self.paid_at),
            "unattributed": str(self.unattributed) if self.unattributed else None,
        }

    def told(self, order: Order, now: datetime) -> Self:
        """With the news for the merchant that money came for this order which does not pay it: the order as it is,
        and the payment."""
        assert self.unattributed is not None
        type_ = _NEWS.get(self.unattributed)
        if type_ is None:
            return self
        event = Event(
            id=event_id(self.id, type_),
            type=type_,
            object_id=self.id,
            merchant_id=order.merchant_id,
            mode=order.mode,
            at=now,
            data=order.snapshot() | {"payment": self.snapshot()},
            notify_url=order.request.notify_url,
        )
        return replace(self, events=(*self.events, event))


def judge(receipt: Receipt, order: Order | None, attempt: Attempt | None, late: LatePayment) -> Unattributed | None:
    """None if this money pays the order; otherwise why not. The amount is compared before the order's state."""
    if order is None or attempt is None:
        return Unattributed.UNKNOWN_NUMBER
    if attempt.undone:
        return Unattributed.REVERSED
    if receipt.total != attempt.amount:
        return Unattributed.WRONG_AMOUNT
    if order.status is OrderStatus.PAID:
        return Unattributed.SECOND
    if order.status is OrderStatus.CLOSED and late is LatePayment.REFUND:
        return Unattributed.LATE
    return None


def record(
    receipt: Receipt,
    *,
    id: str,
    account: ChannelAccount,
    order: Order | None,
    attempt: Attempt | None,
    unattributed: Unattributed | None,
    evidence: str,
    now: datetime,
) -> ChannelPayment:
    """The fact as we keep it. The fee follows the attempt's frozen plan and is zero for money that is only held."""
    fee = Money(0, receipt.received.currency)
    if unattributed is None and attempt is not None:
        fee = attempt.terms.fee_plan.fee(receipt.received)
    return ChannelPayment(
        id=id,
        account_id=account.id,
        mode=account.mode,
        fund_mode=attempt.fund_mode if attempt else account.fund_mode,
        transaction_id=receipt.transaction_id,
        number=receipt.number,
        total=receipt.total,
        received=receipt.received,
        payer_paid=receipt.payer_paid,
        fee=fee,
        paid_at=receipt.paid_at,
        evidence=evidence,
        recorded_at=now,
        unattributed=unattributed,
        attempt_id=attempt.id if attempt else None,
        order_id=order.id if order else None,
        merchant_id=attempt.merchant_id if attempt else account.merchant_id,
    )


class SuspenseStatus(StrEnum):
    OPEN = "open"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    ATTRIBUTED = "attributed"
    WRITTEN_OFF = "written_off"


SUSPENSE_TRANSITIONS: Table[SuspenseStatus] = {
    SuspenseStatus.OPEN: frozenset({SuspenseStatus.REFUNDING, SuspenseStatus.ATTRIBUTED, SuspenseStatus.WRITTEN_OFF}),
    # Back to open only on a definite failure of the refund.
    SuspenseStatus.REFUNDING: frozenset({SuspenseStatus.REFUNDED, SuspenseStatus.OPEN}),
    SuspenseStatus.REFUNDED: frozenset(),
    SuspenseStatus.ATTRIBUTED: frozenset(),
    SuspenseStatus.WRITTEN_OFF: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspenseItem:
    """Money waiting for a decision: one item for each held payment."""

    id: str
    payment_id: str
    account_id: str
    mode: Mode
    amount: Money
    reason: Unattributed
    created_at: datetime
    status: SuspenseStatus = SuspenseStatus.OPEN
    order_id: str | None = None
    fee: Money = Money(0)

    def refunding(self) -> Self:
        """A refund of it is on its way; it cannot be attributed meanwhile."""
        return self._to(SuspenseStatus.REFUNDING)

    def refunded(self) -> Self:
        return self._to(SuspenseStatus.REFUNDED)

    def reopened(self) -> Self:
        """Its refund has definitely failed."""
        return self._to(SuspenseStatus.OPEN)

    def attributed(self, order_id: str, fee: Money) -> Self:
        """It pays this order after all, at this fee."""
        return replace(self._to(SuspenseStatus.ATTRIBUTED), order_id=order_id, fee=fee)

    def written_off(self) -> Self:
        return self._to(SuspenseStatus.WRITTEN_OFF)

    def given_back(self) -> Self:
        """The channel has undone the payment itself: there is nothing left to refund."""
        return self.refunding().refunded()

    def follows(self, status: SuspenseStatus) -> Self:
        """As its refunds have left it (domain/held_money)."""
        if status is self.status:
            return self
        if status is SuspenseStatus.REFUNDED and self.status is SuspenseStatus.OPEN:
            return self.given_back()
        return self._to(status)

    def _to(self, status: SuspenseStatus) -> Self:
        try:
            return replace(self, status=step("suspense item", SUSPENSE_TRANSITIONS, self.status, status))
        except IllegalTransition:
            raise Conflict(f"this item is {self.status}", code=f"suspense_{self.status}") from None
