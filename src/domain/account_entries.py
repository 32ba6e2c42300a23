"""Account entries: what people book by hand, each with its reason. Made once, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from domain.channels import Mode
from domain.events import Event, event_id
from domain.money import Money
from domain.times import rfc3339


class EntryKind(StrEnum):
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    TOP_UP = "top_up"
    CREDIT = "credit"  # an adjustment in the merchant's favour
    DEBIT = "debit"  # an adjustment at its expense
    BANK_ARRIVAL = "bank_arrival"  # what a channel paid out is on our bank account


# What names the bank's own reference, under which money is booked once.
FROM_THE_BANK = frozenset({EntryKind.TOP_UP, EntryKind.BANK_ARRIVAL})
# What one person may do, since the money stays the merchant's. The others take a second one.
ALONE = frozenset({EntryKind.FREEZE, EntryKind.UNFREEZE})
_NEWS: Mapping[EntryKind, str] = {
    EntryKind.FREEZE: "balance.frozen",
    EntryKind.UNFREEZE: "balance.unfrozen",
    EntryKind.TOP_UP: "balance.topped_up",
    EntryKind.CREDIT: "balance.adjusted",
    EntryKind.DEBIT: "balance.adjusted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """``repaid`` is the part of it that went to the merchant's debt at once. ``reason`` is what the merchant reads.

    ``merchant_id`` is None for what concerns the bank alone; ``bank_reference`` is unique in its mode.
    """

    id: str
    kind: EntryKind
    merchant_id: str | None
    mode: Mode
    amount: Money
    reason: str
    made_by: str
    created_at: datetime
    bank_reference: str | None = None
    repaid: Money = Money(0)
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        assert self.amount, "nothing is not booked"
        assert (self.kind in FROM_THE_BANK) == (self.bank_reference is not None)
        assert (self.kind is EntryKind.BANK_ARRIVAL) == (self.merchant_id is None)

    def told(self, repaid: Money) -> Self:
        """As it was booked, with the news for its merchant."""
        booked = replace(self, repaid=repaid)
        if self.merchant_id is None:
            return booked
        type_ = _NEWS[self.kind]
        event = Event(
            id=event_id(self.id, type_),
            type=type_,
            object_id=self.id,
            merchant_id=self.merchant_id,
            mode=self.mode,
            at=self.created_at,
            data=booked.snapshot(),
        )
        return replace(booked, events=(event,))

    def snapshot(self) -> dict[str, Any]:
        """The entry as its merchant sees it."""
        return {
            "id": self.id,
            "object": "account_entry",
            "mode": str(self.mode),
            "kind": str(self.kind),
            "amount": self.amount.minor,
            "repaid": self.repaid.minor,
            "currency": self.amount.currency,
            "reason": self.reason,
            "bank_reference": self.bank_reference,
            "created_at": rfc3339(self.created_at),
        }
