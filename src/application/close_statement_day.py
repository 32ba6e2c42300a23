"""A day is closed: no more is expected of it, and its payments may be released."""

from dataclasses import dataclass
from datetime import date

from application.crashpoints import crashpoint
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.actors import SYSTEM, Actor
from domain.statements import StatementDay


@dataclass(frozen=True, slots=True)
class CloseStatementDay:
    """Close one day. With open differences it takes a second person's approval: then ``within`` runs in the unit of
    work that approves (see the proposal ``statement_day.close``). Closing a closed day returns it."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def __call__(self, actor: Actor, account_id: str, day: date) -> StatementDay:
        async with self.unit_of_work() as uow:
            return await self.within(uow, actor, account_id, day, approved=False)

    async def within(
        self, uow: UnitOfWork, actor: Actor, account_id: str, day: date, *, approved: bool
    ) -> StatementDay:
        standing = await uow.bills.lock_day(account_id, day)
        if standing.closed:
            return standing
        live = sum(1 for one in await uow.bills.discrepancies(account_id, day) if one.live)
        closed = standing.close(actor.person, open_differences=live, approved=approved)
        await uow.bills.save_day(closed)
        await uow.release_days.due(account_id, day, self.clock.now())
        await uow.audit.add(
            actor.did(
                "statement_day.closed",
                f"{account_id}:{day}",
                id=self.ids.new("aud"),
                at=self.clock.now(),
                before={"status": standing.status},
                after={"status": closed.status, "open_differences": live},
            )
        )
        crashpoint("close.before_commit")
        return closed


@dataclass(frozen=True, slots=True)
class CloseMatchedDays:
    """One sweep: days whose bills are complete and without any difference close by themselves."""

    unit_of_work: UnitOfWorkFactory
    close: CloseStatementDay
    batch: int = 50

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            ready = await uow.bills.ready_to_close(limit=self.batch)
        for day in ready:
            await self.close(SYSTEM, day.account_id, day.day)
        return len(ready)
