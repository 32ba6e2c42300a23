"""A merchant's static codes: make, list, switch; and the orders that payers place by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from application.place_order import TOKEN_LENGTH, PlaceOrder
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.actors import Actor
from domain.codes import MOST, PLACED_WITHIN, StaticCode
from domain.errors import Conflict, NotFound, RateLimited
from domain.merchants import Caller
from domain.money import Money
from domain.orders import Order, OrderRequest

MOST_CODES = 200
# A code hangs in the open: whoever walks by may place orders by it, but not without end.
ORDERS, WINDOW = 60, timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeepCodes:
    """What a merchant does with its codes, or ``by`` an operator for it. All is written down.

    Raises NotFound for another's code, Conflict("too_many_codes").
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def add(
        self,
        caller: Caller,
        name: str,
        *,
        amount: Money | None = None,
        most: Money = MOST,
        by: Actor | None = None,
    ) -> StaticCode:
        code = StaticCode(
            id=self.ids.new("cod"),
            merchant_id=caller.merchant_id,
            mode=caller.mode,
            token=self.ids.token(TOKEN_LENGTH),
            name=name,
            created_at=self.clock.now(),
            amount=amount,
            most=max(most, amount) if amount else most,
        )
        async with self.unit_of_work() as uow:
            await uow.merchants.get(caller.merchant_id)
            if len(await uow.codes.of_merchant(caller.merchant_id, caller.mode)) >= MOST_CODES:
                raise Conflict(f"there are {MOST_CODES} codes already", code="too_many_codes")
            await uow.codes.add(code)
            await self._record(uow, by or caller.actor, "code.created", code)
        return code

    async def all(self, caller: Caller) -> Sequence[StaticCode]:
        """Oldest first."""
        async with self.unit_of_work() as uow:
            return await uow.codes.of_merchant(caller.merchant_id, caller.mode)

    async def switch(self, caller: Caller, code_id: str, *, enabled: bool, by: Actor | None = None) -> StaticCode:
        """Repeating it changes nothing."""
        async with self.unit_of_work() as uow:
            code = caller.own(await uow.codes.get(code_id))
            switched = code.switched(enabled=enabled)
            if switched != code:
                await uow.codes.save(switched)
                await self._record(uow, by or caller.actor, f"code.{'enabled' if enabled else 'disabled'}", switched)
        return switched

    async def _record(self, uow: UnitOfWork, actor: Actor, action: str, code: StaticCode) -> None:
        """What was done, without the token: whoever has that may place orders."""
        shown = {name: value for name, value in code.snapshot().items() if name != "object"}
        await uow.audit.add(
            actor.did(
                action,
                code.id,
                id=self.ids.new("aud"),
                at=self.clock.now(),
                merchant_id=code.merchant_id,
                after=shown,
            )
        )


@dataclass(frozen=True, slots=True)
class OrderByCode:
    """A payer places an order by a static code. Its number is ``QR`` and a ULID; its metadata names the code."""

    unit_of_work: UnitOfWorkFactory
    place_order: PlaceOrder
    clock: Clock
    ids: Ids

    async def code(self, token: str) -> tuple[StaticCode, str]:
        """The code and its payee's name. Raises NotFound."""
        async with self.unit_of_work() as uow:
            code = await uow.codes.by_token(token)
            merchant = await uow.merchants.get(code.merchant_id)
        if not merchant.active:
            raise NotFound("this merchant collects no more")
        return code, merchant.name

    async def __call__(self, token: str, amount: Money | None, *, payer_ip: str | None, locale: str | None) -> Order:
        """Raises NotFound, InvalidRequest for an amount that the code does not take, Conflict, RateLimited."""
        code, _ = await self.code(token)
        wanted = code.asks(amount)
        async with self.unit_of_work() as uow:
            placed = await uow.throttles.hit(f"code:{code.id}", now=self.clock.now(), window=WINDOW)
        if placed > ORDERS:
            raise RateLimited("too many orders by this code", code="too_many_orders")
        request = OrderRequest(
            merchant_order_no=self.ids.new("QR").replace("_", ""),
            amount=wanted,
            subject=code.name,
            expires_in=PLACED_WITHIN,
            payer_ip=payer_ip,
            locale=locale,
            metadata={"code": code.id},
        )
        return await self.place_order(Caller(code.merchant_id, code.mode), request)
