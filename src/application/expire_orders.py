"""Orders whose time is up are closed, each only after its channel has been asked."""

from dataclasses import dataclass
from datetime import timedelta

from application.close_order import CloseOrder
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from application.together import together

# When a channel cannot tell, the order is taken up again after this long.
RETRY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class ExpireOrders:
    """One sweep: claim what has expired and close it. What fails stays pending and is due again in a minute."""

    unit_of_work: UnitOfWorkFactory
    close_order: CloseOrder
    clock: Clock
    batch: int = 50

    async def __call__(self) -> int:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            due = await uow.orders.claim_expired(now, retry_at=now + RETRY, limit=self.batch)
        await together(self._expire, due)
        return len(due)

    async def _expire(self, order_id: str) -> None:
        await self.close_order(order_id, "expired")
