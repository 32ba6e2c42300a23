"""How far a file has been read is seen while it is read."""

import asyncio
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import IO

import pytest

from application import progress as module
from application.import_statement import LOOK_EVERY, ImportStatement
from domain.channels import Access
from domain.statements import Line, StatementKind
from tests.contracts.bills import DAY, line_of, paid
from tests.contracts.stage import Stage, soon
from tests.fakes.clock import FakeClock
from tests.fakes.progress import FakeProgress
from tests.fakes.statements import FakeStatements

LINES = 12 * LOOK_EVERY


@dataclass
class Halting(FakeStatements):
    """Half of a bill, and the rest when somebody says so."""

    line: Line | None = None
    go_on: threading.Event = field(default_factory=threading.Event)

    def trade_lines(self, access: Access, day: date, source: IO[bytes]) -> Iterator[Line]:
        assert self.line
        for n in range(1, LINES + 1):
            source.read(10)
            if n == LINES // 2 + 1:
                assert self.go_on.wait(60)
            yield self.line._replace(n=n, number=f"N{n}", transaction_id=f"T{n}")


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
