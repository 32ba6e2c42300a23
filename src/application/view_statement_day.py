"""Somebody looks at one statement day and at the files that it goes by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from application.ports.progress import Progress, Step
from application.ports.storage import UnitOfWorkFactory
from domain.errors import NotFound
from domain.statements import StatementDay, StatementFile


@dataclass(frozen=True, slots=True)
class ViewStatementDay:
    """The day, its bills in force, and what is being done to it at this moment. A day whose first file is being read is
    there when the file is; until then it is shown as it begins, for a refused file leaves no day behind.

    Raises NotFound for a day that was never opened."""

    unit_of_work: UnitOfWorkFactory
    progress: Progress

    async def __call__(self, account_id: str, day: date) -> tuple[StatementDay, Sequence[StatementFile], Step | None]:
        step = await self.progress.step(account_id, day)
        async with self.unit_of_work() as uow:
            try:
                standing = await uow.bills.day(account_id, day)
            except NotFound:
                if step is None:
                    raise
                account = (await uow.accounts.access(account_id)).account
                return StatementDay(account_id=account_id, mode=account.mode, day=day), (), step
            files = [await uow.bills.file(account_id, day, bill) for bill in sorted(standing.files)]
        return standing, [file for file in files if file is not None], step
