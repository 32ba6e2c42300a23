"""An operator wants a day's bills fetched and matched (again), now."""

from dataclasses import dataclass, replace
from datetime import date

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Hints, Ids
from domain.actors import Actor
from domain.errors import Conflict, InvalidRequest
from domain.statements import StatementDay
from domain.times import shanghai_day


@dataclass(frozen=True, slots=True)
class RunStatementDay:
    """Make it due at once: the next sweep fetches what is missing and matches what is there. A day that was never
    opened is opened. Raises NotFound for an account that does not exist, Conflict for a closed day."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    hints: Hints

    async def __call__(self, actor: Actor, account_id: str, day: date) -> StatementDay:
        now = self.clock.now()
        if day >= shanghai_day(now):
            raise InvalidRequest("this day has not ended yet", code="day_not_over", pointer="/day")
        async with self.unit_of_work() as uow:
            account = (await uow.accounts.access(account_id)).account
            await uow.bills.open_day(StatementDay(account_id=account_id, mode=account.mode, day=day))
            standing = await uow.bills.lock_day(account_id, day)
            if standing.closed:
                raise Conflict("this day is closed", code="day_closed")
            due = replace(standing, next_at=now, tries=0)
            await uow.bills.save_day(due)
            await uow.audit.add(actor.did("statement_day.run", f"{account_id}:{day}", id=self.ids.new("aud"), at=now))
        await self.hints.work("fetch_statements")
        return due
