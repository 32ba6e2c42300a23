"""Close the ledger's days: each once, in their order, with a root outside the database; and prove them again."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from application.chain_audit import exported_roots
from application.ports.people import AuditRoots
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from domain.audit_chain import Root
from domain.closing import GENESIS, Closing, Position, digest_of
from domain.errors import Conflict, NotFound
from domain.times import shanghai_day

DAY = timedelta(days=1)
READ_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class CloseDay:
    """Every day that is over and not closed, up to ``day`` where one is named. Closing again changes nothing.

    A day without transfers is closed too. Raises Conflict for a day that is not over. Whoever dies between two steps
    has closed whole days only, and the next run exports what was not.
    """

    unit_of_work: UnitOfWorkFactory
    roots: AuditRoots
    clock: Clock

    async def __call__(self, day: date | None = None) -> Sequence[Closing]:
        """The days that this call closed."""
        yesterday = shanghai_day(self.clock.now()) - DAY
        if day is not None and day > yesterday:
            raise Conflict(f"{day} is not over", code="day_not_over")
        closed = []
        while (closing := await self._next(day or yesterday)) is not None:
            closed.append(closing)
        await self._export()
        return closed

    async def sweep(self) -> int:
        """The job's way to say it."""
        return len(await self())

    async def _next(self, until: date) -> Closing | None:
        async with self.unit_of_work() as uow:
            last = await uow.closings.lock()
            first = last.day + DAY if last else await uow.closings.first_day()
            if first is None or first > until:
                return None
            before, cut = last.cut if last else 0, await uow.closings.horizon()
            content = await uow.closings.content(first, before=before, cut=cut)
            closing = Closing(
                day=first,
                cut=cut,
                transfers=content.transfers,
                digest=digest_of(last.digest if last else GENESIS, first, cut, content),
                closed_at=self.clock.now(),
            )
            await uow.closings.add(closing, before=before)
        return closing

    async def _export(self) -> None:
        exported = await self.roots.read()
        position = exported[-1].position if exported else 0
        async for _, closing in _walk(self.unit_of_work):
            if closing.position > position:
                await self.roots.append(Root(at=closing.closed_at, position=closing.position, digest=closing.digest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What was looked at, and what is wrong: no ``findings`` mean that no transfer of these days was edited, removed
    or inserted since their roots were exported."""

    days: int
    transfers: int
    roots: int
    last: Closing | None
    findings: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class ProveDays:
    """Make every closed day's digest and figures anew from the ledger's rows, and compare them with what was kept and
    with what was exported. ``only`` looks at one day; raises NotFound when it is not closed."""

    unit_of_work: UnitOfWorkFactory
    roots: AuditRoots

    async def __call__(self, only: date | None = None) -> Proved:
        findings, days, transfers, last = list[str](), 0, 0, None
        exported = await exported_roots(self.roots, findings)
        roots = len(exported)
        async for previous, closing in _walk(self.unit_of_work):
            last = closing
            if only is not None and closing.day != only:
                continue
            days, transfers = days + 1, transfers + closing.transfers
            findings += await self._look(previous, closing)
            root = exported.pop(closing.position, None)
            if root is not None and root.digest != closing.digest:
                findings.append(f"{closing.day}: not what was exported on {root.at:%Y-%m-%d %H:%M} UTC: closed anew")
        if only is not None and not days:
            raise NotFound(f"{only} is not closed")
        if only is None:
            findings += [f"{position}: exported as closed, and no longer there" for position in exported]
        return Proved(days=days, transfers=transfers, roots=roots, last=last, findings=findings)

    async def _look(self, previous: Closing | None, closing: Closing) -> Sequence[str]:
        before = previous.cut if previous else 0
        async with self.unit_of_work() as uow:
            content = await uow.closings.content(closing.day, before=before, cut=closing.cut)
            amiss = await uow.closings.amiss(closing, before=before)
        findings = [f"{closing.day}: {words}" for words in amiss]
        if previous is not None and closing.day != previous.day + DAY:
            findings.append(f"{closing.day}: the day before is missing")
        if content.transfers != closing.transfers:
            findings.append(f"{closing.day}: {closing.transfers} transfers were closed, {content.transfers} are there")
        if digest_of(previous.digest if previous else GENESIS, closing.day, closing.cut, content) != closing.digest:
            findings.append(f"{closing.day}: its transfers are not those that were closed: edited, removed or inserted")
        return findings


@dataclass(frozen=True, slots=True)
class ViewClosing:
    """A closed day and its trial balance. Raises NotFound when it is not closed."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, day: date) -> tuple[Closing, Sequence[Position]]:
        async with self.unit_of_work() as uow:
            closing = await uow.closings.of(day)
            if closing is None:
                raise NotFound(f"{day} is not closed")
            return closing, await uow.closings.trial(day)


async def _walk(unit_of_work: UnitOfWorkFactory) -> AsyncIterator[tuple[Closing | None, Closing]]:
    """Each closed day with the one before, oldest first."""
    previous: Closing | None = None
    while True:
        async with unit_of_work() as uow:
            found = await uow.closings.after(previous.day if previous else None, limit=READ_AT_ONCE)
        for closing in found:
            yield previous, closing
            previous = closing
        if len(found) < READ_AT_ONCE:
            return
