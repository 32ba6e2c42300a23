"""How far a file has been read is seen while it is read."""

import asyncio
import io
import random
import string
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import IO, Any

import pytest

from application import progress as module
from application.import_statement import ImportStatement
from domain.channels import Access
from domain.errors import BillInvalid
from domain.money import Money
from domain.statements import Line, Lines, StatementKind
from tests.contracts.bills import DAY, line_of, paid
from tests.contracts.stage import Stage, soon
from tests.fakes.clock import FakeClock
from tests.fakes.progress import FakeProgress
from tests.fakes.statements import FakeStatements, written

SOME = 500
LINES = 12 * SOME


@dataclass
class Halting(FakeStatements):
    """Half of a bill, and the rest when somebody says so."""

    line: Line | None = None
    go_on: threading.Event = field(default_factory=threading.Event)

    def trade_lines(self, access: Access, day: date, source: IO[bytes]) -> Iterator[Lines]:
        assert self.line
        for first in range(1, LINES + 1, SOME):
            if first > LINES // 2:
                assert self.go_on.wait(60)
            source.read(10 * SOME)
            some = range(first, first + SOME)
            yield Lines(day, [self.line._replace(n=n, number=f"N{n}", transaction_id=f"T{n}") for n in some])


async def test_lines_are_told_while_the_rest_of_the_file_is_still_to_come(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    bills, progress = Halting(line=line_of(await paid(stage))), FakeProgress()
    async with stage.unit_of_work() as uow:
        access = await uow.accounts.access(stage.account.id)
    import_ = ImportStatement(stage.unit_of_work, {access.account.channel: bills}, FakeClock(), stage.ids, progress)
    content = bytes(10 * LINES)
    reading = asyncio.create_task(import_(access, DAY, StatementKind.TRADE, io.BytesIO(content)))

    async def half() -> None:
        while not (step := await progress.step(stage.account.id, DAY)) or step.lines < LINES // 2:
            assert not reading.done()
            await asyncio.sleep(0.01)

    await soon(half())
    step = await progress.step(stage.account.id, DAY)
    assert step is not None
    assert (step.bill, step.lines, step.taken, step.size) == ("trade", LINES // 2, len(content) // 2, len(content))
    bills.go_on.set()
    await soon(reading)
    assert await progress.step(stage.account.id, DAY) is None
    async with stage.unit_of_work() as uow:
        assert (await uow.bills.line(stage.account.id, DAY, LINES)).number == f"N{LINES}"


@pytest.mark.parametrize(
    "changes",
    [
        {"number": "".join(random.Random(1).choices(string.ascii_letters, k=60_000))},
        {"number": "PTY\0"},
        {"received": Money(10**30)},
        {"fee": -(10**19)},
    ],
    ids=["a number of pages", "no text", "more than all money", "fee"],
)
async def test_a_line_that_cannot_be_kept_is_refused_and_the_day_stands(stage: Stage, changes: dict[str, Any]) -> None:
    line = line_of(await paid(stage))
    bills = FakeStatements()
    async with stage.unit_of_work() as uow:
        access = await uow.accounts.access(stage.account.id)
    import_ = ImportStatement(
        stage.unit_of_work, {access.account.channel: bills}, FakeClock(), stage.ids, FakeProgress()
    )
    good = written([line])
    day = await import_(access, DAY, StatementKind.TRADE, io.BytesIO(good))
    with pytest.raises(BillInvalid):
        await import_(access, DAY, StatementKind.TRADE, io.BytesIO(written([line._replace(**changes)])))
    async with stage.unit_of_work() as uow:
        assert await uow.bills.day(stage.account.id, DAY) == day
        assert (await uow.bills.line(stage.account.id, DAY, 1)).number == line.number
