"""What every other part of Pitaya is there to keep, and the port of its checkers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# What every other part of Pitaya is there to keep (docs/reliability.md). One checker each, in each database adapter.
PROMISES: Mapping[str, str] = {
    "M1": "The ledger sums to zero in every currency.",
    "M2": "An effective payment is credited to its merchant exactly once.",
    "M3": "Nothing is credited that the channel did not confirm, to the same payee and in the same amount.",
    "M4": "Money that pays no order is held in suspense, to the fen.",
    "M5": "Refunds and refunds in flight never exceed what was paid, and each is booked as it stands.",
    "M6": "No account that must not go below zero does so.",
    "M7": "No transfer is settled twice, and every settlement is worth what is inside it, to the fen.",
    "M8": "What happened is never changed or deleted.",
    "M9": "A balance that is rolled up is the sum of the rows behind it.",
    "M10": "Fee and net make up what was received, to the fen.",
    "M11": "What people book by hand is booked once, and exactly as it says.",
    "M12": "A closed day opens as the one before closed, and its figures add up to nothing made or lost.",
    "M13": "What is shared and comes back is booked as the channel told it, and is never more than was received.",
    "L1": "No acknowledged order is lost, nor any step of its history.",
    "L2": "No acknowledged notice is lost: each is stored with its outcome and what follows from it.",
    "L3": "Every announced event is delivered, due soon, or visibly given up, for each endpoint that wanted it.",
    "L4": "Every order and every attempt comes to its end in bounded time.",
    "L5": "An event is published once and has one webhook-id for each endpoint, however often it is sent.",
    "R3": "Nothing is released before its day was closed, and never more than it brought.",
}


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that is broken, with some of the rows that break it."""

    promise: str
    rows: Sequence[Mapping[str, Any]]


class Promises(Protocol):
    """The checkers of PROMISES, over one consistent view of the database. They only read."""

    async def broken(self) -> Sequence[Breach]:
        """Empty when every promise holds; else one Breach a broken promise, in their order."""
        ...
