"""How a merchant is settled, as operators set it; and what they hold back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from application.ports.channels import PayoutRails
from application.ports.settling import Workdays
from application.ports.storage import AlreadyExists, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.actors import Actor, changed
from domain.errors import Conflict, InvalidRequest
from domain.releases import Hold
from domain.settlement_rules import SettlementRule
from domain.settlements import Rail


@dataclass(frozen=True, slots=True)
class KeepSettlementRules:
    """``set`` takes the whole rule. Other risk days hold for everything that is not released yet."""

    unit_of_work: UnitOfWorkFactory
    rails: PayoutRails
    workdays: Workdays
    clock: Clock
    ids: Ids

    async def get(self, merchant_id: str) -> SettlementRule:
        async with self.unit_of_work() as uow:
            await uow.merchants.get(merchant_id)
            return await uow.settlement_rules.of(merchant_id)

    async def set(self, actor: Actor, wanted: SettlementRule) -> SettlementRule:
        """Raises NotFound for a merchant, or a channel account as the source, that does not exist, and InvalidRequest
        for an account that this rail could pay nobody from."""
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            await uow.merchants.get(wanted.merchant_id)
            if wanted.source.rail is not Rail.MANUAL:
                access = await uow.accounts.access(wanted.source.owner)
                if access.account.channel != wanted.source.rail.value:
                    raise InvalidRequest(
                        f"this account is none of {wanted.source.rail}",
                        code="settlement_rule_invalid",
                        pointer="/source",
                    )
                self.rails[access.account.channel].offered(access)
            before = await uow.settlement_rules.lock(wanted.merchant_id)
            after = replace(wanted, revision=before.revision + 1).scheduled(now, self.workdays.is_workday)
            await uow.settlement_rules.save(after)
            if after.risk_days != before.risk_days:
                await uow.releases.wake(after.merchant_id, now)
            was, is_ = changed(before.snapshot(), after.snapshot())
            await uow.audit.add(
                actor.did(
                    "settlement_rule.set",
                    after.merchant_id,
                    id=self.ids.new("aud"),
                    at=now,
                    merchant_id=after.merchant_id,
                    before=was,
                    after=is_,
                )
            )
        return after


@dataclass(frozen=True, slots=True)
class KeepHolds:
    """Payments of a merchant, or of one order, stay pending while a hold stands over it; a merchant's stops its
    settlements too. What is settled already goes its way."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def place(self, actor: Actor, merchant_id: str, order_id: str | None, reason: str) -> Hold:
        """Raises NotFound, or Conflict("held_already")."""
        now = self.clock.now()
        hold = Hold(
            id=self.ids.new("hld"),
            merchant_id=merchant_id,
            subject=order_id or merchant_id,
            reason=reason,
            placed_by=actor.id,
            placed_at=now,
        )
        try:
            async with self.unit_of_work() as uow:
                await uow.merchants.get(merchant_id)
                if order_id is not None and (await uow.orders.get(order_id)).merchant_id != merchant_id:
                    raise Conflict("this order is another merchant's", code="order_amiss")
                await uow.holds.add(hold)
                await uow.audit.add(
                    actor.did(
                        "hold.placed",
                        hold.subject,
                        id=self.ids.new("aud"),
                        at=now,
                        merchant_id=merchant_id,
                        after={"hold_id": hold.id, "reason": reason},
                    )
                )
        except AlreadyExists as taken:
            raise Conflict("a hold stands over it already", code="held_already") from taken
        return hold

    async def lift(self, actor: Actor, hold_id: str, reason: str) -> Hold:
        """What waited is looked at now. Raises NotFound, or Conflict("hold_lifted")."""
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            lifted = (await uow.holds.lock(hold_id)).lifted(actor.id, now)
            await uow.holds.save(lifted)
            await uow.releases.wake(lifted.subject, now)
            await uow.audit.add(
                actor.did(
                    "hold.lifted",
                    lifted.subject,
                    id=self.ids.new("aud"),
                    at=now,
                    merchant_id=lifted.merchant_id,
                    before={"reason": lifted.reason},
                    after={"hold_id": lifted.id, "reason": reason},
                )
            )
        return lifted

    async def of_merchant(self, merchant_id: str) -> Sequence[Hold]:
        """All that ever stood, newest first."""
        async with self.unit_of_work() as uow:
            await uow.merchants.get(merchant_id)
            return await uow.holds.of_merchant(merchant_id)
