"""Balances rolled up in the background, so that reading one costs the rows since, not all that ever were."""

from dataclasses import dataclass

from application.ports.storage import UnitOfWorkFactory

ROLLED_UP_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class RollUpBalances:
    """The next rows of the ledger into the snapshots. Returns how many; whoever dies in it has done nothing."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            return await uow.ledger.roll_up(limit=ROLLED_UP_AT_ONCE)
