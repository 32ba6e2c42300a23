"""Fake read models of the merchant API."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from application.ports.queries import Page, request_of
from domain.channels import Mode
from domain.errors import InvalidRequest, NotFound
from domain.times import rfc3339
from tests.fakes.rows import Tables, Try
from tests.fakes.storage import Transaction


class FakeMerchantQueries:
    """Each query is one statement of its own, outside any unit of work."""

    def __init__(self, tables: Tables, begin: Callable[[], Transaction]) -> None:
        self._tables, self._begin = tables, begin

    async def orders(self, merchant_id: str, mode: Mode, *, status: str | None, cursor: str | None, limit: int) -> Page:
        before = None if cursor is None else _read_cursor("o", cursor)
        transaction = self._begin()
        await transaction.statement("queries.orders")
        found = [
            ((rfc3339(row.order.created_at), row.order.id), row.order)
            for row in transaction.rows(self._tables.orders)
            if (row.order.merchant_id, row.order.mode) == (merchant_id, mode)
            and (status is None or row.order.status == status)
        ]
        after_cursor = [each for each in found if before is None or each[0] < before]
        page = sorted(after_cursor, key=lambda each: each[0], reverse=True)[: limit + 1]
        rows = [order.snapshot() for _, order in page[:limit]]
        return Page(rows, _cursor("o", *page[limit - 1][0]) if len(page) > limit else None)

    async def events(self, merchant_id: str, mode: Mode, *, cursor: str | None, limit: int) -> Page:
        xid, row_number = (0, 0) if cursor is None else _numbers(_read_cursor("e", cursor))
        transaction = self._begin()
        await transaction.statement("queries.events")
        horizon = transaction.engine.horizon()
        found = sorted(
            (row.xid, row.row, row.event)
            for row in self._tables.events.committed.values()
            if (row.event.merchant_id, row.event.mode) == (merchant_id, mode)
            and (xid, row_number) < (row.xid, row.row)
            and row.xid < horizon
        )[:limit]
        last = found[-1][:2] if found else (xid, row_number)
        return Page([event.body() for _, _, event in found], _cursor("e", str(last[0]), str(last[1])))

    async def deliveries(self, merchant_id: str, mode: Mode, event_id: str) -> Sequence[Mapping[str, Any]]:
        transaction = self._begin()
        await transaction.statement("queries.deliveries")
        tries = sorted(transaction.rows(self._tables.tries), key=lambda row: row.row)
        deliveries = [
            row
            for row in transaction.rows(self._tables.deliveries)
            if (row.merchant_id, row.mode, row.event_id) == (merchant_id, mode, event_id)
        ]
        return [
            row.snapshot() | {"tries": _tries_of(row.id, tries)}
            for row in sorted(deliveries, key=lambda row: (row.created_at, row.id))
        ]

    async def delivery_log(
        self,
        merchant_id: str,
        mode: Mode,
        *,
        endpoint_id: str | None,
        event_id: str | None,
        status: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        before = None if cursor is None else _read_cursor("d", cursor)
        transaction = self._begin()
        await transaction.statement("queries.delivery_log")
        found = [
            ((row.created_at.isoformat(), row.id), row)
            for row in transaction.rows(self._tables.deliveries)
            if (row.merchant_id, row.mode) == (merchant_id, mode)
            and endpoint_id in (None, row.endpoint_id)
            and event_id in (None, row.event_id)
            and status in (None, row.status)
        ]
        page = sorted((each for each in found if before is None or each[0] < before), key=lambda each: each[0])[::-1]
        rows = [row.snapshot() for _, row in page[:limit]]
        return Page(rows, _cursor("d", *page[limit - 1][0]) if len(page) > limit else None)

    async def delivery(self, merchant_id: str, mode: Mode, delivery_id: str) -> Mapping[str, Any]:
        transaction = self._begin()
        await transaction.statement("queries.delivery")
        row = transaction.get(self._tables.deliveries, delivery_id)
        if row is None or (row.merchant_id, row.mode) != (merchant_id, mode):
            raise NotFound(f"no delivery {delivery_id}")
        tries = sorted(transaction.rows(self._tables.tries), key=lambda each: each.row)
        event = self._tables.events.committed[row.event_id].event
        return row.snapshot() | {"tries": _tries_of(row.id, tries), "request": request_of(event, row.url)}


def _tries_of(delivery_id: str, tries: Sequence[Try]) -> list[dict[str, Any]]:
    theirs = [each for each in tries if each.delivery_id == delivery_id]
    return [
        {
            "n": n,
            "at": rfc3339(each.at),
            "status_code": each.answer.status_code,
            "error": each.answer.error,
            "body": each.answer.body,
            "duration_ms": each.answer.duration_ms,
        }
        for n, each in enumerate(theirs, start=1)
    ]


def _cursor(kind: str, *parts: str) -> str:
    return base64.urlsafe_b64encode("|".join((kind, *parts)).encode()).decode().rstrip("=")


def _read_cursor(kind: str, text: str) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("this cursor is not one of ours", code="cursor_invalid", pointer="/cursor") from error
    read_kind, *parts = decoded.split("|")
    if read_kind != kind or len(parts) != 2:
        raise InvalidRequest("this cursor is not one of ours", code="cursor_invalid", pointer="/cursor")
    return parts[0], parts[1]


def _numbers(parts: tuple[str, str]) -> tuple[int, int]:
    if not (parts[0].isdecimal() and parts[1].isdecimal()):
        raise InvalidRequest("this cursor is not one of ours", code="cursor_invalid", pointer="/cursor")
    return int(parts[0]), int(parts[1])
