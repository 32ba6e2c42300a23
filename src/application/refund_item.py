"""Held money goes back to its payer, by the same refund as any other."""

from collections.abc import Sequence
from datetime import datetime

from application.ports.world import Ids
from domain.held_money import left
from domain.ledger import PLATFORM
from domain.money import Money
from domain.numbers import channel_number
from domain.orders import Order
from domain.payments import ChannelPayment, SuspenseItem
from domain.refunds import Draws, Refund, RefundOrigin


def refund_of_item(
    item: SuspenseItem,
    payment: ChannelPayment,
    order: Order | None,
    *,
    ids: Ids,
    now: datetime,
    earlier: Sequence[Refund] = (),
) -> Refund:
    """The refund that empties the item of what ``earlier`` ones have left, due at once. What is reserved for it is the
    item itself, already locked."""
    gone = sum(refund.amount.minor for refund in earlier if refund.debited)
    zero = Money(0, payment.total.currency)
    return Refund(
        id=ids.new("ref"),
        order_id=payment.order_id,
        payment_id=payment.id,
        item_id=item.id,
        merchant_id=payment.merchant_id or PLATFORM,
        mode=payment.mode,
        account_id=payment.account_id,
        fund_mode=payment.fund_mode,
        number=channel_number(ids.new("num").removeprefix("num_")),
        payment_number=payment.number,
        total=payment.total,
        amount=Money(payment.total.minor - gone, payment.total.currency),
        debit=left(item, earlier),
        share=zero,
        reason="",
        origin=RefundOrigin.SUSPENSE,
        created_at=now,
        draws=Draws(pending=zero, available=zero, debt=zero),
        notify_url=order.request.notify_url if order else None,
    ).created(now)
