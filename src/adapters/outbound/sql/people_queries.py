"""Read models of people and of what they did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import asyncpg
from sqlalchemy import BigInteger, Column, ColumnElement, Text, bindparam, select
from sqlalchemy.sql import Select

from adapters.outbound.sql import tables
from adapters.outbound.sql.cursors import cursor as cursor_at
from adapters.outbound.sql.cursors import id_place, read_cursor
from adapters.outbound.sql.statements import Statement, prepare
from adapters.outbound.sql.transaction import reading
from adapters.outbound.sql.unit_of_work import SqlDatabase
from application.ports.queries import Page
from domain.permissions import Realm

_p, _pr, _a = tables.person, tables.proposal, tables.audit_record
_USER_FIELDS = ("id", "realm", "merchant_id", "login", "name", "status", "created_at", "first_password_until")
_HIDDEN = ("xid", "n")


# What each list is ordered by, and what it shows.
_LISTS: Mapping[str, tuple[Column[Any], Sequence[ColumnElement[Any]]]] = {
    "user": (
        _p.c.id,
        [*(_p.c[name] for name in _USER_FIELDS), _p.c.roles, _p.c.totp_sealed.is_not(None).label("totp")],
    ),
    "proposal": (_pr.c.id, list(_pr.columns)),
    "audit": (_a.c.n, [column for column in _a.columns if column.name != "xid"]),
}


@lru_cache(maxsize=64)
def _listing(kind: str, filters: tuple[str, ...], *, after: bool) -> Statement:
    """A statement for just these filters: with "or it is null" for each, one plan would have to fit them all."""
    place, columns = _LISTS[kind]
    statement: Select[Any] = select(*columns)
    for name in filters:
        statement = statement.where(place.table.c[name] == bindparam(name, type_=Text))
    if after:
        statement = statement.where(place < bindparam("place", type_=BigInteger if kind == "audit" else Text))
    return prepare(statement.order_by(place.desc()).limit(bindparam("limit")))


@dataclass(frozen=True, slots=True)
class SqlPeopleQueries:
    database: SqlDatabase

    async def users(
        self, realm: Realm, merchant_id: str | None, *, status: str | None, cursor: str | None, limit: int
    ) -> Page:
        filters = {"realm": str(realm), "merchant_id": merchant_id, "status": status}
        place = read_cursor("u", cursor, id_place) if cursor is not None else None
        found, more = await self._page("user", filters, place, limit)
        return Page([_user(row) for row in found], cursor_at("u", found[-1]["id"]) if more else None)

    async def proposals(self, *, status: str | None, merchant_id: str | None, cursor: str | None, limit: int) -> Page:
        filters = {"status": status, "merchant_id": merchant_id}
        place = read_cursor("p", cursor, id_place) if cursor is not None else None
        found, more = await self._page("proposal", filters, place, limit)
        return Page([dict(row) for row in found], cursor_at("p", found[-1]["id"]) if more else None)

    async def audit(
        self, *, actor_id: str | None, object_id: str | None, merchant_id: str | None, cursor: str | None, limit: int
    ) -> Page:
        filters = {"actor_id": actor_id, "object_id": object_id, "merchant_id": merchant_id}
        place = read_cursor("a", cursor, _number) if cursor is not None else None
        found, more = await self._page("audit", filters, place, limit)
        rows = [{name: value for name, value in row.items() if name not in _HIDDEN} for row in found]
        return Page(rows, cursor_at("a", str(found[-1]["n"])) if more else None)

    async def _page(
        self, kind: str, filters: Mapping[str, str | None], place: object, limit: int
    ) -> tuple[Sequence[asyncpg.Record], bool]:
        given = {name: value for name, value in filters.items() if value is not None}
        statement = _listing(kind, tuple(given), after=place is not None)
        values = given | ({"place": place} if place is not None else {}) | {"limit": limit + 1}
        async with reading(self.database.engine) as tx:
            found = await tx.read(statement, **values)
        return found[:limit], len(found) > limit


def _user(row: asyncpg.Record) -> dict[str, Any]:
    return {name: row[name] for name in (*_USER_FIELDS, "totp")} | {"roles": sorted(row["roles"])}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError("not a place in a list of records")
    return int(text)
