"""Money in integer minor units, rates in parts per million, and the only places where money is divided."""

import re
from dataclasses import dataclass
from typing import Self

from domain.errors import InvalidRequest

CNY = "CNY"
MILLION = 1_000_000

_YUAN = re.compile(r"(?P<yuan>0|[1-9][0-9]{0,11})(?:\.(?P<fen>[0-9]{1,2}))?")


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of one currency. ``minor`` counts the smallest unit: fen for CNY. May be zero, never negative."""

    minor: int
    currency: str = CNY

    def __post_init__(self) -> None:
        assert type(self.minor) is int, f"money is counted in whole units, not {self.minor!r}"
        assert self.minor >= 0, f"money is never negative: {self.minor}"

    def __add__(self, other: Self) -> Self:
        return self._with(self.minor + self._same(other))

    def __sub__(self, other: Self) -> Self:
        return self._with(self.minor - self._same(other))

    def __bool__(self) -> bool:
        return self.minor != 0

    def __str__(self) -> str:
        return f"{self.yuan} {self.currency}"

    @property
    def yuan(self) -> str:
        """Major units with two decimals, the way Alipay writes amounts: ``"100.00"``."""
        return f"{self.minor // 100}.{self.minor % 100:02d}"

    @classmethod
    def from_yuan(cls, text: str) -> Self:
        """Read ``"100"``, ``"100.0"`` or ``"100.00"`` exactly. Signs, exponents and other digits are refused."""
        match = _YUAN.fullmatch(text) if text.isascii() else None
        if match is None:
            raise InvalidRequest(f"not an amount in yuan: {text[:40]!r}", code="amount_invalid")
        return cls(int(match["yuan"]) * 100 + int((match["fen"] or "").ljust(2, "0")))

    def _same(self, other: Self) -> int:
        if other.currency != self.currency:
            raise TypeError(f"cannot mix {self.currency} and {other.currency}")
        return other.minor

    def _with(self, minor: int) -> Self:
        return type(self)(minor, self.currency)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share in parts per million: 0.6 % is ``Rate(6_000)``."""

    ppm: int

    def __post_init__(self) -> None:
        if not 0 <= self.ppm <= MILLION:
            raise InvalidRequest(f"a rate is between 0 and {MILLION} ppm, not {self.ppm}", code="rate_invalid")

    def of(self, amount: Money) -> Money:
        """The share of ``amount``, rounded half up to the minor unit."""
        return Money((2 * amount.minor * self.ppm + MILLION) // (2 * MILLION), amount.currency)


@dataclass(frozen=True, slots=True)
class FeePlan:
    """What we charge for a payment; frozen on the attempt when it starts.

    The fee is ``rate`` of the amount received, between ``minimum`` and ``maximum`` (minor units), and never more
    than what was received (BOOKS.md, Fees). ``kept``: it stays ours when the payment is refunded.
    """

    rate: Rate
    minimum: int = 0
    maximum: int | None = None
    kept: bool = False

    def __post_init__(self) -> None:
        if self.minimum < 0 or (self.maximum is not None and self.maximum < self.minimum):
            raise InvalidRequest("a fee plan needs 0 <= minimum <= maximum", code="fee_plan_invalid")

    def fee(self, received: Money) -> Money:
        fee = max(self.rate.of(received).minor, self.minimum)
        if self.maximum is not None:
            fee = min(fee, self.maximum)
        return Money(min(fee, received.minor), received.currency)

    def share(self, *, fee: Money, received: Money, refunded: Money, returned: Money) -> Money:
        """The part of ``fee`` that goes back with a refund.

        ``refunded`` is the total refunded so far including this refund, ``returned`` what earlier refunds took back.
        Rounding the running total, not each part, makes the shares of many partial refunds add up to the fee. A
        refund that was voided in between may leave more returned than the total asks for: then nothing is added.
        """
        if self.kept or not received:
            return Money(0, fee.currency)
        total = (2 * fee.minor * refunded.minor + received.minor) // (2 * received.minor)
        return Money(max(total - returned.minor, 0), fee.currency)
