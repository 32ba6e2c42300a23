"""An operator hands in a bill that the channel was not asked for, or gave somebody by another way."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import IO

from application.import_statement import ImportStatement
from application.ports.channels import Statements
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from application.reconcile import Reconcile
from domain.actors import Actor
from domain.channels import Channel
from domain.errors import InvalidRequest
from domain.statements import StatementDay, StatementKind
from domain.times import shanghai_day


@dataclass(frozen=True, slots=True)
class UploadStatement:
    """Taken in whole or not at all, then the day is matched. The file that is in force already changes nothing; another
    one reopens a closed day. Handed in again after a crash between the two, it is matched all the same.

    Raises BillInvalid with the line and the reason, NotFound for an account that does not exist, InvalidRequest for a
    day that has not ended and for a bill that the channel does not have.
    """

    unit_of_work: UnitOfWorkFactory
    statements: Mapping[Channel, Statements]
    import_: ImportStatement
    reconcile: Reconcile
    clock: Clock

    async def __call__(
        self, actor: Actor, account_id: str, day: date, source: IO[bytes], *, kind: StatementKind, fund: str
    ) -> StatementDay:
        if day >= shanghai_day(self.clock.now()):
            raise InvalidRequest("this day has not ended yet", code="day_not_over", pointer="/day")
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(account_id)
        funds = self.statements[access.account.channel].funds if kind is StatementKind.FUND else ("",)
        if fund not in funds:
            wanted = f"one of {', '.join(funds)}" if any(funds) else "left out for this bill"
            raise InvalidRequest(f"fund: {wanted}", code="file_invalid")
        await self.import_(access, day, kind, source, fund=fund, actor=actor)
        return await self.reconcile(account_id, day)
