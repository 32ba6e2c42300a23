"""Products, what merchants are bound to, and what differs for one of them, as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlalchemy import Text, bindparam, or_, select, text

from adapters.outbound.sql import tables
from adapters.outbound.sql.merchants import merchant_of
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Records, Transaction, stale
from domain.channels import Method
from domain.errors import NotFound
from domain.limits import Limit
from domain.products import (
    Binding,
    Pricing,
    Product,
    ProductVersion,
    RateOverride,
    Standing,
    plan_of,
    plan_snapshot,
    plans_of,
    plans_snapshot,
)

_p, _v, _b, _o = tables.product, tables.product_version, tables.product_binding, tables.rate_override
_GET = prepare(select(_p).where(_p.c.id == bindparam("id")))
_LOCK = prepare(select(_p).where(_p.c.id == bindparam("id")).with_for_update(key_share=True))
_ADD = inserting("add_product", _p, ["id", "name", "listed", "created_at"])
_SAVE = updating("save_product", _p, ["name", "listed"])
_before = bindparam("before", type_=Text)
_PAGE = prepare(
    select(_p).where(or_(_before.is_(None), _p.c.id < _before)).order_by(_p.c.id.desc()).limit(bindparam("limit"))
)
_ADD_VERSION = inserting("add_version", _v, ["product_id", "n", "plans", "valid_from", "created_at"])
_VERSIONS = prepare(select(_v).where(_v.c.product_id == bindparam("product_id")).order_by(_v.c.n))
_BIND = inserting("bind", _b, ["id", "merchant_id", "product_id", "valid_from", "created_at"])
_OVERRIDE = inserting("override", _o, ["id", "merchant_id", "method", "plan", "valid_from", "created_at"])
_BINDINGS = prepare(select(_b).where(_b.c.merchant_id == bindparam("merchant_id")).order_by(_b.c.id))
_THEIR_VERSIONS = prepare(
    select(_v)
    .where(_v.c.product_id.in_(select(_b.c.product_id).where(_b.c.merchant_id == bindparam("merchant_id"))))
    .order_by(_v.c.product_id, _v.c.n)
)
_OVERRIDES = prepare(select(_o).where(_o.c.merchant_id == bindparam("merchant_id")).order_by(_o.c.id))
# Pricing.plans in SQL: of each kind the row that began last, and of those that began together the one written last.
_STANDING = prepare(
    text(
        """
        SELECT merchant.*, version.plans,
            (SELECT json_object_agg(standing.method, standing.plan) FROM (
                SELECT DISTINCT ON (method) method, plan FROM rate_override
                WHERE merchant_id = merchant.id AND valid_from <= :at
                ORDER BY method, valid_from DESC, id DESC
            ) standing) AS overrides,
            (SELECT json_object_agg(method, json_build_array(single, daily)) FROM method_limit
                WHERE merchant_id = merchant.id AND num_nulls(single, daily) < 2) AS limits
        FROM merchant
        LEFT JOIN LATERAL (
            SELECT product_id FROM product_binding WHERE merchant_id = merchant.id AND valid_from <= :at
            ORDER BY valid_from DESC, id DESC LIMIT 1
        ) binding ON true
        LEFT JOIN LATERAL (
            SELECT plans FROM product_version WHERE product_id = binding.product_id AND valid_from <= :at
            ORDER BY valid_from DESC, n DESC LIMIT 1
        ) version ON true
        WHERE merchant.id = :id
        """
    ).bindparams(bindparam("at", required=True), bindparam("id", required=True))
)


@dataclass(frozen=True, slots=True)
class SqlProducts:
    tx: Transaction

    async def get(self, product_id: str) -> Product:
        return _one(await self.tx.read(_GET, id=product_id), product_id)

    async def lock(self, product_id: str) -> Product:
        return _one(await self.tx.run(_LOCK, id=product_id), product_id)

    async def add(self, product: Product) -> None:
        row = {"id": product.id, "name": product.name, "listed": product.listed, "created_at": product.created_at}
        await self.tx.write(_ADD, [row])

    async def save(self, product: Product) -> None:
        await self.tx.write(_SAVE, [{"id": product.id, "name": product.name, "listed": product.listed}], short=stale)

    async def page(self, *, before: str | None, limit: int) -> Sequence[Product]:
        return [_product_of(found) for found in await self.tx.read(_PAGE, before=before, limit=limit)]

    async def add_version(self, version: ProductVersion) -> None:
        row = {
            "product_id": version.product_id,
            "n": version.n,
            "plans": plans_snapshot(version.plans),
            "valid_from": version.valid_from,
            "created_at": version.created_at,
        }
        await self.tx.write(_ADD_VERSION, [row], key="product_id")

    async def versions(self, product_id: str) -> Sequence[ProductVersion]:
        return [_version_of(found) for found in await self.tx.read(_VERSIONS, product_id=product_id)]


@dataclass(frozen=True, slots=True)
class SqlPricings:
    tx: Transaction

    async def of_merchant(self, merchant_id: str) -> Pricing:
        return Pricing(
            bindings=[_binding_of(found) for found in await self.tx.read(_BINDINGS, merchant_id=merchant_id)],
            versions=[_version_of(found) for found in await self.tx.read(_THEIR_VERSIONS, merchant_id=merchant_id)],
            overrides=[_override_of(found) for found in await self.tx.read(_OVERRIDES, merchant_id=merchant_id)],
        )

    async def bind(self, binding: Binding) -> None:
        row = {
            "id": binding.id,
            "merchant_id": binding.merchant_id,
            "product_id": binding.product_id,
            "valid_from": binding.valid_from,
            "created_at": binding.created_at,
        }
        await self.tx.write(_BIND, [row])

    async def override(self, override: RateOverride) -> None:
        row = {
            "id": override.id,
            "merchant_id": override.merchant_id,
            "method": override.method,
            "plan": None if override.plan is None else plan_snapshot(override.plan),
            "valid_from": override.valid_from,
            "created_at": override.created_at,
        }
        await self.tx.write(_OVERRIDE, [row])

    async def standing(self, merchant_id: str, at: datetime) -> Standing:
        for found in await self.tx.read(_STANDING, id=merchant_id, at=at):
            own = found["overrides"] or {}
            return Standing(
                merchant=merchant_of(found),
                plans=plans_of({method: own.get(method) or plan for method, plan in (found["plans"] or {}).items()}),
                limits={
                    Method(method): Limit(Method(method), *most) for method, most in (found["limits"] or {}).items()
                },
            )
        raise NotFound(f"no merchant {merchant_id}")


def _product_of(found: asyncpg.Record) -> Product:
    return Product(id=found["id"], name=found["name"], listed=found["listed"], created_at=found["created_at"])


def _version_of(found: asyncpg.Record) -> ProductVersion:
    return ProductVersion(
        product_id=found["product_id"],
        n=found["n"],
        plans=plans_of(found["plans"]),
        valid_from=found["valid_from"],
        created_at=found["created_at"],
    )


def _binding_of(found: asyncpg.Record) -> Binding:
    return Binding(**{name: found[name] for name in ("id", "merchant_id", "product_id", "valid_from", "created_at")})


def _override_of(found: asyncpg.Record) -> RateOverride:
    return RateOverride(
        id=found["id"],
        merchant_id=found["merchant_id"],
        method=Method(found["method"]),
        plan=None if found["plan"] is None else plan_of(found["plan"]),
        valid_from=found["valid_from"],
        created_at=found["created_at"],
    )


def _one(found: Records, product_id: str) -> Product:
    if not found:
        raise NotFound(f"no product {product_id}")
    return _product_of(found[0])
