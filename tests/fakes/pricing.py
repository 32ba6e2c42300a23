"""Fake repositories of products, what merchants are bound to, and their limits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from domain.attempts import Attempt
from domain.channels import Method, Mode
from domain.errors import NotFound
from domain.limits import Limit
from domain.products import Binding, Pricing, Product, ProductVersion, RateOverride, Standing
from tests.fakes.configuration import newest
from tests.fakes.rows import DayRow, LimitRow, Tables
from tests.fakes.storage import Transaction


class FakeProducts:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, product_id: str) -> Product:
        await self._transaction.statement("products.get")
        return _there(self._transaction.get(self._tables.products, product_id), product_id)

    async def lock(self, product_id: str) -> Product:
        await self._transaction.statement("products.lock")
        product = await self._transaction.lock(self._tables.products, product_id)
        return _there(product, product_id)

    async def add(self, product: Product) -> None:
        await self._transaction.statement("products.add")
        await self._transaction.insert(self._tables.products, product)

    async def save(self, product: Product) -> None:
        await self._transaction.statement("products.save")
        await self._transaction.update(self._tables.products, product)

    async def page(self, *, before: str | None, limit: int) -> Sequence[Product]:
        await self._transaction.statement("products.page")
        return newest(self._transaction.rows(self._tables.products), before, limit)

    async def add_version(self, version: ProductVersion) -> None:
        await self._transaction.statement("products.add_version")
        await self._transaction.insert(self._tables.versions, version)

    async def versions(self, product_id: str) -> Sequence[ProductVersion]:
        await self._transaction.statement("products.versions")
        rows = self._transaction.rows(self._tables.versions)
        return sorted((row for row in rows if row.product_id == product_id), key=lambda row: row.n)


class FakePricings:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def of_merchant(self, merchant_id: str) -> Pricing:
        await self._transaction.statement("pricings.of_merchant")
        return self._of(merchant_id)

    async def bind(self, binding: Binding) -> None:
        await self._transaction.statement("pricings.bind")
        await self._transaction.insert(self._tables.bindings, binding)

    async def override(self, override: RateOverride) -> None:
        await self._transaction.statement("pricings.override")
        await self._transaction.insert(self._tables.overrides, override)

    async def standing(self, merchant_id: str, at: datetime) -> Standing:
        await self._transaction.statement("pricings.standing")
        merchant = self._transaction.get(self._tables.merchants, merchant_id)
        if merchant is None:
            raise NotFound(f"no merchant {merchant_id}")
        limits = limits_of(self._tables, self._transaction, merchant_id)
        plans = self._of(merchant_id).plans(at)
        return Standing(merchant=merchant, plans=plans, limits={limit.method: limit for limit in limits})

    def _of(self, merchant_id: str) -> Pricing:
        rows, tables = self._transaction.rows, self._tables
        bindings = [row for row in rows(tables.bindings) if row.merchant_id == merchant_id]
        products = {binding.product_id for binding in bindings}
        versions = [row for row in rows(tables.versions) if row.product_id in products]
        overrides = [row for row in rows(tables.overrides) if row.merchant_id == merchant_id]
        return Pricing(
            bindings=sorted(bindings, key=lambda row: row.id),
            versions=sorted(versions, key=lambda row: (row.product_id, row.n)),
            overrides=sorted(overrides, key=lambda row: row.id),
        )


class FakeLimits:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def of_merchant(self, merchant_id: str) -> Sequence[Limit]:
        await self._transaction.statement("limits.of_merchant")
        return sorted(limits_of(self._tables, self._transaction, merchant_id), key=lambda limit: limit.method)

    async def set(self, merchant_id: str, limit: Limit) -> None:
        await self._transaction.statement("limits.set")
        row = LimitRow(merchant_id, limit)
        if not await self._transaction.insert(self._tables.limits, row, ignoring="pk_method_limit"):
            await self._transaction.update(self._tables.limits, row)

    async def reserve(self, attempt: Attempt, most: int) -> bool:
        await self._transaction.statement("limits.reserve")
        if attempt.amount.minor > most:
            return False
        key = _day(attempt)
        fresh = DayRow(key, attempt.amount.minor)
        if await self._transaction.insert(self._tables.daily_amounts, fresh, ignoring="pk_daily_amount"):
            return True
        row = await self._transaction.lock(self._tables.daily_amounts, key)
        assert row is not None
        if row.amount + attempt.amount.minor > most:
            return False
        await self._transaction.update(
            self._tables.daily_amounts, replace(row, amount=row.amount + attempt.amount.minor)
        )
        return True

    async def taken(self, merchant_id: str, mode: Mode, day: date) -> Mapping[Method, int]:
        await self._transaction.statement("limits.taken")
        rows = {row.key: row.amount for row in self._transaction.rows(self._tables.daily_amounts)}
        return {key[2]: amount for key, amount in rows.items() if (key[0], key[1], key[3]) == (merchant_id, mode, day)}


def limits_of(tables: Tables, transaction: Transaction, merchant_id: str) -> list[Limit]:
    """Those that limit something."""
    rows = [row.limit for row in transaction.rows(tables.limits) if row.merchant_id == merchant_id]
    return [limit for limit in rows if (limit.single, limit.daily) != (None, None)]


async def follow(tables: Tables, transaction: Transaction, before: Attempt, after: Attempt) -> None:
    """Keep the day's amount in step with an attempt that is being saved."""
    if before.counts == after.counts:
        return
    row = await transaction.lock(tables.daily_amounts, _day(after))
    if row is None:
        return
    change = after.amount.minor if after.counts else -after.amount.minor
    await transaction.update(tables.daily_amounts, replace(row, amount=row.amount + change))


def _day(attempt: Attempt) -> tuple[str, Mode, Method, date]:
    assert attempt.counted_on is not None
    return attempt.merchant_id, attempt.mode, attempt.method, attempt.counted_on


def _there(product: Product | None, product_id: str) -> Product:
    if product is None:
        raise NotFound(f"no product {product_id}")
    return product
