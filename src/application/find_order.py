"""A merchant looks at an order of its own: all that came of it, and what it is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from domain.attempts import Attempt
from domain.events import Event
from domain.merchants import Caller
from domain.money import Money
from domain.orders import Order
from domain.payments import ChannelPayment
from domain.refunds import Refund, of_order


class WholeOrder(NamedTuple):
    """An order with its attempts, its refunds, the payment that paid it, and its history, each oldest first."""

    order: Order
    attempts: Sequence[Attempt] = ()
    refunds: Sequence[Refund] = ()
    payment: ChannelPayment | None = None
    events: Sequence[Event] = ()

    @property
    def fee(self) -> Money | None:
        """What we keep of the payment, refunds that stand counted; None before it is paid."""
        return None if self.payment is None else self.payment.fee - self._standing[1]

    @property
    def net(self) -> Money | None:
        """What the merchant has of it: received, less our fee and what its refunds took; never below zero here."""
        if self.payment is None or self.fee is None:
            return None
        left = self.payment.received.minor - self.fee.minor - self._standing[0].minor
        return Money(max(left, 0), self.order.amount.currency)

    @property
    def _standing(self) -> tuple[Money, Money]:
        """(debits, shares) of its own refunds that are not void."""
        own, currency = [refund for refund in of_order(self.refunds) if not refund.void], self.order.amount.currency
        debits = sum(refund.debit.minor for refund in own)
        return Money(debits, currency), Money(sum(refund.share.minor for refund in own), currency)


@dataclass(frozen=True, slots=True)
class FindOrder:
    """An order by our id or by the merchant's number. Another's order is NotFound, like none."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, caller: Caller, order_id: str) -> WholeOrder:
        async with self.unit_of_work() as uow:
            return await _whole(uow, caller.own(await uow.orders.get(order_id)))

    async def numbered(self, caller: Caller, merchant_order_no: str) -> WholeOrder:
        async with self.unit_of_work() as uow:
            return await _whole(uow, await uow.orders.placed(caller.merchant_id, caller.mode, merchant_order_no))


async def _whole(uow: UnitOfWork, order: Order) -> WholeOrder:
    attempts = await uow.attempts.of_order(order.id)
    refunds = await uow.refunds.of_order(order.id)
    payments = await uow.payments.of_order(order.id)
    told = [order.id, *(each.id for each in attempts), *(each.id for each in refunds), *(each.id for each in payments)]
    return WholeOrder(
        order,
        attempts,
        refunds,
        await uow.payments.paying(order.id),
        await uow.events.about(told),
    )
