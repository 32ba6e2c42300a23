"""What goes back to a merchant's account together with a refund."""

from dataclasses import dataclass

from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """What a receiver of a share (分账) gives back with a refund, where the channel does both at once (Alipay)."""

    account: str
    by_login: bool
    amount: Money
