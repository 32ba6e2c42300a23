"""Faults to plant where operators change something: each takes a change for more, or for less, than it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from application.confirm_attempt import ConfirmAttempt
from application.place_order import PlaceOrder
from application.ports.storage import UnitOfWork
from application.route_attempt import RouteAttempt
from application.start_attempt import StartAttempt
from domain.attempts import Attempt, AttemptStatus
from domain.channels import Access
from domain.choices import Choice
from domain.merchants import Caller, Merchant
from domain.orders import Order
from domain.routing import Serving
from tests.fakes.house import House
from tests.simulation.planting import CHANGES, Planted


class _Admitting(PlaceOrder):
    async def _admit(self, caller: Caller) -> None:
        pass


def take_orders_from_the_suspended(house: House) -> None:
    """A suspension hides a merchant from the lists, and nothing else."""
    place = house.place_order
    house.place_order = _Admitting(place.unit_of_work, place.clock, place.ids, place.pace)


@dataclass(frozen=True, slots=True)
class _Repricing(ConfirmAttempt):
    async def _find(
        self, uow: UnitOfWork, access: Access, number: str, *, watching: bool
    ) -> tuple[Order | None, Attempt | None]:
        order, attempt = await ConfirmAttempt._find(self, uow, access, number, watching=watching)
        if attempt is not None:
            standing = await uow.pricings.standing(attempt.merchant_id, self.clock.now())
            terms = replace(attempt.terms, fee_plan=standing.plan(attempt.method))
            attempt = replace(attempt, terms=terms)
        return order, attempt


def charge_todays_price(house: House) -> None:
    """The fee is that of when the money comes, not the one that was agreed when the payment was started."""
    confirm = _Repricing(house.clock, house.ids)
    house.receive_notice = replace(house.receive_notice, confirm=confirm)
    house.check_attempt = replace(house.check_attempt, confirm=confirm)


@dataclass(frozen=True, slots=True)
class _Blind(RouteAttempt):
    async def __call__(
        self, uow: UnitOfWork, order: Order, choice: Choice, merchant: Merchant, attempts: Sequence[Attempt]
    ) -> Serving:
        page = await uow.accounts.page(before=None, limit=100, merchant_id=None)
        first = min(page, key=lambda each: each.account.id)
        if choice.method in first.account.methods and first.account.fund_mode in merchant.fund_modes:
            return Serving(first)
        return await RouteAttempt.__call__(self, uow, order, choice, merchant, attempts)


def route_as_if_no_account_was_ever_switched_off(house: House) -> None:
    """The accounts that serve a merchant are those of when it was opened."""
    route = house.start_attempt.route
    house.start_attempt = replace(house.start_attempt, route=_Blind(route.unit_of_work, route.channels, route.clock))


@dataclass(frozen=True, slots=True)
class _Wandering(StartAttempt):
    async def _intend(
        self, caller: Caller, order_id: str, choice: Choice
    ) -> tuple[Order, Attempt, Access, Serving | None]:
        order, attempt, access, way = await StartAttempt._intend(self, caller, order_id, choice)
        if way is None and attempt.status is not AttemptStatus.PENDING:
            async with self.unit_of_work() as uow:
                merchant = await uow.merchants.get(order.merchant_id)
                attempt = await uow.attempts.lock(attempt.id)
                way = await self.route(uow, order, choice, merchant, ())
                attempt = replace(attempt, account_id=way.account.id)
                await uow.attempts.save(attempt)
            access = way.access
        return order, attempt, access, way


def move_an_attempt_to_the_account_that_is_best_now(house: House) -> None:
    """A repeated start takes the same number to another account."""
    start = house.start_attempt
    house.start_attempt = _Wandering(
        start.unit_of_work,
        start.channels,
        start.close_attempt,
        start.charge,
        start.route,
        start.clock,
        start.ids,
        start.notice_url,
    )


PLANTED_CHANGES = (
    Planted(take_orders_from_the_suspended, "an order was taken from a suspended merchant", CHANGES),
    Planted(charge_todays_price, "not booked at the price that was frozen", CHANGES),
    Planted(route_as_if_no_account_was_ever_switched_off, "started through an account that is switched off", CHANGES),
    Planted(move_an_attempt_to_the_account_that_is_best_now, "what is frozen on an attempt has changed", CHANGES),
)
