"""`pitaya reconcile`: one day of one channel account, by hand."""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import IO, Any, TextIO, cast

from application.fetch_statements import FetchStatement
from application.import_statement import ImportStatement
from application.ports.storage import UnitOfWorkFactory
from application.reconcile import Reconcile
from domain.actors import SYSTEM
from domain.errors import InvalidRequest
from domain.statements import StatementDay, StatementKind

WIDTH = 40


@dataclass(frozen=True, slots=True)
class ReconcileByHand:
    """Fetch what is missing, or take files instead, match, and say what came of it."""

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
                watched = Watched(source, path.stat().st_size, sys.stderr)
                await self.import_(access, day, kind, cast("IO[bytes]", watched), fund=fund, actor=clerk)
                watched.done()
        if not files:
            await self.fetch(account_id, day)
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


class Watched(io.RawIOBase):
    """A file that draws a bar as it is read, where somebody looks."""

    def __init__(self, source: IO[bytes], size: int, screen: TextIO) -> None:
        self._source, self._size, self._screen = source, size, screen
        self._drawn = -1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._seen(self._source.read(size))

    def readline(self, size: int | None = -1) -> bytes:
        return self._seen(self._source.readline(-1 if size is None else size))

    def readinto(self, buffer: Any) -> int:
        piece = self._source.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(self._seen(piece))

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def done(self) -> None:
        if self._drawn >= 0:
            self._screen.write("\n")

    def _seen(self, piece: bytes) -> bytes:
        full = WIDTH * self._source.tell() // max(self._size, 1)
        if full != self._drawn and self._screen.isatty():
            self._drawn = full
            self._screen.write(f"\r[{'#' * full}{'.' * (WIDTH - full)}]")
            self._screen.flush()
        return piece


def _file(text: str) -> tuple[StatementKind, str, Path]:
    bill, equals, path = text.partition("=")
    kind, _, fund = bill.partition(":")
    known = kind in tuple(StatementKind)
    if not equals or not known or (kind == StatementKind.FUND) != bool(fund) or not Path(path).is_file():
        raise InvalidRequest(f"{text}: a file is given as trade=PATH or fund:BASIC=PATH", code="file_invalid")
    return StatementKind(kind), fund, Path(path)
