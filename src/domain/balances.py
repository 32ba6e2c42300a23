"""What a merchant has, by where it stands: pending, available, frozen, on its way out, owed."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from domain.channels import Mode
from domain.ledger import Account, AccountKind

_K = AccountKind
# By the names that merchants know them by: the account, and whether its balance is a claim of ours on the merchant,
# which lives on debits (BOOKS.md, Accounts). The last two are of direct mode.
STANDINGS: Mapping[str, tuple[AccountKind, int]] = MappingProxyType(
    {
        "pending": (_K.MERCHANT_PENDING, 1),
        "available": (_K.MERCHANT_AVAILABLE, 1),
        "frozen": (_K.MERCHANT_FROZEN, 1),
        "refunding": (_K.MERCHANT_REFUNDING, 1),
        "settling": (_K.MERCHANT_SETTLING, 1),
        "debt": (_K.MERCHANT_DEBT, -1),
        "direct_held": (_K.DIRECT_OWED, 1),
        "service_fee_due": (_K.SERVICE_FEE_DUE, -1),
    }
)


def account_of(merchant_id: str, mode: Mode, currency: str, standing: str) -> Account:
    """The merchant's account of this name. Raises KeyError for a name that is none of STANDINGS."""
    return Account(STANDINGS[standing][0], merchant_id, mode, currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A merchant's balance in one currency, in minor units, all of one moment. ``debt`` and ``service_fee_due`` are
    what the merchant owes."""

    currency: str
    pending: int
    available: int
    frozen: int
    refunding: int
    settling: int
    debt: int
    direct_held: int
    service_fee_due: int

    @classmethod
    def of(cls, currency: str, figures: Mapping[AccountKind, int]) -> Self:
        """``figures`` are credits minus debits, by account; one that is missing is zero."""
        return cls(currency=currency, **{name: sign * figures.get(kind, 0) for name, (kind, sign) in STANDINGS.items()})
