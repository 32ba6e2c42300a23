"""Yesterday's bills are fetched from the channels, again and again until they are there."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from application.import_statement import ImportStatement
from application.ports.channels import Statements
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from application.reconcile import Reconcile
from application.together import together
from domain.channels import Access, Channel
from domain.errors import BillInvalid, ChannelError, ChannelRejected
from domain.statements import StatementDay, StatementKind

AGAIN = timedelta(minutes=20)
# How long a channel is asked for a bill that it does not have; then a person looks.
GIVE_UP = 72 * 7

# What a rightly signed no may say that is no fault: this account has no such bill (a sub-merchant's fund bill).
NOT_PERMITTED = "bill_not_permitted"


@dataclass(frozen=True, slots=True)
class FetchStatement:
    """All bills of one day that are not there yet, then the matching. What is late is asked for again.

    The day is matched as soon as its trade bill is there; the fund bill is compared when it comes. With ``again`` those
    that are there are asked for, too: one that was published anew takes its place, and reopens a closed day.
    """

    unit_of_work: UnitOfWorkFactory
    statements: Mapping[Channel, Statements]
    import_: ImportStatement
    reconcile: Reconcile
    clock: Clock

    async def __call__(self, account_id: str, day: date, *, again: bool = False) -> StatementDay:
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(account_id)
            standing = await uow.bills.day(account_id, day)
        late = []
        for kind, fund in self._bills(access):
            if not again and (kind if kind is StatementKind.TRADE else f"{kind}:{fund}") in standing.files:
                continue
            try:
                await self._fetch(access, day, kind, fund)
            except BillInvalid as refusal:
                return await self._failed(account_id, day, str(refusal))
            except ChannelRejected as refusal:
                if refusal.code != NOT_PERMITTED:
                    return await self._failed(account_id, day, str(refusal))
            except ChannelError as reason:
                late.append(str(reason))
        return await self._conclude(account_id, day, late)

    def _bills(self, access: Access) -> Iterator[tuple[StatementKind, str]]:
        yield StatementKind.TRADE, ""
        for fund in self.statements[access.account.channel].funds:
            yield StatementKind.FUND, fund

    async def _fetch(self, access: Access, day: date, kind: StatementKind, fund: str) -> None:
        with tempfile.TemporaryFile() as file:
            if await self.statements[access.account.channel].fetch(access, kind, day, file, fund=fund):
                await self.import_(access, day, kind, file, fund=fund)
            elif kind is StatementKind.TRADE:
                async with self.unit_of_work() as uow:
                    standing = await uow.bills.lock_day(access.account.id, day)
                    await uow.bills.save_day(standing.empty())

    async def _failed(self, account_id: str, day: date, why: str) -> StatementDay:
        async with self.unit_of_work() as uow:
            standing = await uow.bills.lock_day(account_id, day)
            failed = standing.failed(why[:500], next_at=self.clock.now() + AGAIN)
            await uow.bills.save_day(failed)
        return await self.reconcile(account_id, day) if failed.read else failed

    async def _conclude(self, account_id: str, day: date, late: list[str]) -> StatementDay:
        async with self.unit_of_work() as uow:
            standing = await uow.bills.lock_day(account_id, day)
            if late and standing.tries < GIVE_UP:
                standing = standing.delayed("; ".join(late)[:500], next_at=self.clock.now() + AGAIN)
            else:
                standing = standing.complete()
            await uow.bills.save_day(standing)
        return await self.reconcile(account_id, day) if standing.read else standing


@dataclass(frozen=True, slots=True)
class FetchDueStatements:
    """One sweep over the days whose bills are due."""

    unit_of_work: UnitOfWorkFactory
    fetch: FetchStatement
    clock: Clock
    batch: int = 4

    async def __call__(self) -> int:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            due = await uow.bills.claim_due(now, retry_at=now + AGAIN, limit=self.batch)
        await together(self._one, due)
        return len(due)

    async def _one(self, day: StatementDay) -> None:
        await self.fetch(day.account_id, day.day)
