"""What release, settlement and payout post (BOOKS.md, Facts, collect mode): debit → credit, one function a fact."""

from dataclasses import dataclass
from datetime import date, datetime

from domain.channels import Mode
from domain.ledger import PLATFORM, Account, AccountKind, Leg, Transfer, transfers_of
from domain.money import Money
from domain.releases import Release
from domain.settlements import Settlement

CREATED = "settlement_created"


def released(release: Release, amount: int, at: datetime) -> tuple[Transfer, ...]:
    """MP → MA: what a payment has in pending (minor units). Once more, under another key, when a refund gave some of
    it back later; below zero it is filled up, MA → MP."""
    ends = tuple(
        Account(kind, release.merchant_id, release.mode, release.net.currency)
        for kind in (AccountKind.MERCHANT_PENDING, AccountKind.MERCHANT_AVAILABLE)
    )
    debit, credit = ends if amount > 0 else ends[::-1]
    line = (str(release.times), debit, credit, Money(abs(amount), release.net.currency))
    return transfers_of(f"release:{release.payment_id}", "released", release.payment_id, at, line)


def debt_repaid(
    merchant_id: str, mode: Mode, amount: Money, at: datetime, *, cause: str, about: str
) -> tuple[Transfer, ...]:
    """MA → MD: a debt comes first. ``cause`` is the key of what made the money available, or would have taken it."""
    available, debt = (
        Account(kind, merchant_id, mode, amount.currency)
        for kind in (AccountKind.MERCHANT_AVAILABLE, AccountKind.MERCHANT_DEBT)
    )
    return transfers_of(cause, "debt_repaid", about, at, ("debt", available, debt, amount))


def settlement_created(settlement: Settlement) -> tuple[Transfer, ...]:
    """MA → MS: all that was swept; MS → MA: what is beyond the maximum, as a new transfer for the next settlement."""
    available, settling = _ends(settlement)
    return (
        *_about(settlement, CREATED, settlement.created_at, ("created", available, settling, settlement.swept)),
        *_about(
            settlement,
            "settlement_carried",
            settlement.created_at,
            ("carried", settling, available, settlement.carried),
        ),
    )


def settlement_returned(settlement: Settlement, at: datetime) -> tuple[Transfer, ...]:
    """MS → MA: rejected, or its payout failed or was cancelled."""
    available, settling = _ends(settlement)
    return _about(settlement, "settlement_returned", at, ("returned", settling, available, settlement.amount))


def payout_done(settlement: Settlement, debited_at: datetime | None = None) -> tuple[Transfer, ...]:
    """MS → source (payout); MS → FI (fee); CC → source (what the rail took for it): on the day on which the rail took
    it from the source, as its bill has it."""
    assert settlement.paid_at is not None
    assert settlement.source is not None
    _, settling = _ends(settlement)
    source = settlement.source.account(settlement.mode, settlement.amount.currency)
    return _about(
        settlement,
        "payout_done",
        debited_at or settlement.paid_at,
        ("paid", settling, source, settlement.payout),
        ("fee", settling, _in(settlement, AccountKind.FEE_INCOME, PLATFORM), settlement.fee),
        ("charge", _in(settlement, AccountKind.CHANNEL_COST, PLATFORM), source, settlement.charge),
    )


def payout_bounced(settlement: Settlement, at: datetime) -> tuple[Transfer, ...]:
    """source → MS, then MS → MA. The fee and the charge were for the transfer, and stay."""
    assert settlement.source is not None
    available, settling = _ends(settlement)
    source = settlement.source.account(settlement.mode, settlement.amount.currency)
    return _about(
        settlement,
        "payout_bounced",
        at,
        ("bounced", source, settling, settlement.payout),
        ("bounced:returned", settling, available, settlement.payout),
    )


@dataclass(frozen=True, slots=True)
class AvailableLine:
    """A transfer seen from the available balance that it moves: in positive, out negative.

    Every one is inside one settlement at most (``settlement_id``), so what is in none is the balance. What takes the
    money out for a settlement is inside it too: the lines of a settlement add up to zero.
    """

    idem_key: str
    account: Account
    amount: int
    settlement_id: str | None


def available_line(transfer: Transfer) -> AvailableLine | None:
    """None for a transfer that moves no available balance."""
    if transfer.credit.kind is AccountKind.MERCHANT_AVAILABLE:
        return AvailableLine(transfer.idem_key, transfer.credit, transfer.amount.minor, None)
    if transfer.debit.kind is AccountKind.MERCHANT_AVAILABLE:
        inside = transfer.about if transfer.fact == CREATED else None
        return AvailableLine(transfer.idem_key, transfer.debit, -transfer.amount.minor, inside)
    return None


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One transfer inside a settlement, for the merchant: what it was, which object it came from, signed amount."""

    idem_key: str
    fact: str
    about: str
    amount: int
    currency: str
    channel_date: date


def _ends(settlement: Settlement) -> tuple[Account, Account]:
    return (
        _in(settlement, AccountKind.MERCHANT_AVAILABLE, settlement.merchant_id),
        _in(settlement, AccountKind.MERCHANT_SETTLING, settlement.merchant_id),
    )


def _in(settlement: Settlement, kind: AccountKind, owner: str) -> Account:
    return Account(kind, owner, settlement.mode, settlement.amount.currency)


def _about(settlement: Settlement, fact: str, at: datetime, *lines: Leg) -> tuple[Transfer, ...]:
    return transfers_of(f"settlement:{settlement.id}", fact, settlement.id, at, *lines)
