"""Somebody looks at a discrepancy, both sides beside each other, and takes it on."""

from dataclasses import dataclass

from application.ports.bills import Sides
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.actors import Actor
from domain.errors import NotFound
from domain.permissions import Realm
from domain.reconciliation import Discrepancy


@dataclass(frozen=True, slots=True)
class ViewDiscrepancy:
    """The difference, and what the bills in force and our records say now. Raises NotFound."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, discrepancy_id: str) -> tuple[Discrepancy, Sides]:
        async with self.unit_of_work() as uow:
            one = await uow.bills.discrepancy(discrepancy_id)
            return one, await uow.bills.sides(one)


@dataclass(frozen=True, slots=True)
class OwnDiscrepancy:
    """An open one becomes somebody's, or nobody's again. Raises NotFound for a discrepancy or an operator that does not
    exist, Conflict("discrepancy_settled") for one that is open no longer."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def __call__(self, actor: Actor, discrepancy_id: str, owner: str | None) -> Discrepancy:
        async with self.unit_of_work() as uow:
            standing = await uow.bills.lock_discrepancy(discrepancy_id)
            if owner is not None and (await uow.users.get(owner)).realm is not Realm.PLATFORM:
                raise NotFound(f"no operator {owner}")
            owned = standing.owned(owner)
            if owned == standing:
                return standing
            await uow.bills.save_discrepancy(owned)
            await uow.audit.add(
                actor.did(
                    "discrepancy.owned",
                    standing.id,
                    id=self.ids.new("aud"),
                    at=self.clock.now(),
                    before={"owner": standing.owner},
                    after={"owner": owner},
                )
            )
        return owned
