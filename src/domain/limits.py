"""Limits: what a merchant may take by one method, at once and in a day."""

from dataclasses import dataclass
from typing import Any

from domain.channels import Method
from domain.errors import Conflict, InvalidRequest
from domain.money import Money


@dataclass(frozen=True, slots=True)
class Limit:
    """``single`` is the most one payment may have, ``daily`` the most of one day (Asia/Shanghai), in minor units; None
    for no limit. What counts towards a day is ``Attempt.counts``: paid, or possibly still to be paid."""

    method: Method
    single: int | None = None
    daily: int | None = None

    def __post_init__(self) -> None:
        if any(most is not None and most <= 0 for most in (self.single, self.daily)):
            raise InvalidRequest("a limit is above zero, or none", code="limit_invalid")

    def snapshot(self) -> dict[str, Any]:
        return {"method": str(self.method), "single": self.single, "daily": self.daily}

    def admits(self, amount: Money) -> None:
        """Raises InvalidRequest("amount_limit") for a payment that is too large for this method."""
        if self.single is not None and amount.minor > self.single:
            most = Money(self.single).yuan
            raise InvalidRequest(f"one payment by {self.method} may have {most} at most", code="amount_limit")

    def reached(self) -> Conflict:
        """The refusal of what would go beyond the day's amount."""
        assert self.daily is not None
        most = Money(self.daily).yuan
        return Conflict(f"with this payment {self.method} would take more than {most} today", code="daily_limit")
