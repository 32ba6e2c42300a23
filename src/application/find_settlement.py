"""Somebody looks at settlements and at what is inside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.storage import UnitOfWorkFactory
from domain.channels import Mode
from domain.merchants import Caller
from domain.settlement_postings import CREATED, StatementLine
from domain.settlements import Settlement


@dataclass(frozen=True, slots=True)
class FindSettlement:
    """For a merchant, another's is NotFound, like none; operators ask without a ``caller``."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, settlement_id: str, caller: Caller | None = None) -> Settlement:
        async with self.unit_of_work() as uow:
            found = await uow.settlements.get(settlement_id)
        return caller.own(found) if caller is not None else found

    async def page(self, merchant_id: str, mode: Mode, *, before: str | None, limit: int) -> Sequence[Settlement]:
        """Newest first."""
        async with self.unit_of_work() as uow:
            return await uow.settlements.page(merchant_id, mode, before=before, limit=limit)

    async def inside(self, settlement: Settlement) -> Sequence[StatementLine]:
        """The transfers that were swept; they add up to ``swept``."""
        async with self.unit_of_work() as uow:
            lines = await uow.sweeps.inside(settlement.id)
        return [line for line in lines if line.fact != CREATED]
