"""What operators do with products and prices. What changes a price is proposed by one and approved by another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.propose import Propose
from domain.actors import Actor, changed
from domain.channels import Method
from domain.errors import InvalidRequest
from domain.money import FeePlan
from domain.products import (
    Binding,
    Product,
    ProductVersion,
    RateOverride,
    plan_of,
    plan_snapshot,
    plans_of,
    plans_snapshot,
    valid_from,
)
from domain.proposals import Proposal
from domain.times import rfc3339

ADD_VERSION, BIND, OVERRIDE = "product.add_version", "merchant.bind_product", "merchant.override_rate"
APPROVES = "rates.approve"


@dataclass(frozen=True, slots=True)
class KeepProducts:
    """``get``, ``rename`` and ``shelve`` raise NotFound."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def get(self, product_id: str) -> tuple[Product, Sequence[ProductVersion]]:
        async with self.unit_of_work() as uow:
            return await uow.products.get(product_id), await uow.products.versions(product_id)

    async def page(self, *, before: str | None, limit: int) -> Sequence[Product]:
        async with self.unit_of_work() as uow:
            return await uow.products.page(before=before, limit=limit)

    async def create(
        self, actor: Actor, name: str, plans: Mapping[Method, FeePlan]
    ) -> tuple[Product, Sequence[ProductVersion]]:
        """Off the shelf, with its first version, which nobody pays yet. Raises InvalidRequest without a method."""
        _some(plans)
        now = self.clock.now()
        product = Product(id=self.ids.new("prd"), name=name, created_at=now)
        version = ProductVersion(product_id=product.id, n=1, plans=plans, valid_from=now, created_at=now)
        async with self.unit_of_work() as uow:
            await uow.products.add(product)
            await uow.products.add_version(version)
            after = {"name": name, "plans": plans_snapshot(plans)}
            await uow.audit.add(actor.did("product.created", product.id, id=self.ids.new("aud"), at=now, after=after))
        return product, [version]

    async def rename(self, actor: Actor, product_id: str, name: str) -> Product:
        async with self.unit_of_work() as uow:
            before = await uow.products.lock(product_id)
            return await self._save(uow, actor, "product.renamed", before, replace(before, name=name))

    async def shelve(self, actor: Actor, product_id: str, *, listed: bool) -> Product:
        """Put it on the shelf, or take it off: merchants who have it keep it, and nobody else can be bound to it."""
        async with self.unit_of_work() as uow:
            before = await uow.products.lock(product_id)
            after = before.on_shelf(await uow.products.versions(product_id)) if listed else before.off_shelf()
            return await self._save(uow, actor, "product.listed" if listed else "product.unlisted", before, after)

    async def _save(self, uow: UnitOfWork, actor: Actor, action: str, before: Product, after: Product) -> Product:
        await uow.products.save(after)
        was, is_ = changed(before.snapshot(), after.snapshot())
        record = actor.did(action, after.id, id=self.ids.new("aud"), at=self.clock.now(), before=was, after=is_)
        await uow.audit.add(record)
        return after


@dataclass(frozen=True, slots=True)
class ProposePrices:
    """Ask for a new version of a product, a merchant's binding to a product, or a price of its own for one method.

    Each raises NotFound for what is not there and InvalidRequest for a beginning in the past.
    """

    unit_of_work: UnitOfWorkFactory
    propose: Propose
    clock: Clock

    async def version(
        self, actor: Actor, product_id: str, plans: Mapping[Method, FeePlan], start: datetime | None
    ) -> Proposal:
        _some(plans)
        async with self.unit_of_work() as uow:
            product = await uow.products.get(product_id)
            payload = {"product_id": product_id, "plans": plans_snapshot(plans), "valid_from": self._start(start)}
            return await self._ask(uow, actor, ADD_VERSION, payload, summary=f"New prices of {product.name}")

    async def binding(self, actor: Actor, merchant_id: str, product_id: str, start: datetime | None) -> Proposal:
        """Raises Conflict for a product that is off the shelf, now and when it is approved."""
        async with self.unit_of_work() as uow:
            merchant, product = await uow.merchants.get(merchant_id), await uow.products.get(product_id)
            product.must_be_listed()
            payload = {"product_id": product_id, "valid_from": self._start(start)}
            summary = f"{product.name} for {merchant.name}"
            return await self._ask(uow, actor, BIND, payload, summary=summary, merchant_id=merchant_id)

    async def override(
        self, actor: Actor, merchant_id: str, method: Method, plan: FeePlan | None, start: datetime | None
    ) -> Proposal:
        async with self.unit_of_work() as uow:
            merchant = await uow.merchants.get(merchant_id)
            payload = {
                "method": str(method),
                "plan": None if plan is None else plan_snapshot(plan),
                "valid_from": self._start(start),
            }
            price = "its product's price again" if plan is None else f"{plan.rate.ppm} ppm"
            summary = f"{method} of {merchant.name}: {price}"
            return await self._ask(uow, actor, OVERRIDE, payload, summary=summary, merchant_id=merchant_id)

    def _start(self, start: datetime | None) -> str | None:
        return None if start is None else rfc3339(valid_from(start, self.clock.now()))

    async def _ask(
        self,
        uow: UnitOfWork,
        actor: Actor,
        action: str,
        payload: Mapping[str, Any],
        *,
        summary: str,
        merchant_id: str | None = None,
    ) -> Proposal:
        return await self.propose.within(
            uow, actor, action, payload, summary=summary, permission=APPROVES, merchant_id=merchant_id
        )


@dataclass(frozen=True, slots=True)
class ChangePrices:
    """The executors. What was to begin before it was approved begins when it is: nothing changes what is past."""

    clock: Clock
    ids: Ids

    async def add_version(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        asked = proposal.payload
        await uow.products.lock(asked["product_id"])
        earlier = await uow.products.versions(asked["product_id"])
        version = ProductVersion(
            product_id=asked["product_id"],
            n=len(earlier) + 1,
            plans=plans_of(asked["plans"]),
            valid_from=self._start(asked),
            created_at=self.clock.now(),
        )
        await uow.products.add_version(version)
        result = version.snapshot()
        await self._record(uow, actor, "product.version_added", object_id=version.product_id, after=result)
        return result

    async def bind(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        assert proposal.merchant_id is not None
        asked = proposal.payload
        (await uow.products.lock(asked["product_id"])).must_be_listed()
        binding = Binding(
            id=self.ids.new("bnd"),
            merchant_id=proposal.merchant_id,
            product_id=asked["product_id"],
            valid_from=self._start(asked),
            created_at=self.clock.now(),
        )
        await uow.pricings.bind(binding)
        result, whose = binding.snapshot(), binding.merchant_id
        await self._record(uow, actor, "merchant.bound", object_id=whose, after=result, merchant_id=whose)
        return result

    async def override(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        assert proposal.merchant_id is not None
        asked = proposal.payload
        override = RateOverride(
            id=self.ids.new("rov"),
            merchant_id=proposal.merchant_id,
            method=Method(asked["method"]),
            plan=None if asked["plan"] is None else plan_of(asked["plan"]),
            valid_from=self._start(asked),
            created_at=self.clock.now(),
        )
        await uow.pricings.override(override)
        result, whose = override.snapshot(), override.merchant_id
        await self._record(uow, actor, "merchant.rate_overridden", object_id=whose, after=result, merchant_id=whose)
        return result

    def _start(self, asked: Mapping[str, Any]) -> datetime:
        now = self.clock.now()
        return now if asked["valid_from"] is None else max(now, datetime.fromisoformat(asked["valid_from"]))

    async def _record(
        self,
        uow: UnitOfWork,
        actor: Actor,
        action: str,
        *,
        object_id: str,
        after: Mapping[str, Any],
        merchant_id: str | None = None,
    ) -> None:
        record = actor.did(
            action, object_id, id=self.ids.new("aud"), at=self.clock.now(), merchant_id=merchant_id, after=after
        )
        await uow.audit.add(record)


def _some(plans: Mapping[Method, FeePlan]) -> None:
    if not plans:
        raise InvalidRequest("a product has at least one method", code="product_empty", pointer="/plans")
