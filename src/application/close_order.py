"""Nobody shall pay this order any more: the channel closes first, then we do."""

from contextlib import suppress
from dataclasses import dataclass

from application.check_attempt import CheckAttempt
from application.crashpoints import crashpoint
from application.ports.channels import Channels
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Hints
from application.reverse_attempt import ReverseAttempt
from domain.attempts import Attempt
from domain.channels import ChannelState
from domain.errors import ChannelRejected, Conflict, InProgress
from domain.orders import Order, OrderStatus


@dataclass(frozen=True, slots=True)
class CloseAttempt:
    """Close one attempt at its channel and ask it what is true now. One by bar code is undone instead.

    Returns the channel's state; PAID means that the money has been confirmed. Raises ChannelError when it cannot tell.
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    check: CheckAttempt
    reverse: ReverseAttempt

    async def __call__(self, attempt: Attempt) -> ChannelState:
        if attempt.method.is_barcode:
            return await self.reverse(attempt)
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(attempt.account_id)
        with suppress(ChannelRejected):  # most likely it has been paid: the query tells
            await self.channels[access.account.channel].close(access, attempt.number)
        crashpoint("expiry.channel_closed")
        return (await self.check(attempt)).state


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """Close each live attempt at its channel, then the order. Closing a closed order again returns it.

    An Alipay code that nobody scanned is no trade yet and cannot be closed: its attempt stays live and is polled to
    its expiry, so that money which somebody pays by it after all is found although every notice be lost.
    Raises Conflict("order_paid") when the money was faster, ChannelError while a channel cannot say that it closed:
    then the order stays pending and can be closed later.
    """

    unit_of_work: UnitOfWorkFactory
    close_attempt: CloseAttempt
    clock: Clock
    hints: Hints

    async def __call__(self, order_id: str, reason: str) -> Order:
        async with self.unit_of_work() as uow:
            order = await uow.orders.get(order_id)
            attempts = await uow.attempts.of_order(order_id)
        if order.status is OrderStatus.PENDING:
            for attempt in attempts:
                if attempt.live and await self.close_attempt(attempt) is ChannelState.PENDING:
                    raise InProgress("the channel has not closed this payment yet", code="close_in_progress")
        order = await self._close(order_id, reason, asked={attempt.id for attempt in attempts})
        await self.hints.order_changed(order_id)
        await self.hints.work("fan_out_events")
        return order

    async def _close(self, order_id: str, reason: str, *, asked: set[str]) -> Order:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            order = await uow.orders.lock(order_id)
            if order.status is OrderStatus.PAID:
                raise Conflict("this order is paid", code="order_paid")
            if order.status is OrderStatus.CLOSED:
                return order
            for attempt in await uow.attempts.of_order(order_id):
                if attempt.live and attempt.id not in asked:
                    raise InProgress("a payment of this order has just been started", code="close_in_progress")
            order = order.close(reason, now=now)
            await uow.orders.save(order)
        crashpoint("expiry.closed")
        return order
