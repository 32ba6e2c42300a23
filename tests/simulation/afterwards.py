"""The days after the sale: bills match, money is released, settled and paid out, people book, shops give back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

from application.open_merchant import OpenedMerchant
from domain.orders import OrderStatus
from domain.times import SHANGHAI
from tests.simulation.office import Office
from tests.simulation.payees import Payees
from tests.simulation.people import Journal
from tests.simulation.refunds import console, regret
from tests.simulation.world import World

_OPENS, _SETTLES = 0, 14  # hours in Shanghai: a day begins, and the automatic settlements of it


class Afterwards:
    """``stormy`` days, with processes that die and people who do everything twice; then ``calm`` ones, until everything
    has come to its end."""

    def __init__(
        self,
        world: World,
        journal: Journal,
        merchants: Sequence[OpenedMerchant],
        sell: Callable[[OpenedMerchant], Awaitable[None]],
    ) -> None:
        self._world, self._journal, self._chance, self._sell = world, journal, world.chance, sell
        self.payees = Payees(world, journal)
        self.a_month_ended = False  # while they lasted, so that invoices are due
        self._office = Office(world, self.payees, merchants)

    async def stormy(self) -> None:
        office, chance = self._office, self._chance
        for merchant in office.merchants:
            await office.agree(merchant)
        self._world.go_on()
        for day in range(chance.choice((1, 1, 2))):
            await self._until(_OPENS)
            await office.bills(late=0.2)
            sales = [partial(self._sell, chance.choice(office.merchants))] if not day and chance.random() < 0.3 else []
            night = (office.close_the_books, office.roll_up, office.look_after_items, office.look_after_days)
            await self._at_once(*night, *sales, *self._business(f"-{day}a"))
            await self._until(_SETTLES)
            await self._at_once(office.take_back, office.roll_up, office.bank, *self._business(f"-{day}b"))
        if chance.random() < 0.2:
            self.a_month_ended = True
            await self._until(_OPENS, of_a_month=True)
            await self._at_once(office.issue_invoices, office.issue_invoices, office.end_invoices, office.decide)

    async def calm(self, until_nothing_is_due: Callable[[], Awaitable[None]]) -> None:
        """Everybody does what is still to be done, and time passes until nothing is."""
        office = self._office
        await self._until(_OPENS)
        await office.bills()
        await office.automatic_no_more()
        await office.lift_all()
        for _ in range(2):  # what they propose, and once it is approved, whether they can close the day now
            await office.look_after_days()
            await office.decide(all_=True)
        if self.a_month_ended:
            await office.issue_invoices()
            await office.end_invoices()
        await office.decide(all_=True)
        await until_nothing_is_due()
        for merchant in office.merchants:
            await office.settle(merchant)
        for _ in range(3):  # approved, handed in and entered; and what came back meanwhile is entered too
            await office.decide(all_=True)
            await office.bank()
            await office.decide(all_=True)
            await until_nothing_is_due()
        await self._until(_OPENS)
        await office.close_the_books()
        await office.roll_up()

    def _business(self, time: str) -> list[Callable[[], Awaitable[None]]]:
        """What happens in one rush: shops give back, people book and settle, and what they ask for is decided."""
        office, chance = self._office, self._chance
        rush: list[Callable[[], Awaitable[None]]] = [office.decide, office.decide, office.bank, office.decide]
        for merchant in office.merchants:
            rush += [partial(office.settle, merchant) for _ in range(chance.choice((0, 1, 2)))]
            rush += [partial(office.book, merchant) for _ in range(chance.choice((0, 1, 2, 3)))]
            if chance.random() < 0.15:
                rush.append(partial(office.hold, merchant))
            for row in list(self._world.database.tables.orders.committed.values()):
                order = row.order
                paid = (order.merchant_id, order.status) == (merchant.merchant.id, OrderStatus.PAID)
                if paid and chance.random() < 0.4:
                    rush.append(partial(regret, self._world, self._journal, merchant, order.id, time))
                if paid and chance.random() < 0.3:
                    rush.append(partial(console, self._world, order.id))
        return rush

    async def _at_once(self, *work: Callable[[], Awaitable[None]]) -> None:
        await asyncio.gather(*(self._soon(each) for each in work))

    async def _soon(self, work: Callable[[], Awaitable[None]]) -> None:
        await self._world.sleep(self._chance.choice((0.0, 2.0, self._chance.uniform(0, 90))))
        await work()

    async def _until(self, hour: int, *, of_a_month: bool = False) -> None:
        """The next time that it is this hour in Shanghai, or that hour of a month's first day."""
        now = self._world.clock.now().astimezone(SHANGHAI)
        then = now.replace(hour=hour, minute=0, second=0, microsecond=0)
        while then <= now or (of_a_month and then.day != 1):
            then += timedelta(days=1)
        await self._world.sleep((then - now).total_seconds())
