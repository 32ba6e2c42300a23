"""What account entries post (BOOKS.md, Facts, collect mode): debit → credit, one function a kind."""

from domain.account_entries import AccountEntry, EntryKind
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.times import shanghai_day

_K = AccountKind
# Debit → credit. MA and MF are the merchant's own; the others the platform's.
_RULES = {
    EntryKind.FREEZE: ("frozen", _K.MERCHANT_AVAILABLE, _K.MERCHANT_FROZEN),
    EntryKind.UNFREEZE: ("unfrozen", _K.MERCHANT_FROZEN, _K.MERCHANT_AVAILABLE),
    EntryKind.TOP_UP: ("topped_up", _K.BANK, _K.MERCHANT_AVAILABLE),
    EntryKind.CREDIT: ("adjusted", _K.ADJUSTMENT, _K.MERCHANT_AVAILABLE),
    EntryKind.DEBIT: ("adjusted", _K.MERCHANT_AVAILABLE, _K.ADJUSTMENT),
    EntryKind.BANK_ARRIVAL: ("bank_arrived", _K.BANK, _K.BANK_TRANSIT),
}
_MERCHANTS = frozenset({_K.MERCHANT_AVAILABLE, _K.MERCHANT_FROZEN})


def lowered_by(entry: AccountEntry) -> Account | None:
    """The merchant's account that it takes from, whose balance has to bear it."""
    debit, _ = _ends(entry)
    return debit if debit.kind in _MERCHANTS else None


def booked(entry: AccountEntry) -> tuple[Transfer, ...]:
    """MA → MF or back; BANK → MA; ADJ → MA or back; BANK → BT."""
    debit, credit = _ends(entry)
    transfer = Transfer(
        idem_key=f"entry:{entry.id}:{entry.kind}",
        fact=_RULES[entry.kind][0],
        debit=debit,
        credit=credit,
        amount=entry.amount,
        about=entry.id,
        channel_date=shanghai_day(entry.created_at),
    )
    return (transfer,)


def _ends(entry: AccountEntry) -> tuple[Account, Account]:
    _, debit, credit = _RULES[entry.kind]
    return _account(entry, debit), _account(entry, credit)


def _account(entry: AccountEntry, kind: AccountKind) -> Account:
    owner = entry.merchant_id if kind in _MERCHANTS else PLATFORM
    assert owner is not None
    return Account(kind, owner, entry.mode, entry.amount.currency)
