"""Merchants' statements become final once no bill of a channel can change what they tell."""

import tempfile
from dataclasses import dataclass, replace
from datetime import timedelta

from application.open_statement_days import published
from application.ports.storage import AlreadyExists, UnitOfWorkFactory
from application.ports.world import Clock
from application.write_merchant_statement import write_merchant_statement
from domain.merchant_statements import MerchantStatement
from domain.times import shanghai_day

AGAIN = timedelta(minutes=30)
ONE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FreezeMerchantStatements:
    """One sweep. Each day on which something was posted to a merchant's accounts is opened, the day after; it is frozen
    as soon as the statement days of all channel accounts that tell of its entries are closed. What is found later is
    posted later, and so stands on a later statement: a frozen one is never changed."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    batch: int = 50

    async def __call__(self) -> int:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            for new in await uow.merchant_statements.unopened(shanghai_day(now) - ONE):
                await uow.merchant_statements.open(new, next_at=published(new.day))
        async with self.unit_of_work() as uow:
            due = await uow.merchant_statements.claim_due(now, retry_at=now + AGAIN, limit=self.batch)
        for statement in due:
            await self._freeze(statement)
        return len(due)

    async def _freeze(self, statement: MerchantStatement) -> None:
        with tempfile.TemporaryFile() as file:
            try:
                async with self.unit_of_work() as uow:
                    if await uow.merchant_statements.waits_for(statement):
                        return
                    written = await write_merchant_statement(uow.merchant_statements, statement, file, final=True)
                    frozen = replace(written, frozen_at=self.clock.now())
                    await uow.merchant_statements.freeze(frozen, file)
            except AlreadyExists:
                return  # somebody else did, whose claim had run out
