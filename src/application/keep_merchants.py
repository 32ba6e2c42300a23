"""What operators do with merchants: create, edit, suspend, reactivate, limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from application.keep_endpoints import nameless_endpoint
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids, Vault
from domain.actors import Actor, changed
from domain.channels import Method, Mode
from domain.limits import Limit
from domain.merchants import Merchant
from domain.networks import network
from domain.products import Pricing, Standing
from domain.times import shanghai_day


@dataclass(frozen=True, slots=True)
class KeepMerchants:
    """All but ``create`` raise NotFound for a merchant that is not there; what changes is locked and audited."""

    unit_of_work: UnitOfWorkFactory
    vault: Vault
    clock: Clock
    ids: Ids

    async def get(self, merchant_id: str) -> Merchant:
        async with self.unit_of_work() as uow:
            return await uow.merchants.get(merchant_id)

    async def page(self, *, before: str | None, limit: int) -> Sequence[Merchant]:
        async with self.unit_of_work() as uow:
            return await uow.merchants.page(before=before, limit=limit)

    async def standing(self, merchant_id: str) -> tuple[Standing, Pricing]:
        """What holds for it now, and all that was ever agreed."""
        async with self.unit_of_work() as uow:
            standing = await uow.pricings.standing(merchant_id, self.clock.now())
            return standing, await uow.pricings.of_merchant(merchant_id)

    async def taken_today(self, merchant_id: str, mode: Mode) -> Mapping[Method, int]:
        """What counts so far towards today's limits (Asia/Shanghai), in minor units."""
        async with self.unit_of_work() as uow:
            return await uow.limits.taken(merchant_id, mode, shanghai_day(self.clock.now()))

    async def create(self, actor: Actor, name: str, **details: Any) -> Merchant:
        """An active merchant without keys, product and accounts. ``details`` are fields of Merchant.

        In each mode it has an endpoint without an address, so that orders may name their notify_url.
        """
        now = self.clock.now()
        merchant = Merchant(id=self.ids.new("mch"), name=name, created_at=now, **_clean(details))
        async with self.unit_of_work() as uow:
            await uow.merchants.add(merchant)
            for mode in Mode:
                await uow.endpoints.add(nameless_endpoint(self.vault, self.ids, merchant.id, mode, now))
            await self._audit(uow, actor, "merchant.created", None, merchant)
        return merchant

    async def edit(self, actor: Actor, merchant_id: str, **changes: Any) -> Merchant:
        """``changes`` are fields of Merchant: name, short_name, contacts, late_payment, fund_modes, networks."""
        async with self.unit_of_work() as uow:
            before = await uow.merchants.lock(merchant_id)
            after = replace(before, **_clean(changes))
            await uow.merchants.save(after)
            await self._audit(uow, actor, "merchant.edited", before, after)
        return after

    async def suspend(self, actor: Actor, merchant_id: str, reason: str) -> Merchant:
        """No new orders and no new attempts; what is on its way comes to its end. Raises Conflict when it is."""
        async with self.unit_of_work() as uow:
            before = await uow.merchants.lock(merchant_id)
            after = before.suspended()
            await uow.merchants.save(after)
            await self._audit(uow, actor, "merchant.suspended", before, after, reason=reason)
        return after

    async def reactivate(self, actor: Actor, merchant_id: str, reason: str) -> Merchant:
        async with self.unit_of_work() as uow:
            before = await uow.merchants.lock(merchant_id)
            after = before.reactivated()
            await uow.merchants.save(after)
            await self._audit(uow, actor, "merchant.reactivated", before, after, reason=reason)
        return after

    async def limit(self, actor: Actor, merchant_id: str, limit: Limit) -> Limit:
        """In place of the method's earlier limit. A daily limit counts what starts after it was first set."""
        async with self.unit_of_work() as uow:
            await uow.merchants.lock(merchant_id)
            standing = await uow.pricings.standing(merchant_id, self.clock.now())
            await uow.limits.set(merchant_id, limit)
            before, after = standing.limit(limit.method).snapshot(), limit.snapshot()
            await self._record(uow, actor, "merchant.limited", merchant_id=merchant_id, before=before, after=after)
        return limit

    async def limit_orders(self, actor: Actor, merchant_id: str, per_minute: int | None) -> Merchant:
        async with self.unit_of_work() as uow:
            before = await uow.merchants.lock(merchant_id)
            after = replace(before, orders_per_minute=per_minute)
            await uow.merchants.save(after)
            await self._audit(uow, actor, "merchant.limited", before, after)
        return after

    async def _audit(
        self,
        uow: UnitOfWork,
        actor: Actor,
        action: str,
        before: Merchant | None,
        after: Merchant,
        **more: Any,
    ) -> None:
        was, now = changed(before.snapshot() if before else {}, after.snapshot())
        await self._record(uow, actor, action, merchant_id=after.id, before=was, after={**now, **more})

    async def _record(
        self,
        uow: UnitOfWork,
        actor: Actor,
        action: str,
        *,
        merchant_id: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
    ) -> None:
        await uow.audit.add(
            actor.did(
                action,
                merchant_id,
                id=self.ids.new("aud"),
                at=self.clock.now(),
                merchant_id=merchant_id,
                before=before,
                after=after,
            )
        )


def _clean(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Networks in their one spelling, each once. Raises InvalidRequest."""
    clean = dict(fields)
    if "networks" in clean:
        clean["networks"] = tuple(dict.fromkeys(map(network, clean["networks"])))
    return clean
