"""A merchant, or an operator for it, wants the statement of a day."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import IO

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from application.write_merchant_statement import write_merchant_statement
from domain.channels import Mode
from domain.errors import InvalidRequest
from domain.merchant_statements import MerchantStatement
from domain.times import shanghai_day

PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class ReadMerchantStatement:
    """The statement and its bytes, piece by piece. A frozen one comes as it was kept, any other is written now from one
    snapshot. Raises InvalidRequest("day_not_over") for today and later."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, merchant_id: str, mode: Mode, day: date) -> tuple[MerchantStatement, AsyncIterator[bytes]]:
        if day >= shanghai_day(self.clock.now()):
            raise InvalidRequest("this day has not ended yet", code="day_not_over", pointer="/date")
        async with self.unit_of_work() as uow:
            await uow.merchants.get(merchant_id)
            if frozen := await uow.merchant_statements.frozen(merchant_id, mode, day):
                return frozen, self._kept(frozen)
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever reads it to its end, or by being dropped
            statement = MerchantStatement(merchant_id=merchant_id, mode=mode, day=day)
            written = await write_merchant_statement(uow.merchant_statements, statement, file, final=False)
        return written, _read(file)

    async def listed(
        self, merchant_id: str, mode: Mode, *, before: date | None, limit: int
    ) -> Sequence[MerchantStatement]:
        """Days on which something moved, newest first."""
        async with self.unit_of_work() as uow:
            return await uow.merchant_statements.listed(merchant_id, mode, before=before, limit=limit)

    async def _kept(self, statement: MerchantStatement) -> AsyncIterator[bytes]:
        n = 0
        while True:  # a unit of work each, so that whoever reads slowly holds no connection
            async with self.unit_of_work() as uow:
                piece = await uow.merchant_statements.piece(statement, n)
            if piece is None:
                return
            yield piece
            n += 1


async def _read(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece
