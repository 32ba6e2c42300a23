"""Notices that we did not believe are forgotten after a week."""

from dataclasses import dataclass

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from domain.kept_notices import KEPT


@dataclass(frozen=True, slots=True)
class PurgeRefusedNotices:
    """Verified ones are evidence of what is booked and stay."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            return await uow.notices.purge_refused(self.clock.now() - KEPT)
