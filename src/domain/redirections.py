"""Where an abnormal refund goes instead: to another card of its payer's, or back to who collected the payment."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from domain.errors import InvalidRequest


class Destination(StrEnum):
    """Where a refund went in the end. ``merchant_account``: the payer is paid outside, by who received the payment."""

    ORIGINAL = "original"
    PAYER_CARD = "payer_card"
    MERCHANT_ACCOUNT = "merchant_account"


# WeChat Pay 发起异常退款 (https://pay.weixin.qq.com/doc/v3/merchant/4013071193): debit cards of these banks alone.
_NAMES = "CMB COMM ABC CCB ICBC BOC PAB SPDB CITIC CEB CMBC CIB GDB PSBC NBCB"
BANKS = frozenset(f"{bank}_DEBIT" for bank in _NAMES.split())
_CARD = re.compile(r"[0-9]{12,19}")  # ISO/IEC 7812


@dataclass(frozen=True, slots=True)
class Card:
    """A payer's debit card, as said to the channel and to nobody else."""

    bank: str
    number: str = field(repr=False)
    holder: str = field(repr=False)

    def __post_init__(self) -> None:
        if self.bank not in BANKS:
            raise InvalidRequest("the channel pays to no card of this bank", code="bank_unknown", pointer="/card/bank")
        if not _CARD.fullmatch(self.number):
            raise InvalidRequest("a card has 12 to 19 digits", code="bank_account_invalid", pointer="/card/number")


@dataclass(frozen=True, slots=True)
class Redirection:
    """Where a refund shall go, from the proposal until the channel has taken it or somebody has said no: the card in
    ``sealed`` is kept no longer than that."""

    to: Destination
    sealed: bytes = field(default=b"", repr=False)
    approved: bool = False
