"""A merchant looks at its shares and receivers."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.storage import UnitOfWorkFactory
from domain.errors import NotFound
from domain.merchants import Caller
from domain.receivers import Receiver
from domain.share_returns import ShareReturn
from domain.shares import Share


@dataclass(frozen=True, slots=True)
class FindShare:
    """Raises NotFound for another's."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, caller: Caller, share_id: str) -> Share:
        async with self.unit_of_work() as uow:
            share = await uow.shares.get(share_id)
        if (share.merchant_id, share.mode) != (caller.merchant_id, caller.mode):
            raise NotFound(f"no share {share_id}")
        return share

    async def of_order(self, caller: Caller, order_id: str) -> tuple[Sequence[Share], Sequence[ShareReturn]]:
        """An order's shares, and what came back of them."""
        async with self.unit_of_work() as uow:
            caller.own(await uow.orders.get(order_id))
            return await uow.shares.of_order(order_id), await uow.share_returns.of_order(order_id)

    async def owner(self, order_id: str) -> Caller:
        """Whose order it is. For those who may look at every merchant's."""
        async with self.unit_of_work() as uow:
            order = await uow.orders.get(order_id)
        return Caller(order.merchant_id, order.mode)

    async def of_merchant(self, merchant_id: str) -> Sequence[Receiver]:
        """A merchant's receivers of both modes. For those who may look at every merchant's."""
        async with self.unit_of_work() as uow:
            await uow.merchants.get(merchant_id)
            return await uow.receivers.of_merchant(merchant_id)

    async def receivers(self, caller: Caller) -> Sequence[Receiver]:
        async with self.unit_of_work() as uow:
            return await uow.receivers.of_merchant(caller.merchant_id, caller.mode)
