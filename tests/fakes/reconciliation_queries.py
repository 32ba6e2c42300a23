"""Fake read models of reconciliation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from application.ports.queries import Page
from domain.errors import InvalidRequest
from tests.fakes.people_queries import page_of
from tests.fakes.queries import _cursor, _read_cursor
from tests.fakes.rows import Tables
from tests.fakes.storage import Transaction


class FakeReconciliationQueries:
    def __init__(self, tables: Tables, begin: Callable[[], Transaction]) -> None:
        self._tables, self._begin = tables, begin

    async def days(self, *, account_id: str | None, status: str | None, cursor: str | None, limit: int) -> Page:
        transaction = self._begin()
        await transaction.statement("queries.days")
        days = sorted(transaction.rows(self._tables.days), key=lambda day: day.account_id)
        rows = [asdict(day) for day in sorted(days, key=lambda day: day.day, reverse=True)]
        rows = [{**row, "status": str(row["status"]), "foreign_lines": row.pop("foreign")} for row in rows]
        fitting = _fitting(rows, account_id=account_id, status=status)
        if cursor is not None:
            after = _read_cursor("sd", cursor)
            places = [(str(row["day"]), str(row["account_id"])) for row in fitting]
            if after not in places:
                raise InvalidRequest("this cursor is not one of ours", code="cursor_invalid", pointer="/cursor")
            fitting = fitting[places.index(after) + 1 :]
        page = fitting[:limit]
        more = len(fitting) > limit
        return Page(page, _cursor("sd", str(page[-1]["day"]), str(page[-1]["account_id"])) if more else None)

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
        transaction = self._begin()
        await transaction.statement("queries.discrepancies")
        rows = [
            (one.id, asdict(one) | {"status": str(one.status), "kind": str(one.kind)})
            for one in transaction.rows(self._tables.discrepancies)
        ]
        filters = {"account_id": account_id, "day": day, "kind": kind, "status": status}
        return page_of("di", rows, filters, cursor, limit)


def _fitting(rows: Sequence[Mapping[str, Any]], **filters: object) -> list[Mapping[str, Any]]:
    given = {name: value for name, value in filters.items() if value is not None}
    return [row for row in rows if all(row[name] == value for name, value in given.items())]
