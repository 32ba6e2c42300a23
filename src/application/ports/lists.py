"""Read models for consoles: one way to list anything, to find anything by a number, and to tell an order's story."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from application.ports.queries import Page
from domain.channels import Mode
from domain.errors import InvalidRequest

Row = Mapping[str, Any]


class Kind(StrEnum):
    """What a column holds, and so how it is shown: amounts are minor units, times RFC 3339 or None."""

    TEXT = "text"
    NUMBER = "number"
    AMOUNT = "amount"
    TIME = "time"
    FLAG = "flag"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    kind: Kind
    zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list of a console: flat rows with these columns.

    ``filters`` compares columns for equality; those with ``choices`` take these values alone. ``order`` is the columns
    it is sorted by, the last of which tells rows apart; the first, where it is a time, is also what ``since`` and
    ``until`` range over. ``amount`` is what totals add up, by currency. ``quick``: the sets of filters that have an
    index of their own, so that a page reads little more than it shows (tests/integration/sql/test_lists.py).
    """

    name: str
    permission: str
    columns: Mapping[str, Column]
    filters: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...] = ("created_at", "id")
    amount: str | None = None
    quick: tuple[tuple[str, ...], ...] = ()

    @property
    def moded(self) -> bool:
        """Whether live and test stand apart in it."""
        return "mode" in self.filters

    @property
    def ranged(self) -> str | None:
        """The time that it can be cut by."""
        return self.order[0] if self.columns[self.order[0]].kind is Kind.TIME else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a list is wanted. ``of`` raises InvalidRequest for what the list does not know."""

    filters: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    oldest_first: bool = False

    @classmethod
    def of(cls, listing: Listing, filters: Mapping[str, str | None], **rest: Any) -> "Asked":
        given = {name: value for name, value in filters.items() if value is not None}
        for name, value in given.items():
            if name not in listing.filters:
                raise InvalidRequest(f"{listing.name} have no filter {name}", code="filter_unknown", pointer=f"/{name}")
            if listing.filters[name] and value not in listing.filters[name]:
                known = ", ".join(listing.filters[name])
                raise InvalidRequest(f"{name} is one of {known}", code="filter_invalid", pointer=f"/{name}")
        asked = cls(filters=given, **rest)
        if (asked.since or asked.until) and listing.ranged is None:
            raise InvalidRequest(f"{listing.name} cannot be cut by time", code="filter_unknown", pointer="/since")
        if asked.since and asked.until and asked.since >= asked.until:
            raise InvalidRequest("this time ends before it begins", code="time_range_invalid", pointer="/until")
        return asked


@dataclass(frozen=True, slots=True)
class Totals:
    """How many there are, and their sum by currency in minor units. Beyond COUNTED rows neither is ``exact``: then it
    is of the first so many."""

    count: int
    exact: bool
    sums: Mapping[str, int]


COUNTED = 100_000


class Lists(Protocol):
    """Any of ``application.listings``. Each page is a statement of its own; a malformed cursor raises
    InvalidRequest("cursor_invalid"). Newest first unless asked otherwise."""

    async def page(self, listing: Listing, asked: Asked, *, cursor: str | None, limit: int) -> Page: ...
    async def totals(self, listing: Listing, asked: Asked) -> Totals: ...
    def export(self, listing: Listing, asked: Asked) -> AsyncIterator[Sequence[Row]]:
        """All rows of the filter, some at a time: whoever reads them slowly holds no connection and no memory."""
        ...


@dataclass(frozen=True, slots=True)
class Hit:
    """An object that a number belongs to. ``field`` says whose number it is (``transaction_id``: the channel's)."""

    kind: str
    id: str
    field: str
    order_id: str | None
    merchant_id: str | None
    mode: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """One line of an order's story: when, what (``event``, ``payment``, ``transfer``, ``delivery``, ``audit``), to
    which object, by whom (``merchant``, ``channel``, ``system`` or a person), why, and what more there is to say."""

    at: datetime
    what: str
    type: str
    object_id: str
    actor: str
    cause: str | None
    detail: Mapping[str, Any]


class Finding(Protocol):
    async def search(self, number: str, *, merchant_id: str | None = None, mode: Mode | None = None) -> Sequence[Hit]:
        """Whatever bears exactly this number: ours, a merchant's, a channel's. At most twenty of a kind."""
        ...

    async def story(self, order_id: str) -> Sequence[Told]:
        """Everything that is known to have happened to an order, oldest first, at most 500 lines. Empty: no order."""
        ...
