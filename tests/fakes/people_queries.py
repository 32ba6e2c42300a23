"""Fake read models of people and of what they did."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from application.ports.queries import Page
from domain.actors import AuditRecord
from domain.errors import InvalidRequest
from domain.permissions import Realm
from domain.proposals import Proposal
from domain.users import User
from tests.fakes.queries import _cursor, _read_cursor
from tests.fakes.rows import Tables
from tests.fakes.storage import Transaction

Row = Mapping[str, Any]


class FakePeopleQueries:
    """Each query is one statement of its own, outside any unit of work."""

    def __init__(self, tables: Tables, begin: Callable[[], Transaction]) -> None:
        self._tables, self._begin = tables, begin

    async def users(
        self, realm: Realm, merchant_id: str | None, *, status: str | None, cursor: str | None, limit: int
    ) -> Page:
        transaction = self._begin()
        await transaction.statement("queries.users")
        rows = [(user.id, _user(user)) for user in transaction.rows(self._tables.people)]
        return page_of("u", rows, {"realm": str(realm), "merchant_id": merchant_id, "status": status}, cursor, limit)

    async def proposals(self, *, status: str | None, merchant_id: str | None, cursor: str | None, limit: int) -> Page:
        transaction = self._begin()
        await transaction.statement("queries.proposals")
        rows = [(proposal.id, _proposal(proposal)) for proposal in transaction.rows(self._tables.proposals)]
        return page_of("p", rows, {"status": status, "merchant_id": merchant_id}, cursor, limit)

    async def audit(
        self, *, actor_id: str | None, object_id: str | None, merchant_id: str | None, cursor: str | None, limit: int
    ) -> Page:
        transaction = self._begin()
        await transaction.statement("queries.audit")
        rows = [(f"{row.row:018}", _record(row.record)) for row in transaction.rows(self._tables.audit)]
        filters = {"actor_id": actor_id, "object_id": object_id, "merchant_id": merchant_id}
        return page_of("a", rows, filters, cursor, limit)


def page_of(
    kind: str, rows: Iterable[tuple[str, Row]], filters: Mapping[str, object], cursor: str | None, limit: int
) -> Page:
    given = {name: value for name, value in filters.items() if value is not None}
    before = None if cursor is None else _place(kind, cursor)
    fitting = [
        (place, row)
        for place, row in sorted(rows, key=lambda each: each[0], reverse=True)
        if all(row[name] == value for name, value in given.items()) and (before is None or place < before)
    ]
    page = fitting[:limit]
    return Page([row for _, row in page], _cursor(kind, page[-1][0], "") if len(fitting) > limit else None)


def _place(kind: str, cursor: str) -> str:
    place, rest = _read_cursor(kind, cursor)
    if rest or not place:
        raise InvalidRequest("this cursor is not one of ours", code="cursor_invalid", pointer="/cursor")
    return place


def _user(user: User) -> dict[str, Any]:
    fields = ("id", "merchant_id", "login", "name", "created_at", "first_password_until")
    return {name: getattr(user, name) for name in fields} | {
        "realm": str(user.realm),
        "status": str(user.status),
        "roles": sorted(user.roles),
        "totp": user.authenticator is not None,
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    return asdict(proposal) | {"status": str(proposal.status)}


def _record(record: AuditRecord) -> dict[str, Any]:
    actor = record.actor
    return {
        "id": record.id,
        "at": record.at,
        "actor_kind": str(actor.kind),
        "actor_id": actor.id,
        "actor_name": actor.name,
        "actor_roles": list(actor.roles),
        "actor_merchant_id": actor.merchant_id,
        "behind": actor.behind,
        "address": actor.address,
        "request_id": actor.request_id,
        "action": record.action,
        "object_id": record.object_id,
        "merchant_id": record.merchant_id,
        "before": dict(record.before),
        "after": dict(record.after),
    }
