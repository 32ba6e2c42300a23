"""Stop sending to an endpoint: it says 410 Gone, it has failed for five days, or its merchant switched it off."""

from datetime import datetime

from application.ports.storage import UnitOfWorkFactory
from domain.notifications import Disabled

AT_ONCE = 1_000  # deliveries cancelled in one transaction


async def give_up(unit_of_work: UnitOfWorkFactory, endpoint_id: str, reason: Disabled, now: datetime) -> None:
    """Disable it with an event for its merchant, and cancel what is due. Harmless when it is disabled already."""
    async with unit_of_work() as uow:
        standing = await uow.endpoints.lock(endpoint_id)
        endpoint = standing.given_up(reason, now)
        if endpoint == standing:
            return
        await uow.endpoints.save(endpoint)
        assert endpoint.url is not None
        await uow.circuits.close([endpoint.lane(endpoint.url)])
    await cancel_due(unit_of_work, endpoint_id)


async def cancel_due(unit_of_work: UnitOfWorkFactory, endpoint_id: str) -> None:
    """All that is due. What this misses, because it dies or a row is locked, is cancelled when it comes to its try."""
    cancelled = AT_ONCE
    while cancelled == AT_ONCE:
        async with unit_of_work() as uow:
            cancelled = await uow.deliveries.cancel_due(endpoint_id, limit=AT_ONCE)
