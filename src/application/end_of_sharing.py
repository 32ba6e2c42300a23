"""The end of an order's sharing is planned when its payment comes: by then, what nobody got is let go."""

from datetime import datetime

from application.ports.world import Ids
from domain.channels import Channel
from domain.numbers import channel_number
from domain.orders import Order
from domain.payments import ChannelPayment
from domain.shares import WINDOW, Share, ShareStatus


def end_of_sharing(order: Order, payment: ChannelPayment, channel: Channel, *, ids: Ids, now: datetime) -> Share:
    """Due when the channel's window is about to close; a call may hasten it."""
    end = Share(
        id=ids.new("shr"),
        order_id=order.id,
        payment_id=payment.id,
        merchant_id=order.merchant_id,
        mode=order.mode,
        account_id=payment.account_id,
        number=channel_number(ids.new("num").removeprefix("num_")),
        transaction_id=payment.transaction_id,
        currency=payment.received.currency,
        ends=True,
        created_at=now,
        notify_url=order.request.notify_url,
        status=ShareStatus.PLANNED,
    )
    return end.created(now, next_at=payment.paid_at + WINDOW[channel])
