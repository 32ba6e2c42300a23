"""Settlement rules: when a merchant's payments are released, how often and how much of it is settled, and for what."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Self

from domain.errors import Conflict, InvalidRequest
from domain.money import Money
from domain.settlements import Source
from domain.times import rfc3339, shanghai_day
from domain.workdays import IsWorkday, on_or_after, starts

# After the bills of the day before have come, been matched and released: channels publish them from ten o'clock on.
SETTLES_AT = time(14)
MOST_RISK_DAYS = 90
BANK = Source()


class Cycle(StrEnum):
    """How often a merchant is settled without being asked. Each falls on a workday: the day itself, or the next."""

    MANUAL = "manual"  # only when it, or an operator, asks
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Division:
    """How what was swept divides: ``amount`` is settled, of which ``fee`` is ours; the rest is carried on."""

    amount: Money
    fee: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRule:
    """One merchant's, in both modes. Those who have none are as its defaults say.

    ``day`` is 1 (Monday) to 7 for weekly, 1 to 28 for monthly, else 0. ``risk_days``: N of T+N, in workdays.
    ``fee`` is ours, for each settlement. ``source`` is what payouts are taken from. ``next_at``: the next automatic
    settlement, None for manual.
    """

    merchant_id: str
    cycle: Cycle = Cycle.MANUAL
    day: int = 0
    minimum: Money = Money(1)
    maximum: Money | None = None
    fee: Money = Money(0)
    risk_days: int = 1
    source: Source = BANK
    next_at: datetime | None = None
    revision: int = 0

    def __post_init__(self) -> None:
        most = {Cycle.WEEKLY: 7, Cycle.MONTHLY: 28}.get(self.cycle, 0)
        if not (min(most, 1) <= self.day <= most):
            raise InvalidRequest(
                "weekly takes a day of 1 to 7, monthly of 1 to 28, others 0",
                code="settlement_rule_invalid",
                pointer="/day",
            )
        if self.maximum is not None and self.maximum < self.minimum:
            raise InvalidRequest(
                "the maximum is less than the minimum", code="settlement_rule_invalid", pointer="/maximum"
            )
        if self.minimum <= self.fee or not self.minimum:
            raise InvalidRequest(
                "the minimum has to be more than the fee", code="settlement_rule_invalid", pointer="/minimum"
            )
        if not 0 <= self.risk_days <= MOST_RISK_DAYS:
            raise InvalidRequest(
                f"risk days are 0 to {MOST_RISK_DAYS}", code="settlement_rule_invalid", pointer="/risk_days"
            )

    def divide(self, swept: Money) -> Division:
        """Raises Conflict for what is too little to settle: under the minimum, which is more than the fee."""
        amount = min(swept, self.maximum) if self.maximum is not None else swept
        if not amount:
            raise Conflict("nothing is available", code="nothing_to_settle")
        if amount < self.minimum:
            raise Conflict(
                f"{amount} is available, the least to settle is {self.minimum}", code="settlement_below_minimum"
            )
        return Division(amount, self.fee)

    def scheduled(self, now: datetime, is_workday: IsWorkday) -> Self:
        """With the first automatic settlement after ``now``."""
        if self.cycle is Cycle.MANUAL:
            return replace(self, next_at=None)
        day = shanghai_day(now)
        while True:
            at = starts(on_or_after(day, is_workday), SETTLES_AT)
            if at > now and self._falls_on(day):
                return replace(self, next_at=at)
            day += timedelta(days=1)

    def _falls_on(self, day: date) -> bool:
        if self.cycle is Cycle.WEEKLY:
            return day.isoweekday() == self.day
        return self.cycle is Cycle.DAILY or day.day == self.day

    def snapshot(self) -> dict[str, Any]:
        """As operators see it, in the API and in the audit."""
        return {
            "merchant_id": self.merchant_id,
            "object": "settlement_rule",
            "cycle": str(self.cycle),
            "day": self.day,
            "minimum": self.minimum.minor,
            "maximum": self.maximum.minor if self.maximum else None,
            "fee": self.fee.minor,
            "currency": self.minimum.currency,
            "risk_days": self.risk_days,
            "rail": str(self.source.rail),
            "source": self.source.owner,
            "fund": self.source.fund,
            "next_at": rfc3339(self.next_at) if self.next_at else None,
        }
