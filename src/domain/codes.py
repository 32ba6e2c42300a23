"""A merchant's static code (聚合码): one QR on the counter; the payer says how much, and pays with either wallet."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from domain.channels import Mode
from domain.errors import Conflict, InvalidRequest
from domain.money import Money
from domain.times import rfc3339

MOST = Money(5_000_000)  # what one payment by a static code may be at most, unless its merchant says less
PLACED_WITHIN = 900  # seconds in which an order that was placed by a code can be paid


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticCode:
    """Whoever holds ``token`` may place orders of up to ``most`` in the merchant's name, or of ``amount`` alone."""

    id: str
    merchant_id: str
    mode: Mode
    token: str = field(repr=False)
    name: str
    created_at: datetime
    amount: Money | None = None
    most: Money = MOST
    enabled: bool = True

    def switched(self, *, enabled: bool) -> Self:
        return replace(self, enabled=enabled)

    def asks(self, amount: Money | None) -> Money:
        """What is to be paid. Raises InvalidRequest for an amount that this code does not take, Conflict when it is
        switched off."""
        if not self.enabled:
            raise Conflict("this code is switched off", code="code_disabled")
        wanted = self.amount or amount
        if wanted is None or not wanted or wanted > self.most:
            raise InvalidRequest("not an amount that this code takes", code="amount_invalid", pointer="/amount")
        return wanted

    def snapshot(self) -> dict[str, Any]:
        """As its merchant sees it, but for its address."""
        return {
            "id": self.id,
            "object": "code",
            "mode": str(self.mode),
            "name": self.name,
            "amount": self.amount.minor if self.amount else None,
            "most": self.most.minor,
            "currency": self.most.currency,
            "enabled": self.enabled,
            "created_at": rfc3339(self.created_at),
        }
