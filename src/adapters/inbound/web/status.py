"""What a cashier page has to know about its order from one second to the next."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from application.view_cashier import CashierView
from domain.orders import OrderStatus
from domain.times import rfc3339


class State(StrEnum):
    """What the payer sees. ``expired`` begins with the deadline, before the order itself is closed."""

    PENDING = "pending"
    PAID = "paid"
    EXPIRED = "expired"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Status:
    """Two equal statuses show the same page. ``final``: nothing will change while anybody waits."""

    state: State
    final: bool
    attempt: str | None
    expires_at: datetime
    paid_at: datetime | None

    @classmethod
    def of(cls, view: CashierView, now: datetime) -> Self:
        order = view.order
        if order.status is OrderStatus.PAID:
            state = State.PAID
        elif order.status is OrderStatus.CLOSED:
            state = State.EXPIRED if order.close_reason == "expired" else State.CLOSED
        else:
            state = State.EXPIRED if now >= order.expires_at else State.PENDING
        attempt = view.attempt.id if view.attempt and state is State.PENDING else None
        return cls(state, order.status is not OrderStatus.PENDING, attempt, order.expires_at, order.paid_at)

    def seconds_left(self, now: datetime) -> int:
        """Whole seconds until nobody can pay any more, rounded up; 0 when there is nothing to wait for."""
        return max(0, math.ceil((self.expires_at - now).total_seconds())) if self.state is State.PENDING else 0

    def body(self, now: datetime) -> dict[str, Any]:
        """As the page's script reads it, from the stream and from polling alike. ``now`` is after we looked."""
        return {
            "at": milliseconds(now),
            "status": str(self.state),
            "final": self.final,
            "attempt": self.attempt,
            "expires_in_seconds": self.seconds_left(now),
            "paid_at": rfc3339(self.paid_at) if self.paid_at else None,
        }


def milliseconds(at: datetime) -> int:
    """An instant as scripts compare it."""
    return int(at.timestamp() * 1000)
