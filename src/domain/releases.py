"""Releases: when a payment's net becomes available to its merchant, and how much of it is left to become so."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Self

from domain.channels import Mode
from domain.errors import Conflict
from domain.money import Money
from domain.refunds import Refund
from domain.times import rfc3339

# How long a payment waits before it is looked at again: for its day to close, for money, for a hold to be lifted.
AGAIN = timedelta(hours=1)
HELD_FOR = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """How one payment that its order counts comes out of pending.

    ``net`` is what it put there, ``released`` what has left by release, in so many ``times``, in minor units; below
    zero when it had to be filled up (see ``left``). ``released_at`` is set once nothing of it was left: refunds
    reserved from then on take the available balance. ``next_at`` is when to look at it (again), None for never.
    """

    payment_id: str
    order_id: str
    merchant_id: str
    mode: Mode
    account_id: str
    day: date
    net: Money
    next_at: datetime | None
    released: int = 0
    times: int = 0
    released_at: datetime | None = None

    def left(self, refunds: Iterable[Refund]) -> int:
        """What of it is pending still, in minor units. Below zero when its refunds took more than it had brought: with
        a price that keeps its fee, the merchant bears the fee of a payment that went back whole."""
        return left(self.net, self.payment_id, refunds) - self.released

    def moved(self, amount: int, now: datetime, *, left: int) -> Self:
        """``amount`` of what was ``left`` has become available, or has filled it up."""
        moved = replace(self, released=self.released + amount, times=self.times + 1 if amount else self.times)
        if amount != left:
            return moved.waits(now + AGAIN)
        return replace(moved, released_at=self.released_at or now, next_at=None)

    def waits(self, until: datetime) -> Self:
        return replace(self, next_at=until)

    def again(self, now: datetime) -> Self:
        """A refund that had drawn from pending gave it back after the release: that much is to be released too."""
        return replace(self, next_at=now) if self.released_at else self


def left(net: Money, payment_id: str, refunds: Iterable[Refund]) -> int:
    """A payment's net minus what refunds of it that stand have drawn from pending."""
    own = [each for each in refunds if each.payment_id == payment_id and not each.void]
    return net.minor - sum(each.draws.pending.minor for each in own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Somebody wants a merchant's payments, or one order's, to stay pending. ``subject`` is its id. One stands at a
    time; a lifted one is kept."""

    id: str
    merchant_id: str
    subject: str
    reason: str
    placed_by: str
    placed_at: datetime
    lifted_by: str | None = None
    lifted_at: datetime | None = None

    def lifted(self, by: str, now: datetime) -> Self:
        if self.lifted_at is not None:
            raise Conflict("this hold is lifted already", code="hold_lifted")
        return replace(self, lifted_by=by, lifted_at=now)

    def snapshot(self) -> dict[str, Any]:
        """As operators see it, in the API and in the audit."""
        return {
            "id": self.id,
            "object": "hold",
            "merchant_id": self.merchant_id,
            "subject": self.subject,
            "reason": self.reason,
            "placed_by": self.placed_by,
            "placed_at": rfc3339(self.placed_at),
            "lifted_by": self.lifted_by,
            "lifted_at": rfc3339(self.lifted_at) if self.lifted_at else None,
        }
