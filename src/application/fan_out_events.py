"""Turn each new event into a delivery for every endpoint that wants it, and see to what else follows from it."""

from dataclasses import dataclass

from application.crashpoints import crashpoint
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Hints, Ids
from application.together import together
from domain.events import Event
from domain.notifications import Delivery


@dataclass(frozen=True, slots=True)
class FanOutEvents:
    """One sweep of the outbox: deliveries written and outbox rows deleted in one transaction."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    hints: Hints
    batch: int = 100

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            events = await uow.outbox.claim(limit=self.batch)
            for event in events:
                crashpoint("outbox.claimed")
                await self._fan_out(uow, event)
            await uow.outbox.done(events)
        if events:
            await self.hints.work("deliver_notifications")
        paid = [event.object_id for event in events if event.type == "order.paid"]
        await together(self._give_up_other_attempts, paid)
        return len(events)

    async def _fan_out(self, uow: UnitOfWork, event: Event) -> None:
        now = self.clock.now()
        for endpoint in await uow.endpoints.of_merchant(event.merchant_id, event.mode):
            url = endpoint.target(event)
            if url is not None:
                await uow.deliveries.add(Delivery.of(event, endpoint, url, id=self.ids.new("dlv"), now=now))

    async def _give_up_other_attempts(self, order_id: str) -> None:
        """A paid order's other codes are to be closed at their channels by the next sweep, before somebody pays twice.

        Apart from the fan-out, which shall not wait for an attempt's lock. Lost in a crash, it comes with their next
        poll.
        """
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            live = [attempt for attempt in await uow.attempts.of_order(order_id) if attempt.live]
            for attempt in live:
                await uow.attempts.save((await uow.attempts.lock(attempt.id)).hastened(now))
        if live:
            await self.hints.work("check_attempts")
