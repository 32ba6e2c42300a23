"""Who pays: what a wallet tells us of the payer inside it, for the methods that must know."""

from dataclasses import dataclass
from datetime import timedelta

from application.ports.channels import Channels
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from domain.channels import Access, Method
from domain.errors import Conflict, InvalidRequest
from domain.merchants import Caller
from domain.routing import routes

# How long a payer may take on the wallet's own page.
LOGIN_LASTS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class KnownPayer:
    """``id`` means something to ``app_id`` alone: an attempt for this payer has to go through an account of it."""

    id: str
    app_id: str


@dataclass(frozen=True, slots=True)
class IdentifyPayer:
    """Who pays one order, from the code that the channel's OAuth page or mini-program gave to an app.

    Without ``app_id`` the app is that of the account by which an attempt would go now. Raises Conflict when the order
    is not payable or nobody offers the method (by this app), InvalidRequest for a method that need not know who pays,
    ChannelRejected("payer_code_invalid") for a code that is wrong, used or too old.
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    clock: Clock

    async def __call__(
        self, caller: Caller, order_id: str, method: Method, code: str, app_id: str | None = None
    ) -> KnownPayer:
        access = await self._access(caller, order_id, method, app_id)
        return KnownPayer(await self.channels[method.channel].payer_id(access, code, method), access.paying_app)

    async def app(self, caller: Caller, order_id: str, method: Method) -> str:
        """By which app payers are known now."""
        return (await self._access(caller, order_id, method, None)).paying_app

    async def page(self, caller: Caller, order_id: str, method: Method, *, app_id: str, back: str, state: str) -> str:
        """Where to send the payer's browser; it comes back to ``back`` with a code for this app, and ``state``."""
        access = await self._access(caller, order_id, method, app_id)
        return self.channels[method.channel].authorize_url(access, back, state)

    async def used(self, state: str) -> bool:
        """Whether this state has come back before; it has now."""
        async with self.unit_of_work() as uow:
            tries = await uow.throttles.hit(f"payer_login:{state}", now=self.clock.now(), window=2 * LOGIN_LASTS)
        return tries > 1

    async def _access(self, caller: Caller, order_id: str, method: Method, app_id: str | None) -> Access:
        if not method.needs_payer:
            raise InvalidRequest(f"{method} takes no payer_id", code="payer_unexpected", pointer="/method")
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            order = caller.own(await uow.orders.get(order_id))
            order.payable_at(now)
            merchant = await uow.merchants.get(order.merchant_id)
            serving = await uow.accounts.serving(order.merchant_id, order.mode)
        if method in self.channels[method.channel].methods:
            for way in routes(serving, method, now=now, fund_modes=merchant.fund_modes, payer_app=app_id):
                return way.access  # as an attempt that starts now goes
        raise Conflict(f"{method} is not available for this merchant", code="method_unavailable", pointer="/method")
