"""Fake lists, search and stories: flat rows made of the fake tables, filtered and sorted as the listings say."""

import base64
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from application.ports.lists import COUNTED, Asked, Hit, Kind, Listing, Row, Told, Totals
from application.ports.queries import Page
from application.stories import MOST, audited, happened, paid, posted, tried
from domain.channels import Mode
from domain.errors import InvalidRequest
from domain.times import rfc3339
from tests.fakes.rows import Tables
from tests.fakes.storage import Transaction


class FakeLists:
    """Each page is one statement of its own, outside any unit of work."""

    def __init__(self, tables: Tables, begin: Callable[[], Transaction]) -> None:
        self._tables, self._begin = tables, begin

    async def page(self, listing: Listing, asked: Asked, *, cursor: str | None, limit: int) -> Page:
        await self._begin().statement(f"lists.{listing.name}")
        rows = self._rows(listing, asked)
        if cursor is not None:
            place = _read(listing, asked, cursor)
            rows = [
                row
                for row in rows
                if (_place(listing, row) > place if asked.oldest_first else _place(listing, row) < place)
            ]
        last = _write(listing, asked, rows[limit - 1]) if len(rows) > limit else None
        return Page([_plain(listing, row) for row in rows[:limit]], last)

    async def totals(self, listing: Listing, asked: Asked) -> Totals:
        await self._begin().statement(f"lists.{listing.name}")
        rows, sums = self._rows(listing, asked), dict[str, int]()
        for row in rows if listing.amount else ():
            assert listing.amount is not None
            sums[row["currency"]] = sums.get(row["currency"], 0) + row[listing.amount]
        return Totals(min(len(rows), COUNTED), len(rows) <= COUNTED, sums)

    async def export(self, listing: Listing, asked: Asked) -> AsyncIterator[Sequence[Row]]:
        rows = self._rows(listing, asked)
        for first in range(0, len(rows), 2):
            yield [_plain(listing, row) for row in rows[first : first + 2]]

    def _rows(self, listing: Listing, asked: Asked) -> list[Row]:
        found = [row for row in _SOURCES[listing.name](self._tables) if _wanted(listing, asked, row)]
        return sorted(found, key=lambda row: _place(listing, row), reverse=not asked.oldest_first)


class FakeFinding:
    def __init__(self, tables: Tables, begin: Callable[[], Transaction]) -> None:
        self._tables, self._begin = tables, begin

    async def search(self, number: str, *, merchant_id: str | None = None, mode: Mode | None = None) -> Sequence[Hit]:
        await self._begin().statement("finding.search")
        hits = [
            Hit(kind, row["id"], field, _order_of(kind, row), _merchant_of(kind, row), row.get("mode"))
            for kind, source, fields in _SEARCHED
            for field in fields
            for row in _SOURCES[source](self._tables)
            if row[field] == number
        ]
        return [hit for hit in hits if merchant_id in (None, hit.merchant_id) and mode in (None, hit.mode)]

    async def story(self, order_id: str) -> Sequence[Told]:
        await self._begin().statement("finding.story")
        tables = self._tables
        if order_id not in tables.orders.committed:
            return []
        ids = {order_id}
        ids |= {row.id for row in tables.attempts.committed.values() if row.order_id == order_id}
        payments = [row for row in _payments(tables) if row["order_id"] == order_id]
        ids |= {row["id"] for row in payments}
        ids |= {row.id for row in tables.refunds.committed.values() if row.order_id == order_id}
        events = [row.event for row in tables.events.committed.values() if row.event.object_id in ids]
        told = [happened(_event(event)) for event in events]
        told += [paid(row) for row in payments]
        told += [posted(row) for row in _transfers(tables) if row["about"] in ids]
        told += [tried(row) for row in self._tries({event.id for event in events if event.announced})]
        told += [audited(row) for row in _audit(tables) if row["object_id"] in ids]
        return sorted(told, key=lambda line: line.at)[:MOST]

    def _tries(self, events: set[str]) -> Iterator[Row]:
        for row in sorted(self._tables.tries.committed.values(), key=lambda row: row.row):
            delivery = self._tables.deliveries.committed[row.delivery_id]
            if delivery.event_id in events:
                yield {
                    "at": row.at,
                    "delivery_id": delivery.id,
                    "event_id": delivery.event_id,
                    "endpoint_id": delivery.endpoint_id,
                    "url": delivery.url,
                    "status_code": row.answer.status_code,
                    "error": row.answer.error,
                    "duration_ms": row.answer.duration_ms,
                }


def _event(event: Any) -> Row:
    return {"at": event.at, "type": event.type, "object_id": event.object_id, "data": event.data}


def _order_of(kind: str, row: Row) -> str | None:
    return row["id"] if kind == "order" else row.get("order_id")


def _merchant_of(kind: str, row: Row) -> str | None:
    return row["id"] if kind == "merchant" else row.get("merchant_id")


def _wanted(listing: Listing, asked: Asked, row: Row) -> bool:
    for name, value in asked.filters.items():
        held = row[name]
        shown = ("true" if held else "false") if listing.columns[name].kind is Kind.FLAG else held
        if shown is None or str(shown) != value:
            return False
    at: Any = row[listing.ranged] if listing.ranged else None
    return (asked.since is None or at >= asked.since) and (asked.until is None or at < asked.until)


def _place(listing: Listing, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in listing.order)


def _plain(listing: Listing, row: Row) -> dict[str, Any]:
    return {name: _shown(column.kind, row[name]) for name, column in listing.columns.items()}


def _shown(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    return rfc3339(value) if kind is Kind.TIME else str(value) if kind is Kind.TEXT else value


def _kind(listing: Listing, asked: Asked) -> str:
    return f"{listing.name}{'+' if asked.oldest_first else '-'}"


def _write(listing: Listing, asked: Asked, row: Row) -> str:
    parts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in _place(listing, row)]
    return base64.urlsafe_b64encode("|".join((_kind(listing, asked), *parts)).encode()).decode().rstrip("=")


def _read(listing: Listing, asked: Asked, cursor: str) -> tuple[Any, ...]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        kind, *parts = text.split("|")
        if kind == _kind(listing, asked):
            return tuple(
                _part(listing.columns[name].kind, part) for name, part in zip(listing.order, parts, strict=True)
            )
    except ValueError:
        pass
    raise InvalidRequest("this cursor is not one of ours", code="cursor_invalid", pointer="/cursor")


def _part(kind: Kind, part: str) -> Any:
    if kind is Kind.TIME:
        at = datetime.fromisoformat(part)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at
    return int(part) if kind is Kind.NUMBER else part


# ── Flat rows ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _fields(thing: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _orders(tables: Tables) -> Iterator[Row]:
    for order in (row.order for row in tables.orders.committed.values()):
        yield {
            **_fields(order, "id", "merchant_id", "mode", "status", "paid_method", "close_reason"),
            **_fields(order, "created_at", "expires_at", "paid_at", "closed_at"),
            **_fields(order.request, "merchant_order_no", "subject", "method"),
            "amount": order.amount.minor,
            "currency": order.amount.currency,
            **{name: getattr(order, name).minor for name in ("paid", "refunded", "refunding")},
        }


def _attempts(tables: Tables) -> Iterator[Row]:
    for row in tables.attempts.committed.values():
        yield {
            **_fields(row, "id", "order_id", "merchant_id", "mode", "method", "account_id", "number", "status"),
            **_fields(row, "fund_mode", "failure", "created_at", "expires_at", "next_at"),
            "amount": row.amount.minor,
            "currency": row.amount.currency,
        }


def _payments(tables: Tables) -> Iterator[Row]:
    for row in tables.payments.committed.values():
        yield {
            **_fields(row, "id", "account_id", "mode", "fund_mode", "transaction_id", "number", "order_id"),
            **_fields(row, "attempt_id", "merchant_id", "unattributed", "evidence", "recorded_at", "paid_at"),
            **{name: getattr(row, name).minor for name in ("total", "received", "payer_paid", "fee")},
            "currency": row.total.currency,
        }


def _suspense(tables: Tables) -> Iterator[Row]:
    for row in tables.suspense.committed.values():
        yield {
            **_fields(row, "id", "payment_id", "account_id", "mode", "reason", "status", "created_at"),
            "amount": row.amount.minor,
            "currency": row.amount.currency,
        }


def _refunds(tables: Tables) -> Iterator[Row]:
    for row in tables.refunds.committed.values():
        yield {
            **_fields(row, "id", "order_id", "payment_id", "item_id", "merchant_id", "mode", "number", "account_id"),
            **_fields(row, "merchant_refund_no", "channel_id", "origin", "status", "reason", "failure", "created_at"),
            **_fields(row, "accepted_at", "succeeded_at", "next_at"),
            **{name: getattr(row, name).minor for name in ("amount", "debit", "share")},
            "currency": row.amount.currency,
        }


def _notices(tables: Tables) -> Iterator[Row]:
    for row in tables.notices.committed.values():
        yield {
            **_fields(row, "account_id", "outcome", "received_at"),
            "notice_id": row.notice.id,
            "kind": row.notice.kind,
        }


def _deliveries(tables: Tables) -> Iterator[Row]:
    for row in tables.deliveries.committed.values():
        yield _fields(
            row,
            "id",
            "event_id",
            "endpoint_id",
            "merchant_id",
            "mode",
            "url",
            "status",
            "tries",
            "created_at",
            "next_at",
        )


def _endpoints(tables: Tables) -> Iterator[Row]:
    for row in tables.endpoints.committed.values():
        yield _fields(row, "id", "merchant_id", "mode", "url", "enabled", "disabled", "created_at", "disabled_at")


def _transfers(tables: Tables) -> Iterator[Row]:
    for row in tables.transfers.committed.values():
        transfer = row.transfer
        yield {
            "id": row.row,
            **_fields(transfer, "idem_key", "fact", "about", "channel_date"),
            "mode": transfer.debit.mode,
            "debit_account": transfer.debit.id,
            "credit_account": transfer.credit.id,
            "amount": transfer.amount.minor,
            "currency": transfer.amount.currency,
            "posting_date": row.posting_date,
            "created_at": row.created_at,
        }


def _entries(tables: Tables) -> Iterator[Row]:
    for row in tables.entries.committed.values():
        yield {
            **_fields(row, "id", "kind", "merchant_id", "mode", "reason", "bank_reference", "made_by", "created_at"),
            "amount": row.amount.minor,
            "repaid": row.repaid.minor,
            "currency": row.amount.currency,
        }


def _settlements(tables: Tables) -> Iterator[Row]:
    for row in tables.settlements.committed.values():
        yield {
            **_fields(row, "id", "merchant_id", "mode", "number", "origin", "status", "lines", "reference", "failure"),
            **_fields(row, "approved_by", "created_at", "approved_at", "paid_at", "next_at"),
            **{name: getattr(row, name).minor for name in ("swept", "amount", "fee", "charge")},
            "currency": row.amount.currency,
            "rail": row.source.rail if row.source else None,
            "source_owner": row.source.owner if row.source else None,
        }


def _ledger_accounts(tables: Tables) -> Iterator[Row]:
    transfers = [row.transfer for row in tables.transfers.committed.values()]
    for account in {end: None for transfer in transfers for end in (transfer.debit, transfer.credit)}:
        yield _fields(account, "id", "kind", "owner", "fund", "mode", "currency")


def _merchants(tables: Tables) -> Iterator[Row]:
    for row in tables.merchants.committed.values():
        yield _fields(row, "id", "name", "short_name", "late_payment", "active", "created_at")


def _accounts(tables: Tables) -> Iterator[Row]:
    for row in tables.accounts.committed.values():
        yield {
            **_fields(row, "id", "channel", "mode", "payee", "merchant_id", "credential_id", "enabled", "priority"),
            "cost_ppm": row.cost_rate.ppm,
        }


def _audit(tables: Tables) -> Iterator[Row]:
    for row in tables.audit.committed.values():
        record = row.record
        yield {
            "n": row.row,
            **_fields(record, "id", "action", "object_id", "merchant_id", "before", "after", "at"),
            "actor_kind": record.actor.kind,
            "actor_id": record.actor.id,
            "actor_name": record.actor.name,
            "address": record.actor.address,
            "request_id": record.actor.request_id,
        }


def _events(tables: Tables) -> Iterator[Row]:
    for row in tables.events.committed.values():
        yield _fields(row.event, "id", "merchant_id", "mode")


def _keys(tables: Tables) -> Iterator[Row]:
    for row in tables.api_keys.committed.values():
        yield _fields(row, "id", "merchant_id", "mode")


_SOURCES: Mapping[str, Callable[[Tables], Iterator[Row]]] = {
    "orders": _orders,
    "attempts": _attempts,
    "channel_payments": _payments,
    "suspense_items": _suspense,
    "refunds": _refunds,
    "notices": _notices,
    "deliveries": _deliveries,
    "webhook_endpoints": _endpoints,
    "transfers": _transfers,
    "account_entries": _entries,
    "settlements": _settlements,
    "ledger_accounts": _ledger_accounts,
    "channel_accounts": _accounts,
    "merchants": _merchants,
    "audit_records": _audit,
    "events": _events,
    "api_keys": _keys,
}
_SEARCHED = (
    ("order", "orders", ("id", "merchant_order_no")),
    ("attempt", "attempts", ("id", "number")),
    ("channel_payment", "channel_payments", ("id", "transaction_id", "number")),
    ("refund", "refunds", ("id", "merchant_refund_no", "number")),
    ("settlement", "settlements", ("id", "number")),
    ("suspense_item", "suspense_items", ("id",)),
    ("event", "events", ("id",)),
    ("delivery", "deliveries", ("id",)),
    ("webhook_endpoint", "webhook_endpoints", ("id",)),
    ("api_key", "api_keys", ("id",)),
    ("channel_account", "channel_accounts", ("id",)),
    ("merchant", "merchants", ("id",)),
)
