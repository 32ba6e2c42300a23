"""Which channel account a new attempt goes through, and what its opening has taught about that account."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.channels import Channels
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock
from domain.attempts import Attempt, AttemptStatus
from domain.channels import Method
from domain.choices import Choice
from domain.errors import AccountRefused, ChannelError, ChannelRejected, ChannelUnavailable, Conflict
from domain.merchants import Merchant
from domain.orders import Order
from domain.routing import Condition, Health, Serving, Trouble, failure, refusals, routes


@dataclass(frozen=True, slots=True)
class RouteAttempt:
    """The rule is ``domain.routing.routes``. While all is well with an account nothing is written about it.

    An attempt stays with its account and its number: what goes wrong moves the next one. Only where the channel
    certainly never heard of an attempt, its account is left alone by now and another serves, is the attempt itself
    given up, so that the next call starts one there.
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    clock: Clock

    async def __call__(
        self, uow: UnitOfWork, order: Order, choice: Choice, merchant: Merchant, attempts: Sequence[Attempt]
    ) -> Serving:
        """Inside the unit of work that adds the attempt. Raises Conflict("method_unavailable")."""
        now, method = self.clock.now(), choice.method
        adapter = self.channels.get(method.channel)
        ways: Sequence[Serving] = ()
        if adapter is not None and method in adapter.methods:
            serving = await uow.accounts.serving(order.merchant_id, order.mode)
            refused_by = refusals(attempts, method)
            ways = routes(
                serving,
                method,
                now=now,
                fund_modes=merchant.fund_modes,
                refused_by=refused_by,
                payer_app=choice.payer_app,
            )
        for way in ways:
            health = way.health_of(method)
            if health is None or health.at(now) is not Condition.TRIAL or await uow.health.try_again(health, now):
                return way
        if ways:
            return ways[0]  # others are trying every one of them at this moment
        raise Conflict(f"{method} is not available for this merchant", code="method_unavailable", pointer="/method")

    async def went_well(self, way: Serving | None, method: Method) -> None:
        """The channel has answered, be it with a no that is about the payment."""
        if way is not None and way.health_of(method) is not None:
            async with self.unit_of_work() as uow:
                await uow.health.recovered(way.account.id, method)

    async def went_wrong(self, way: Serving | None, attempt: Attempt, error: ChannelError) -> None:
        """Remember it, where it is the account's fault or the channel's."""
        if isinstance(error, ChannelRejected) and not isinstance(error, AccountRefused):
            await self.went_well(way, attempt.method)
            return
        trouble = Trouble.REFUSED if isinstance(error, AccountRefused) else Trouble.OUTAGE
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            health = (await uow.health.lock(attempt.account_id, attempt.method, now)).failed(trouble, error.code, now)
            await uow.health.save(health)
        if isinstance(error, ChannelUnavailable) and health.at(now) is Condition.PAUSED:
            await self._give_up(attempt, health, error)

    async def _give_up(self, attempt: Attempt, health: Health, outage: ChannelUnavailable) -> None:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            attempt = await uow.attempts.lock(attempt.id)
            if attempt.status is not AttemptStatus.CREATED:
                return
            merchant = await uow.merchants.get(attempt.merchant_id)
            serving = await uow.accounts.serving(attempt.merchant_id, attempt.mode)
            ways = routes(serving, attempt.method, now=now, fund_modes=merchant.fund_modes)
            if any(way.account.id != health.account_id and way.health_of(attempt.method) is None for way in ways):
                await uow.attempts.save(attempt.failed(failure(outage), now))
