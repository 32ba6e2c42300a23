"""Read models: flat rows for lists and pages, one port an area."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from domain.channels import Mode
from domain.events import Event
from domain.permissions import Realm


@dataclass(frozen=True, slots=True)
class Page:
    """One page of flat rows, newest first unless said otherwise. ``next_cursor`` is opaque; None at the end."""

    rows: Sequence[Mapping[str, Any]]
    next_cursor: str | None


def request_of(event: Event, url: str) -> dict[str, Any]:
    """What every try of a delivery sends, but for what is its own: the time of the try and the signature over it."""
    return {"method": "POST", "url": url, "headers": {"webhook-id": event.id}, "body": event.body()}


class MerchantQueries(Protocol):
    """Read models of the merchant API. A malformed cursor raises InvalidRequest("cursor_invalid")."""

    async def orders(self, merchant_id: str, mode: Mode, *, status: str | None, cursor: str | None, limit: int) -> Page:
        """Order snapshots."""
        ...

    async def events(self, merchant_id: str, mode: Mode, *, cursor: str | None, limit: int) -> Page:
        """Event bodies, oldest first, in an order in which no event can appear behind a cursor already given out
        (DESIGN 3.8). ``next_cursor`` is never None: ask again with it later."""
        ...

    async def deliveries(self, merchant_id: str, mode: Mode, event_id: str) -> Sequence[Mapping[str, Any]]:
        """Deliveries of one event with their tries. Empty when the event is unknown or not the merchant's."""
        ...

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
        """Deliveries, newest first, each with the count of its tries."""
        ...

    async def delivery(self, merchant_id: str, mode: Mode, delivery_id: str) -> Mapping[str, Any]:
        """One delivery with the request as it was sent and each try. Raises NotFound."""


class PeopleQueries(Protocol):
    """Read models of people and of what they did: newest first. A malformed cursor raises
    InvalidRequest("cursor_invalid")."""

    async def users(
        self, realm: Realm, merchant_id: str | None, *, status: str | None, cursor: str | None, limit: int
    ) -> Page:
        """Rows as ``domain.users.User`` names its fields, without a secret: ``{"id", "login", "name", "roles", …}``."""
        ...

    async def proposals(self, *, status: str | None, merchant_id: str | None, cursor: str | None, limit: int) -> Page:
        """Rows as ``domain.proposals.Proposal`` names its fields."""
        ...

    async def audit(
        self, *, actor_id: str | None, object_id: str | None, merchant_id: str | None, cursor: str | None, limit: int
    ) -> Page:
        """Audit records. One that commits late may appear behind a cursor given out: this is for people who look;
        what must miss nothing goes by the chain."""
        ...


class ReconciliationQueries(Protocol):
    """Read models of reconciliation, newest first. A malformed cursor raises InvalidRequest("cursor_invalid")."""

    async def days(self, *, account_id: str | None, status: str | None, cursor: str | None, limit: int) -> Page:
        """Statement days, as ``domain.statements.StatementDay`` names its fields (``foreign_lines`` for foreign)."""
        ...

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
        """Discrepancies, as ``domain.reconciliation.Discrepancy`` names its fields."""
        ...
