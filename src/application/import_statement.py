"""A statement file is taken in, whole or not at all."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import IO

from application.crashpoints import crashpoint
from application.ports.bills import FundLines
from application.ports.channels import Statements
from application.ports.progress import Progress, Step
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.progress import told
from application.unpacked import unpacked
from domain.actors import SYSTEM, Actor
from domain.channels import Access, Channel
from domain.statements import Lines, StatementDay, StatementFile, StatementKind

AT_A_TIME = 1_000  # lines of a fund bill


@dataclass(frozen=True, slots=True)
class ImportStatement:
    """Read, check and keep one bill of one day, gzipped or not. The file that is in force already changes nothing.

    Raises BillInvalid with the line and the reason; then nothing of it is kept.
    """

    unit_of_work: UnitOfWorkFactory
    statements: Mapping[Channel, Statements]
    clock: Clock
    ids: Ids
    progress: Progress

    async def __call__(
        self,
        access: Access,
        day: date,
        kind: StatementKind,
        source: IO[bytes],
        *,
        fund: str = "",
        actor: Actor = SYSTEM,
    ) -> StatementDay:
        account = access.account
        with contextlib.ExitStack() as stack:
            plain = await asyncio.to_thread(stack.enter_context, unpacked(source))
            sha256, size = await asyncio.to_thread(_digest, plain)
            file = StatementFile(
                id=self.ids.new("stf"),
                account_id=account.id,
                mode=account.mode,
                day=day,
                kind=kind,
                fund=fund,
                sha256=sha256,
                size=size,
                provenance="channel" if actor is SYSTEM else f"upload:{actor.person}",
                received_at=self.clock.now(),
            )
            return await self._take(access, file, plain, actor)

    async def _take(self, access: Access, file: StatementFile, source: IO[bytes], actor: Actor) -> StatementDay:
        day = file.day
        async with self.unit_of_work() as uow:
            await uow.bills.open_day(StatementDay(account_id=file.account_id, mode=file.mode, day=day))
            standing = await uow.bills.lock_day(file.account_id, day)
            if standing.files.get(file.bill) == file.sha256:
                return standing
            reading = _Reading(self._lines(access, file, source), source, Step(bill=file.bill, size=file.size))
            async with told(self.progress, file.account_id, day, lambda: reading.step):
                await uow.bills.store(file, source, reading)
            taken = standing.fetched(file)
            await uow.bills.save_day(taken)
            if actor is not SYSTEM:
                what = {"account_id": file.account_id, "day": str(day), "bill": file.bill, "sha256": file.sha256}
                await uow.audit.add(
                    actor.did("statement.uploaded", file.id, id=self.ids.new("aud"), at=file.received_at, after=what)
                )
            crashpoint("statement.before_commit")
        crashpoint("statement.after_commit")
        return taken

    def _lines(self, access: Access, file: StatementFile, source: IO[bytes]) -> Iterator[Lines | FundLines]:
        reader = self.statements[access.account.channel]
        source.seek(0)
        if file.kind is StatementKind.TRADE:
            return reader.trade_lines(access, file.day, source)
        flows = reader.fund_lines(access, file.day, source, fund=file.fund)
        return iter(lambda: list(islice(flows, AT_A_TIME)), [])


@dataclass
class _Reading:
    """Lines as they are read, and how far that is."""

    lines: Iterable[Lines | FundLines]
    source: IO[bytes]
    step: Step

    def __iter__(self) -> Iterator[Lines | FundLines]:
        for some in self.lines:
            crashpoint("statement.lines")
            self.step = replace(self.step, lines=self.step.lines + len(some), taken=self.source.tell())
            yield some


def _digest(source: IO[bytes]) -> tuple[str, int]:
    source.seek(0)
    digest, size = hashlib.sha256(), 0
    while piece := source.read(1 << 20):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size
