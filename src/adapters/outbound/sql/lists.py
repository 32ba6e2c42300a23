"""The consoles' lists on PostgreSQL: for each list and set of filters a statement, made once, with its own plan."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import asyncpg
from sqlalchemy import ColumnElement, Select, Table, bindparam, false, func, literal_column, select, true, tuple_

from adapters.outbound.sql import tables
from adapters.outbound.sql.cursors import cursor as write_cursor
from adapters.outbound.sql.cursors import read_cursor
from adapters.outbound.sql.statements import Statement, prepare
from adapters.outbound.sql.transaction import reading
from adapters.outbound.sql.unit_of_work import SqlDatabase
from application.listings import LISTINGS
from application.ports.lists import COUNTED, Asked, Kind, Listing, Row, Totals
from application.ports.queries import Page
from domain.times import rfc3339

PIECE = 1_000  # rows of an export read at a time
_FROM: Mapping[str, Table] = {
    "orders": tables.payment_order,
    "attempts": tables.attempt,
    "refunds": tables.refund,
    "channel_payments": tables.channel_payment,
    "suspense_items": tables.suspense_item,
    "notices": tables.notice,
    "deliveries": tables.delivery,
    "webhook_endpoints": tables.webhook_endpoint,
    "transfers": tables.transfer,
    "account_entries": tables.account_entry,
    "settlements": tables.settlement,
    "ledger_accounts": tables.ledger_account,
    "channel_accounts": tables.channel_account,
    "merchants": tables.merchant,
    "audit_records": tables.audit_record,
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a statement is made of. Values of columns with few choices stand in it as they are: a rare status and a
    common one want different plans, and partial indexes want to see the value. All others are parameters."""

    name: str
    fixed: tuple[tuple[str, str], ...]
    free: tuple[str, ...]
    since: bool
    until: bool
    after: bool
    oldest_first: bool

    @classmethod
    def of(cls, listing: Listing, asked: Asked, *, after: bool) -> "_Shape":
        fixed = tuple(sorted((name, value) for name, value in asked.filters.items() if listing.filters[name]))
        free = tuple(sorted(name for name in asked.filters if not listing.filters[name]))
        return cls(
            listing.name, fixed, free, asked.since is not None, asked.until is not None, after, asked.oldest_first
        )


def _wanted(shape: _Shape) -> list[ColumnElement[bool]]:
    listing, table = LISTINGS[shape.name], _FROM[shape.name]
    wanted: list[ColumnElement[bool]] = []
    for name, value in shape.fixed:
        if listing.columns[name].kind is Kind.FLAG:
            wanted.append(table.c[name] == (true() if value == "true" else false()))
        else:
            wanted.append(table.c[name] == literal_column(f"'{value}'"))  # one of the listing's choices
    wanted += [table.c[name] == bindparam(f"is_{name}") for name in shape.free]
    # The bound where the list begins is within the cursor's: said twice, an index would be read from the first of them.
    if listing.ranged and shape.since and not (shape.after and shape.oldest_first):
        wanted.append(table.c[listing.ranged] >= bindparam("since"))
    if listing.ranged and shape.until and not (shape.after and not shape.oldest_first):
        wanted.append(table.c[listing.ranged] < bindparam("until"))
    return wanted


def _page(shape: _Shape) -> Select[Any]:
    listing, table = LISTINGS[shape.name], _FROM[shape.name]
    order = [table.c[name] for name in listing.order]
    query = select(*(table.c[name] for name in listing.columns)).where(*_wanted(shape))
    if shape.after:
        place = tuple_(*(bindparam(f"after_{name}", type_=table.c[name].type) for name in listing.order))
        query = query.where(tuple_(*order) > place if shape.oldest_first else tuple_(*order) < place)
    return query.order_by(*(column.asc() if shape.oldest_first else column.desc() for column in order)).limit(
        bindparam("limit")
    )


@lru_cache(maxsize=2_048)
def page_statement(shape: _Shape) -> Statement:
    return prepare(_page(shape))


@lru_cache(maxsize=2_048)
def _totals_statement(shape: _Shape) -> Statement:
    listing, table = LISTINGS[shape.name], _FROM[shape.name]
    columns = [table.c[listing.amount], table.c.currency] if listing.amount else [table.c[listing.order[-1]]]
    found = select(*columns).where(*_wanted(shape)).limit(COUNTED + 1).subquery("found")
    if not listing.amount:
        return prepare(select(func.count().label("count")).select_from(found))
    total = func.sum(found.c[listing.amount]).label("sum")
    return prepare(select(found.c.currency, func.count().label("count"), total).group_by(found.c.currency))


def _values(asked: Asked) -> dict[str, Any]:
    filters = {f"is_{name}": value for name, value in asked.filters.items()}
    return {**filters, "since": asked.since, "until": asked.until}


@dataclass(frozen=True, slots=True)
class SqlLists:
    database: SqlDatabase

    async def page(self, listing: Listing, asked: Asked, *, cursor: str | None, limit: int) -> Page:
        kind = f"{listing.name}{'+' if asked.oldest_first else '-'}"
        place = read_cursor(kind, cursor, _reader(listing)) if cursor is not None else None
        rows = await self._read(listing, asked, place, limit + 1)
        last = write_cursor(kind, *_place(listing, rows[limit - 1])) if len(rows) > limit else None
        return Page([_row(listing, row) for row in rows[:limit]], last)

    async def totals(self, listing: Listing, asked: Asked) -> Totals:
        async with reading(self.database.engine) as tx:
            found = await tx.read(_totals_statement(_Shape.of(listing, asked, after=False)), **_values(asked))
        count = sum(row["count"] for row in found)
        sums = {row["currency"]: int(row["sum"]) for row in found} if listing.amount else {}
        return Totals(min(count, COUNTED), count <= COUNTED, sums)

    async def export(self, listing: Listing, asked: Asked) -> AsyncIterator[Sequence[Row]]:
        place = None
        while True:
            rows = await self._read(listing, asked, place, PIECE)
            if rows:
                yield [_row(listing, row) for row in rows]
            if len(rows) < PIECE:
                return
            place = {f"after_{name}": rows[-1][name] for name in listing.order}

    async def _read(
        self, listing: Listing, asked: Asked, place: Mapping[str, Any] | None, limit: int
    ) -> Sequence[asyncpg.Record]:
        statement = page_statement(_Shape.of(listing, asked, after=place is not None))
        async with reading(self.database.engine) as tx:
            return await tx.read(statement, **_values(asked), **(place or {}), limit=limit)


def _row(listing: Listing, found: asyncpg.Record) -> dict[str, Any]:
    return {name: _plain(column.kind, found[name]) for name, column in listing.columns.items()}


def _plain(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind is Kind.TIME:
        return rfc3339(value)
    return str(value) if kind is Kind.TEXT else value


def _place(listing: Listing, row: asyncpg.Record) -> list[str]:
    return [
        row[name].isoformat() if listing.columns[name].kind is Kind.TIME else str(row[name]) for name in listing.order
    ]


def _reader(listing: Listing) -> Callable[..., dict[str, Any]]:
    def read(*parts: str) -> dict[str, Any]:
        if len(parts) != len(listing.order):
            raise ValueError("not a place in this list")
        return {
            f"after_{name}": _read_part(listing.columns[name].kind, part)
            for name, part in zip(listing.order, parts, strict=True)
        }

    return read


def _read_part(kind: Kind, part: str) -> Any:
    if kind is Kind.TIME:
        at = datetime.fromisoformat(part)
        if at.tzinfo is None or not 1900 <= at.year <= 2500:
            raise ValueError("not a time of ours")
        return at
    if kind is Kind.NUMBER:
        if not (part.isascii() and part.isdigit() and int(part) < 2**63):
            raise ValueError("not a number of ours")
        return int(part)
    if "\0" in part:
        raise ValueError("no text of ours")
    return part
