"""`pitaya reconcile`: one day of one channel account, by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TextIO

from application.fetch_statements import FetchStatement
from application.import_statement import ImportStatement
from application.ports.progress import Progress, Step
from application.ports.storage import UnitOfWorkFactory
from application.reconcile import Reconcile
from domain.actors import SYSTEM
from domain.errors import InvalidRequest
from domain.statements import StatementDay, StatementKind

BAR, WIDTH = 40, 79


@dataclass(frozen=True, slots=True)
class ReconcileByHand:
    """Fetch what the channel has now, or take files instead, match, and say what came of it."""

    unit_of_work: UnitOfWorkFactory
    fetch: FetchStatement
    import_: ImportStatement
    reconcile: Reconcile

    async def __call__(self, account_id: str, day: date, files: Sequence[str], by: str) -> str:
        """``files`` are ``trade=PATH`` or ``fund:BASIC=PATH``, gzipped or not; without any, the channel is asked.
        Returns the text to print: the day, and each open discrepancy in a line."""
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(account_id)
            await uow.bills.open_day(StatementDay(account_id=account_id, mode=access.account.mode, day=day))
        clerk = replace(SYSTEM, id=f"cli:{by}", name=by)
        for file in files:
            kind, fund, path = _file(file)
            with path.open("rb") as source:
                await self.import_(access, day, kind, source, fund=fund, actor=clerk)
        if not files:
            await self.fetch(account_id, day, again=True)
        return await self._told(await self.reconcile(account_id, day))

    async def _told(self, day: StatementDay) -> str:
        async with self.unit_of_work() as uow:
            found = [one for one in await uow.bills.discrepancies(day.account_id, day.day) if one.live]
        lines = [
            f"{day.day}  {day.account_id}  {day.status}  {day.note}".rstrip(),
            f"matched {day.matched}, foreign {day.foreign}, held {day.held}, open discrepancies {len(found)}",
            *(f"  {one.id}  {one.kind:14} {one.amount:>12}  {one.number or one.key}" for one in found),
        ]
        return "\n".join(lines)


@dataclass
class Screen:
    """Progress drawn as a line where somebody looks, and told to others all the same."""

    others: Progress
    screen: TextIO
    _drawn: bool = False

    async def tell(self, account_id: str, day: date, step: Step | None) -> None:
        if self.screen.isatty():
            self._draw(step)
        await self.others.tell(account_id, day, step)

    async def step(self, account_id: str, day: date) -> Step | None:
        return await self.others.step(account_id, day)

    def _draw(self, step: Step | None) -> None:
        if step is not None:
            self.screen.write(f"\r{_words(step):{WIDTH}}")
        elif self._drawn:
            self.screen.write("\n")
        self._drawn = step is not None
        self.screen.flush()


def _words(step: Step) -> str:
    if not step.bill:
        return f"matching, {step.matched:,} lines agree" if step.matched else "matching"
    full = BAR * step.taken // max(step.size, 1)
    return f"{step.bill} [{'#' * full}{'.' * (BAR - full)}] {step.lines:,} lines read"


def _file(text: str) -> tuple[StatementKind, str, Path]:
    bill, equals, path = text.partition("=")
    kind, _, fund = bill.partition(":")
    known = kind in tuple(StatementKind)
    if not equals or not known or (kind == StatementKind.FUND) != bool(fund) or not Path(path).is_file():
        raise InvalidRequest(f"{text}: a file is given as trade=PATH or fund:BASIC=PATH", code="file_invalid")
    return StatementKind(kind), fund, Path(path)
