"""What the cashier page shows of an order to whoever holds its token."""

from dataclasses import dataclass

from application.ports.channels import Channels
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from domain.attempts import Attempt
from domain.channels import Method
from domain.merchants import Caller
from domain.orders import Order


@dataclass(frozen=True, slots=True)
class CashierView:
    """An order, its payee's name, the methods the payer may choose, and the attempt that is open, if any."""

    order: Order
    payee: str
    methods: tuple[Method, ...]
    attempt: Attempt | None

    @property
    def caller(self) -> Caller:
        """The holder of the token may start attempts of this order in its merchant's name."""
        return Caller(self.order.merchant_id, self.order.mode)


@dataclass(frozen=True, slots=True)
class ViewCashier:
    """Look an order up by its cashier token. Raises NotFound."""

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    clock: Clock

    async def __call__(self, token: str) -> CashierView:
        async with self.unit_of_work() as uow:
            order = await uow.orders.by_token(token)
            standing = await uow.pricings.standing(order.merchant_id, self.clock.now())
            serving = await uow.accounts.serving(order.merchant_id, order.mode)
            attempts = await uow.attempts.of_order(order.id)
        merchant = standing.merchant
        offered = {
            method
            for each in serving
            if each.account.channel in self.channels and each.account.fund_mode in merchant.fund_modes
            for method in each.account.methods & self.channels[each.account.channel].methods & standing.plans.keys()
        }
        if order.request.method is not None:
            offered &= {order.request.method}
        if not merchant.active:
            offered = set()
        shown = [attempt for attempt in attempts if attempt.live and attempt.action is not None]
        return CashierView(order, merchant.shown_name, tuple(sorted(offered)), shown[-1] if shown else None)
