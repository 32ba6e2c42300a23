"""Products: sets of methods with a price each, in versions; who is bound to which, and what differs for one merchant.

Nothing here is ever changed: a new price is a new row with the instant from which it is valid, so what was in force at
any instant can be computed at any time. An attempt freezes its price when it starts (domain/attempts).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, Self, TypeVar

from domain.channels import Method
from domain.errors import Conflict, InvalidRequest
from domain.limits import Limit
from domain.merchants import Merchant
from domain.money import FeePlan, Rate
from domain.times import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a merchant can be bound to. Off the shelf (not ``listed``) it takes no more merchants; those who have it
    keep it, since taking it from them would stop their payments."""

    id: str
    name: str
    created_at: datetime
    listed: bool = False

    def snapshot(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "product",
            "name": self.name,
            "listed": self.listed,
            "created_at": rfc3339(self.created_at),
        }

    def on_shelf(self, versions: Sequence["ProductVersion"]) -> Self:
        if not versions:
            raise Conflict("a product without a method cannot be put on the shelf", code="product_empty")
        return replace(self, listed=True)

    def off_shelf(self) -> Self:
        return replace(self, listed=False)

    def must_be_listed(self) -> None:
        if not self.listed:
            raise Conflict("this product is off the shelf", code="product_unlisted")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductVersion:
    """The methods and prices of a product from ``valid_from`` on, until a later version. ``n`` counts from 1."""

    product_id: str
    n: int
    plans: Mapping[Method, FeePlan]
    valid_from: datetime
    created_at: datetime

    def snapshot(self) -> dict[str, Any]:
        return {"n": self.n, "plans": plans_snapshot(self.plans), "valid_from": rfc3339(self.valid_from)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """From ``valid_from`` on, this merchant has this product."""

    id: str
    merchant_id: str
    product_id: str
    valid_from: datetime
    created_at: datetime

    def snapshot(self) -> dict[str, Any]:
        return {"product_id": self.product_id, "valid_from": rfc3339(self.valid_from)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOverride:
    """From ``valid_from`` on, this merchant pays ``plan`` for this method; None: what its product says, again.

    It changes a price and never adds a method: what is not in the product is not offered.
    """

    id: str
    merchant_id: str
    method: Method
    plan: FeePlan | None
    valid_from: datetime
    created_at: datetime

    def snapshot(self) -> dict[str, Any]:
        plan = None if self.plan is None else plan_snapshot(self.plan)
        return {"method": str(self.method), "plan": plan, "valid_from": rfc3339(self.valid_from)}


def plan_snapshot(plan: FeePlan) -> dict[str, Any]:
    return {"ppm": plan.rate.ppm, "minimum": plan.minimum, "maximum": plan.maximum, "kept": plan.kept}


def plan_of(snapshot: Mapping[str, Any]) -> FeePlan:
    # Prices of before there was a choice return the fee.
    return FeePlan(Rate(snapshot["ppm"]), snapshot["minimum"], snapshot["maximum"], snapshot.get("kept", False))


def plans_snapshot(plans: Mapping[Method, FeePlan]) -> dict[str, Any]:
    return {str(method): plan_snapshot(plan) for method, plan in sorted(plans.items())}


def plans_of(snapshot: Mapping[str, Any]) -> Mapping[Method, FeePlan]:
    return {Method(method): plan_of(plan) for method, plan in snapshot.items()}


class Dated(Protocol):
    """Anything that is valid from an instant on, until another of its kind is."""

    @property
    def valid_from(self) -> datetime: ...


DatedT = TypeVar("DatedT", bound=Dated)


def in_force(rows: Iterable[DatedT], at: datetime) -> DatedT | None:
    """The one that began last, at or before ``at``; of several that begin together, the one written last.

    ``rows`` are in the order in which they were written.
    """
    found: DatedT | None = None
    for row in rows:
        if row.valid_from <= at and (found is None or row.valid_from >= found.valid_from):
            found = row
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """All that was ever agreed with one merchant: its bindings, the versions of those products, its overrides."""

    bindings: Sequence[Binding] = ()
    versions: Sequence[ProductVersion] = ()
    overrides: Sequence[RateOverride] = ()

    def plans(self, at: datetime) -> Mapping[Method, FeePlan]:
        """What each offered method costs the merchant at this instant. Without a product, nothing is offered."""
        binding = in_force(self.bindings, at)
        if binding is None:
            return {}
        version = in_force((each for each in self.versions if each.product_id == binding.product_id), at)
        if version is None:
            return {}
        return {method: self._plan(method, plan, at) for method, plan in version.plans.items()}

    def _plan(self, method: Method, standard: FeePlan, at: datetime) -> FeePlan:
        override = in_force((each for each in self.overrides if each.method is method), at)
        return standard if override is None or override.plan is None else override.plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for a merchant at one instant: who it is, the price of each method it has, and its limits."""

    merchant: Merchant
    plans: Mapping[Method, FeePlan] = field(default_factory=dict)
    limits: Mapping[Method, Limit] = field(default_factory=dict)

    def plan(self, method: Method) -> FeePlan:
        """Raises Conflict for a method that is not in the merchant's product."""
        if method not in self.plans:
            raise Conflict(f"{method} is not available for this merchant", code="method_unavailable", pointer="/method")
        return self.plans[method]

    def limit(self, method: Method) -> Limit:
        return self.limits.get(method) or Limit(method)


def valid_from(wanted: datetime | None, now: datetime) -> datetime:
    """When a new price begins: at once, or later. Raises InvalidRequest for the past, which is settled."""
    if wanted is not None and wanted < now:
        raise InvalidRequest("it cannot begin in the past", code="valid_from_past", pointer="/valid_from")
    return wanted or now
