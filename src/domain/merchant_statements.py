"""A merchant's own statement (商户对账单) of one day: what moved in its accounts here, and from what to what."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from domain.channels import Mode
from domain.ledger import AccountKind

# The merchant's accounts by the names of their columns. What a merchant owes (debt, service fee) is positive, too.
BALANCES: Mapping[str, AccountKind] = {
    "pending": AccountKind.MERCHANT_PENDING,
    "available": AccountKind.MERCHANT_AVAILABLE,
    "frozen": AccountKind.MERCHANT_FROZEN,
    "refunding": AccountKind.MERCHANT_REFUNDING,
    "settling": AccountKind.MERCHANT_SETTLING,
    "debt": AccountKind.MERCHANT_DEBT,
    "direct": AccountKind.DIRECT_OWED,
    "service_fee_due": AccountKind.SERVICE_FEE_DUE,
}
OWED = frozenset({AccountKind.MERCHANT_DEBT, AccountKind.SERVICE_FEE_DUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: everything that one fact about one object moved in the merchant's accounts on that posting day.

    ``balances`` is the change of each of BALANCES in minor units; of the line ``opening`` what stood there before.
    ``amount`` is what was paid (negative: given back) and ``fee`` our charge for it (negative: returned), on the line
    where the channel moved the money; None elsewhere. ``account_id`` and ``channel_date`` say which statement day of
    which channel account tells of it, where one does.
    """

    type: str
    balances: tuple[int, ...]
    at: datetime | None = None
    object_id: str = ""
    order_id: str = ""
    merchant_order_no: str = ""
    merchant_refund_no: str = ""
    method: str = ""
    transaction_id: str = ""
    channel_time: datetime | None = None
    amount: int | None = None
    fee: int | None = None
    account_id: str = ""
    channel_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantStatement:
    """Unique by (merchant, mode, day). Final once it is frozen: then its bytes never change again, and their SHA-256,
    size and number of entries are known. Until then it is provisional: what is told may still grow."""

    merchant_id: str
    mode: Mode
    day: date
    frozen_at: datetime | None = None
    sha256: str = ""
    size: int = 0
    entries: int = 0

    @property
    def final(self) -> bool:
        return self.frozen_at is not None
