"""Read models of reconciliation: the calendar of days and the queue of differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import Date, Text, and_, bindparam, or_, select
from sqlalchemy.sql import Select

from adapters.outbound.sql import tables
from adapters.outbound.sql.cursors import cursor as cursor_at
from adapters.outbound.sql.cursors import id_place, read_cursor
from adapters.outbound.sql.statements import Statement, prepare
from adapters.outbound.sql.transaction import reading
from adapters.outbound.sql.unit_of_work import SqlDatabase
from application.ports.queries import Page

_d, _x = tables.statement_day, tables.discrepancy


@lru_cache(maxsize=32)
def _days(filters: tuple[str, ...], *, after: bool) -> Statement:
    statement: Select[Any] = select(_d)
    for name in filters:
        statement = statement.where(_d.c[name] == bindparam(name, type_=Text))
    if after:
        day, account = bindparam("place_day", type_=Date), bindparam("place_account", type_=Text)
        statement = statement.where(or_(_d.c.day < day, and_(_d.c.day == day, _d.c.account_id > account)))
    return prepare(statement.order_by(_d.c.day.desc(), _d.c.account_id).limit(bindparam("limit")))


@lru_cache(maxsize=32)
def _discrepancies(filters: tuple[str, ...], *, after: bool) -> Statement:
    statement: Select[Any] = select(_x)
    for name in filters:
        kind = Date() if name == "day" else Text()
        statement = statement.where(_x.c[name] == bindparam(name, type_=kind))
    if after:
        statement = statement.where(_x.c.id < bindparam("place", type_=Text))
    return prepare(statement.order_by(_x.c.id.desc()).limit(bindparam("limit")))


@dataclass(frozen=True, slots=True)
class SqlReconciliationQueries:
    database: SqlDatabase

    async def days(self, *, account_id: str | None, status: str | None, cursor: str | None, limit: int) -> Page:
        given = _given(account_id=account_id, status=status)
        place: dict[str, Any] = {}
        if cursor is not None:
            day, account = read_cursor("sd", cursor, _day_place)
            place = {"place_day": day, "place_account": account}
        async with reading(self.database.engine) as tx:
            found = await tx.read(_days(tuple(given), after=bool(place)), **given, **place, limit=limit + 1)
        rows = [dict(row) for row in found[:limit]]
        more = len(found) > limit
        return Page(rows, cursor_at("sd", str(rows[-1]["day"]), rows[-1]["account_id"]) if more else None)

    async def discrepancies(
        self,
        *,
        account_id: str | None,
        day: date | None,
        kind: str | None,
        status: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        given = _given(account_id=account_id, day=day, kind=kind, status=status)
        place = {"place": read_cursor("di", cursor, id_place)} if cursor is not None else {}
        async with reading(self.database.engine) as tx:
            found = await tx.read(_discrepancies(tuple(given), after=bool(place)), **given, **place, limit=limit + 1)
        rows = [dict(row) for row in found[:limit]]
        return Page(rows, cursor_at("di", rows[-1]["id"]) if len(found) > limit else None)


def _given(**filters: object) -> Mapping[str, Any]:
    return {name: value for name, value in filters.items() if value is not None}


def _day_place(day: str, account_id: str) -> tuple[date, str]:
    return date.fromisoformat(day), id_place(account_id)
