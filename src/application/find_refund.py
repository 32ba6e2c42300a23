"""A merchant looks at its refunds."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.storage import UnitOfWorkFactory
from domain.errors import NotFound
from domain.merchants import Caller
from domain.refunds import Refund


@dataclass(frozen=True, slots=True)
class FindRefund:
    """A refund by our id or by the merchant's number, or all of an order. Another's is NotFound, like none."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, caller: Caller, refund_id: str) -> Refund:
        async with self.unit_of_work() as uow:
            return caller.own(await uow.refunds.get(refund_id))

    async def numbered(self, caller: Caller, merchant_refund_no: str) -> Refund:
        async with self.unit_of_work() as uow:
            refund = await uow.refunds.asked(caller.merchant_id, caller.mode, merchant_refund_no)
        if refund is None:
            raise NotFound(f"no refund {merchant_refund_no}")
        return refund

    async def of_order(self, caller: Caller, order_id: str) -> Sequence[Refund]:
        async with self.unit_of_work() as uow:
            order = caller.own(await uow.orders.get(order_id))
            return await uow.refunds.of_order(order.id)
