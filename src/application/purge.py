"""What is kept for a while only: notices that nobody believed, sessions that are over."""

from dataclasses import dataclass

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from domain import kept_notices, sessions


@dataclass(frozen=True, slots=True)
class PurgeRefusedNotices:
    """After a week. Verified ones are evidence of what is booked and stay."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            return await uow.notices.purge_refused(self.clock.now() - kept_notices.KEPT)


@dataclass(frozen=True, slots=True)
class PurgeSessions:
    """Ninety days after they have run out, whoever ended them before. That somebody signed in stays in the audit."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            return await uow.sessions.purge(self.clock.now() - sessions.KEPT)
