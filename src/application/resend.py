"""Send again what an endpoint has not taken, or has taken and wants once more. Its webhook-id stays the same."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Hints, Ids
from domain.actors import Actor
from domain.errors import InvalidRequest, NotFound
from domain.merchants import Caller
from domain.notifications import Delivery
from domain.times import rfc3339

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Resend:
    """One delivery, or all that an endpoint missed in a time. Another's is NotFound; a disabled endpoint Conflict."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    hints: Hints

    async def one(self, caller: Caller, delivery_id: str, *, by: Actor | None = None) -> Delivery:
        """Due at once, whatever became of it. While it is in flight, nothing changes: it is on its way."""
        async with self.unit_of_work() as uow:
            found = (await uow.deliveries.lock([delivery_id])).get(delivery_id)
            if found is None:
                raise NotFound(f"no delivery {delivery_id}")
            standing = caller.own(found)
            (await uow.endpoints.get(standing.endpoint_id)).check_enabled()
            now = self.clock.now()
            delivery = standing.again(now)
            if delivery != standing:
                await uow.deliveries.save(delivery, None, now)
                did = (by or caller.actor).did("delivery.resent", delivery.id, **self._of(caller), after={})
                await uow.audit.add(did)
        await self.hints.work("deliver_notifications")
        return delivery

    async def missed(
        self, caller: Caller, endpoint_id: str, since: datetime, until: datetime, *, by: Actor | None = None
    ) -> tuple[int, bool]:
        """What happened in that time and never arrived: how many are due now, and whether more remain for another call.

        Events from before the endpoint was there, or while it was off, are among them.
        """
        if since >= until:
            raise InvalidRequest("this time ends before it begins", code="time_range_invalid", pointer="/until")
        async with self.unit_of_work() as uow:
            endpoint = caller.own(await uow.endpoints.get(endpoint_id))
            endpoint.check_enabled()
            found = await uow.deliveries.missed(endpoint, since, until, limit=AT_ONCE + 1)
            now = self.clock.now()
            for event, delivery in found[:AT_ONCE]:
                if delivery is not None:
                    await uow.deliveries.save(delivery.again(now), None, now)
                elif url := endpoint.target(event):
                    await uow.deliveries.add(Delivery.of(event, endpoint, url, id=self.ids.new("dlv"), now=now))
            if found:
                what = {"since": rfc3339(since), "until": rfc3339(until), "count": len(found[:AT_ONCE])}
                actor = by or caller.actor
                did = actor.did("webhook_endpoint.resent", endpoint.id, **self._of(caller), after=what)
                await uow.audit.add(did)
        if found:
            await self.hints.work("deliver_notifications")
        return len(found[:AT_ONCE]), len(found) > AT_ONCE

    def _of(self, caller: Caller) -> dict[str, Any]:
        return {"id": self.ids.new("aud"), "at": self.clock.now(), "merchant_id": caller.merchant_id}
