"""The ledger: accounts and transfers. A transfer has two ends and a positive amount, so it cannot be unbalanced."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from domain.channels import Mode
from domain.money import Money
from domain.times import shanghai_day


class AccountKind(StrEnum):
    """BOOKS.md, Accounts. The values are stored; never rename one."""

    CHANNEL_RECEIVABLE = "CR"
    BANK = "BANK"
    BANK_TRANSIT = "BT"
    MERCHANT_PENDING = "MP"
    MERCHANT_AVAILABLE = "MA"
    MERCHANT_FROZEN = "MF"
    MERCHANT_REFUNDING = "MR"
    MERCHANT_SETTLING = "MS"
    MERCHANT_DEBT = "MD"
    SUSPENSE = "SUS"
    FEE_INCOME = "FI"
    CHANNEL_COST = "CC"
    ADJUSTMENT = "ADJ"
    OPENING = "OPEN"
    DIRECT_HELD = "DH"
    DIRECT_OWED = "DO"
    SERVICE_FEE_DUE = "SFD"


# These may not go below zero: whatever lowers one locks its guard row first (DESIGN 3.7).
GUARDED = frozenset(
    {AccountKind.MERCHANT_PENDING, AccountKind.MERCHANT_AVAILABLE, AccountKind.MERCHANT_FROZEN, AccountKind.SUSPENSE}
)

PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Account:
    """One account. ``owner`` is a merchant, a channel account, a bank account, or ``platform``; ``fund`` is the
    channel's own sub-account of a receivable (BASIC, OPERATION, FEES)."""

    kind: AccountKind
    owner: str
    mode: Mode
    currency: str
    fund: str = ""

    @property
    def id(self) -> int:
        """A signed 64-bit digest of the identity: posting needs no lookup (docs/decisions/0001-account-ids.md)."""
        text = f"{self.kind}|{self.owner}|{self.fund}|{self.mode}|{self.currency}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One ledger row. ``idem_key`` follows from the fact: the same fact posts once, another under its key is an error.

    ``fact`` names the posting rule, ``about`` the object it came from, ``channel_date`` the channel's day of the fact.
    """

    idem_key: str
    fact: str
    debit: Account
    credit: Account
    amount: Money
    about: str
    channel_date: date

    def __post_init__(self) -> None:
        assert self.amount, "a transfer of zero is not posted"
        assert self.debit != self.credit, "a transfer has two ends"
        assert self.debit.mode == self.credit.mode, "test money and live money never meet"
        assert self.debit.currency == self.credit.currency == self.amount.currency, "one currency a transfer"


# The part of a fact that it stands for, and what it moves: debit, credit, amount.
Leg = tuple[str, Account, Account, Money]


def transfers_of(key: str, fact: str, about: str, at: datetime, *legs: Leg) -> tuple[Transfer, ...]:
    """One fact's rows, under ``key`` and the part's name. What would move nothing is left out."""
    return tuple(
        Transfer(
            idem_key=f"{key}:{part}",
            fact=fact,
            debit=debit,
            credit=credit,
            amount=amount,
            about=about,
            channel_date=shanghai_day(at),
        )
        for part, debit, credit, amount in legs
        if amount
    )
