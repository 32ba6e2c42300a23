"""Somebody looks at one statement day and at the files that it goes by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from application.ports.progress import Progress, Step
from application.ports.storage import UnitOfWorkFactory
from domain.statements import StatementDay, StatementFile


@dataclass(frozen=True, slots=True)
class ViewStatementDay:
    """The day, its bills in force, and what is being done to it at this moment. Raises NotFound for a day that was
    never opened."""

    unit_of_work: UnitOfWorkFactory
    progress: Progress

    async def __call__(self, account_id: str, day: date) -> tuple[StatementDay, Sequence[StatementFile], Step | None]:
        async with self.unit_of_work() as uow:
            standing = await uow.bills.day(account_id, day)
            files = [await uow.bills.file(account_id, day, bill) for bill in sorted(standing.files)]
        return standing, [file for file in files if file is not None], await self.progress.step(account_id, day)
