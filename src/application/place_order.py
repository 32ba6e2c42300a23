"""A merchant asks us to collect money."""

from dataclasses import dataclass, field
from datetime import timedelta

from application.crashpoints import crashpoint
from application.ports.storage import AlreadyExists, UnitOfWorkFactory
from application.ports.world import Clock, Ids, Pace
from application.recent import Recent
from domain.errors import Conflict, RateLimited
from domain.merchants import Caller, Merchant
from domain.orders import Order, OrderRequest

TOKEN_LENGTH = 27  # base62: 160 bits, so that a cashier's address cannot be guessed


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Place an order, or return the one that an equal request placed before. Raises Conflict for an unequal one,
    Forbidden for a suspended merchant, RateLimited for more orders in a minute than the merchant may place.

    The merchant is remembered for a second (docs/decisions/0003-recent-reads.md), so an order may still be placed
    within a second of a suspension. It is only a wish: ``StartAttempt`` reads anew, so nobody can pay it.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    pace: Pace
    recent: Recent[str, Merchant] = field(default_factory=Recent, init=False, repr=False, compare=False)

    async def __call__(self, caller: Caller, request: OrderRequest) -> Order:
        now = self.clock.now()
        await self._admit(caller)
        order = Order.place(
            request,
            id=self.ids.new("ord"),
            merchant_id=caller.merchant_id,
            mode=caller.mode,
            token=self.ids.token(TOKEN_LENGTH),
            now=now,
            expires_at=now + timedelta(seconds=request.expires_in),
        )
        try:
            async with self.unit_of_work() as uow:
                await uow.orders.add(order)
                crashpoint("order.before_commit")
        except AlreadyExists:
            return await self._earlier(caller, request)
        crashpoint("order.after_commit")
        return order

    async def _admit(self, caller: Caller) -> None:
        merchant = await self.recent.get(caller.merchant_id, self.clock.now(), self._merchant)
        assert merchant is not None, "an unknown one raises NotFound"
        merchant.must_be_active()
        most = merchant.orders_per_minute
        if most is None:
            return
        wait = await self.pace.take(f"orders:{merchant.id}:{caller.mode}", most=most, seconds=60)
        if wait:
            raise RateLimited(f"{most} orders a minute", code="order_rate_limit", retry_after_seconds=wait)

    async def _merchant(self, merchant_id: str) -> Merchant:
        async with self.unit_of_work() as uow:
            return await uow.merchants.get(merchant_id)

    async def _earlier(self, caller: Caller, request: OrderRequest) -> Order:
        async with self.unit_of_work() as uow:
            earlier = await uow.orders.placed(caller.merchant_id, caller.mode, request.merchant_order_no)
        if not earlier.asks(request):
            raise Conflict(
                f"merchant_order_no {request.merchant_order_no} stands for another order",
                code="merchant_order_no_taken",
                pointer="/merchant_order_no",
            )
        return earlier
