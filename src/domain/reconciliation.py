"""Reconciliation: what the bill says against what we recorded, one key at a time, and the life of a difference.

Equal pairs never come here: the database drops them (a set operation over millions). What is left is judged by
``classify``, so that the rules stand once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Self

from domain.channels import Mode
from domain.errors import Conflict
from domain.money import Money
from domain.numbers import is_ours
from domain.statements import Line, LineKind, LineStatus
from domain.states import Table, step


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A payment or refund as we recorded it, in the words of a bill's line. ``fee`` is the channel's charge that we
    expect of it; ``id`` our object; ``account_id`` the account that we believe the money is in. A refund that the
    channel gave up after it had taken it is ``failed``, a bar code payment that was undone a refund of its own number,
    ``reversed``."""

    id: str
    kind: LineKind
    number: str
    transaction_id: str
    account_id: str
    received: Money
    fee: int
    status: LineStatus
    channel_date: date


class DifferenceKind(StrEnum):
    MISSING_HERE = "missing_here"  # 平台漏单: on the bill, unknown to us
    MISSING_THERE = "missing_there"  # 通道漏单: recorded here, on no bill
    AMOUNT = "amount"
    FEE = "fee"
    STATUS = "status"
    DUPLICATE = "duplicate"
    CURRENCY = "currency"
    TRANSACTION = "transaction"  # one number, two transactions of the channel
    WRONG_ACCOUNT = "wrong_account"
    UNMOVED = "unmoved"  # traded, but not moved in the fund bill, or with another amount
    UNTRADED = "untraded"  # moved in the fund bill, but on no trade bill
    BALANCE = "balance"  # the account at the channel and our receivable differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference, both sides side by side; or, with ``held``, one side that waits for a neighbouring day."""

    kind: DifferenceKind
    line: Line | None
    ours: Ours | None
    held: bool = False

    @property
    def day(self) -> date:
        """The day it belongs to: the bill's, or that of our record where no bill has it."""
        if self.line is not None:
            return self.line.day
        assert self.ours is not None
        return self.ours.channel_date

    @property
    def effect(self) -> int:
        """By how much the account at the channel holds more than our books say, because of it, in minor units."""
        theirs = net(self.line.kind, self.line.received, 0) if self.line else 0
        mine = net(self.ours.kind, self.ours.received, 0) if self.ours else 0
        match self.kind:
            case DifferenceKind.MISSING_HERE | DifferenceKind.DUPLICATE:
                return theirs
            case DifferenceKind.MISSING_THERE:
                return -mine
            case DifferenceKind.AMOUNT:
                return theirs - mine
        return 0

    @property
    def difference(self) -> "Difference":
        """What is kept of it. The key is stable over runs: the same difference found again is the same."""
        side = self.line or self.ours
        assert side is not None
        fee = self.kind is DifferenceKind.FEE and self.line and self.ours
        return Difference(
            key=f"{self.kind}:{side.kind}:{side.number or side.transaction_id}",
            kind=self.kind,
            amount=self.line.fee - self.ours.fee if fee and self.line and self.ours else self.effect,
            number=side.number,
            transaction_id=side.transaction_id,
            line_n=self.line.n if self.line else None,
            ours_id=self.ours.id if self.ours else None,
        )


def net(kind: LineKind, received: Money, fee: int) -> int:
    """What a line does to the account at the channel, signed minor units: a payment adds, a refund and a fee take."""
    return (received.minor if kind is LineKind.PAYMENT else -received.minor) - fee


# Around midnight a channel may book on the other day than we did. How many days of waiting a setting says.
HOLD_DAYS = 1
HOLD_DAYS_AT_MOST = 3


def classify(
    lines: Sequence[Line], ours: Sequence[Ours], *, account_id: str, today: date, hold_days: int = HOLD_DAYS
) -> Iterator[Finding]:
    """The findings of one key (kind, number): all lines of the bill under it, and all that we recorded under it.

    ``today`` is the newest day whose bill has been read: what is older than ``hold_days`` before it waits no longer.
    One pair may differ in several ways; each is a finding of its own.
    """
    assert lines or ours
    for extra in lines[1:]:
        if _another(extra, lines[0]):
            held = today < extra.day + timedelta(days=hold_days)
            yield Finding(kind=DifferenceKind.MISSING_HERE, line=extra, ours=None, held=held)
        else:
            yield Finding(kind=DifferenceKind.DUPLICATE, line=extra, ours=ours[0] if ours else None)
    if not ours:
        line = lines[0]
        if line.status is LineStatus.FAILED:
            return  # it came to nothing, and nothing is what we know of it
        held = today < line.day + timedelta(days=hold_days)
        yield Finding(kind=DifferenceKind.MISSING_HERE, line=line, ours=None, held=held)
        return
    match = None
    if lines:
        line = lines[0]
        match = next((one for one in ours if one.transaction_id == line.transaction_id), ours[0])
        yield from (Finding(kind=kind, line=line, ours=match) for kind in _differences(line, match, account_id))
    for one in ours:
        if one is not match and one.status is not LineStatus.FAILED:  # what was given up need not be on a bill
            held = today < one.channel_date + timedelta(days=hold_days)
            yield Finding(kind=DifferenceKind.MISSING_THERE, line=None, ours=one, held=held)


def _another(extra: Line, first: Line) -> bool:
    """Whether it is a refund of its own: Alipay names those made in its console by the payment's number alone."""
    return not extra.number and (extra.received, extra.at) != (first.received, first.at)


def _differences(line: Line, ours: Ours, account_id: str) -> Iterator[DifferenceKind]:
    # A bill tells a refund as it stood when the bill was made; the channel may have given it up since.
    taken = line.kind is LineKind.REFUND and line.status is LineStatus.SUCCEEDED
    if ours.account_id != account_id:
        yield DifferenceKind.WRONG_ACCOUNT
    if line.received.currency != ours.received.currency:
        yield DifferenceKind.CURRENCY
    elif line.received != ours.received:
        yield DifferenceKind.AMOUNT
    if line.fee != ours.fee and ours.status is not LineStatus.FAILED:
        yield DifferenceKind.FEE
    if line.status is not ours.status and not (taken and ours.status is LineStatus.FAILED):
        yield DifferenceKind.STATUS
    if line.transaction_id != ours.transaction_id and line.status is not LineStatus.REVERSED:
        yield DifferenceKind.TRANSACTION


def foreign(line: Line) -> bool:
    """A line of the merchant's own business, not of ours: counted, never a difference (BOOKS.md, direct mode)."""
    return not is_ours(line.number or line.payment_number) and not is_ours(line.payment_number)


def keyed(lines: Iterable[Line], ours: Iterable[Ours]) -> Iterator[tuple[tuple[LineKind, str], list[Line], list[Ours]]]:
    """What is left after the equal pairs, grouped by (kind, number), in the order of the keys.

    A refund from the channel's console has no number of ours: its transaction id stands for it. A payment that was
    undone, and of which we know neither, came to nothing and is left out.
    """
    groups: dict[tuple[LineKind, str], tuple[list[Line], list[Ours]]] = {}
    for line in lines:
        groups.setdefault((line.kind, line.number or line.transaction_id), ([], []))[0].append(line)
    for one in ours:
        groups.setdefault((one.kind, one.number or one.transaction_id), ([], []))[1].append(one)
    for key in sorted(groups):
        if not _undone(key[1], groups):
            yield key, *groups[key]


def _undone(number: str, groups: Mapping[tuple[LineKind, str], tuple[list[Line], list[Ours]]]) -> bool:
    (paid, ours), (back, mine) = (groups.get((kind, number), ([], [])) for kind in (LineKind.PAYMENT, LineKind.REFUND))
    undone = len(paid) == len(back) == 1 and back[0].status is LineStatus.REVERSED and not ours and not mine
    return undone and paid[0].received == back[0].received


class DiscrepancyStatus(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"
    VANISHED = "vanished"  # a later run no longer finds it: the bill was re-issued, or the fact came


DISCREPANCY_TRANSITIONS: Table[DiscrepancyStatus] = {
    DiscrepancyStatus.OPEN: frozenset({DiscrepancyStatus.RESOLVED, DiscrepancyStatus.VANISHED}),
    DiscrepancyStatus.RESOLVED: frozenset(),
    DiscrepancyStatus.VANISHED: frozenset({DiscrepancyStatus.OPEN}),
}


class Remedy(StrEnum):
    """What a person decides, as named actions. Each posts transfers or corrects states, and each once."""

    CONFIRM_PAYMENT = "confirm_payment"  # the channel has it, we lost it: book it to its order, or to suspense
    BOOK_TO_SUSPENSE = "book_to_suspense"  # it is kept aside, whatever its order: a person will say whose it is
    REFUND = "refund"  # it goes back to its payer, by the same refund as any money that came late
    RECORD_REFUND = "record_refund"  # made in the channel's console: record it as the order's
    ACCEPT_CHANNEL = "accept_channel"  # the channel's figure is right: the difference is posted
    ACCEPT_OURS = "accept_ours"  # ours is right and the channel will correct it: nothing is posted
    WRITE_OFF = "write_off"  # the platform bears or takes it: against the adjustment account


_LOST = frozenset({Remedy.CONFIRM_PAYMENT, Remedy.BOOK_TO_SUSPENSE, Remedy.REFUND})
# Which remedy makes sense for what. A test says that every kind has at least one.
REMEDIES: dict[DifferenceKind, frozenset[Remedy]] = {
    DifferenceKind.MISSING_HERE: _LOST | {Remedy.RECORD_REFUND, Remedy.ACCEPT_CHANNEL},
    DifferenceKind.MISSING_THERE: frozenset({Remedy.ACCEPT_OURS, Remedy.WRITE_OFF}),
    DifferenceKind.AMOUNT: frozenset({Remedy.ACCEPT_CHANNEL, Remedy.ACCEPT_OURS}),
    DifferenceKind.FEE: frozenset({Remedy.ACCEPT_CHANNEL, Remedy.ACCEPT_OURS}),
    DifferenceKind.STATUS: frozenset({Remedy.ACCEPT_CHANNEL, Remedy.ACCEPT_OURS}),
    DifferenceKind.DUPLICATE: frozenset({Remedy.ACCEPT_OURS, Remedy.ACCEPT_CHANNEL}),
    DifferenceKind.CURRENCY: frozenset({Remedy.ACCEPT_OURS}),
    DifferenceKind.TRANSACTION: _LOST | {Remedy.ACCEPT_OURS},
    DifferenceKind.WRONG_ACCOUNT: frozenset({Remedy.ACCEPT_OURS, Remedy.ACCEPT_CHANNEL}),
    DifferenceKind.UNMOVED: frozenset({Remedy.ACCEPT_OURS, Remedy.WRITE_OFF}),
    DifferenceKind.UNTRADED: frozenset({Remedy.ACCEPT_OURS, Remedy.WRITE_OFF}),
    DifferenceKind.BALANCE: frozenset({Remedy.ACCEPT_OURS, Remedy.WRITE_OFF}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Any difference of a day, whichever comparison found it. ``amount``: what the account at the channel holds more
    than our books say because of it; for a fee, what the channel charged more than we expected."""

    key: str
    kind: DifferenceKind
    amount: int
    number: str = ""
    transaction_id: str = ""
    line_n: int | None = None
    ours_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """A difference 差错 with an owner and a life. Unique by (account, day, key); ``amount`` is what is in question."""

    id: str
    account_id: str
    mode: Mode
    day: date
    key: str
    kind: DifferenceKind
    line_n: int | None
    ours_id: str | None
    number: str
    transaction_id: str
    amount: int
    found_at: datetime
    status: DiscrepancyStatus = DiscrepancyStatus.OPEN
    owner: str | None = None
    remedy: Remedy | None = None
    note: str = ""
    resolved_at: datetime | None = None
    resolved_by: str | None = None

    @classmethod
    def of(cls, found: Difference, *, id: str, account_id: str, mode: Mode, day: date, now: datetime) -> Self:
        """A difference that no earlier run has found."""
        return cls(
            id=id,
            account_id=account_id,
            mode=mode,
            day=day,
            key=found.key,
            kind=found.kind,
            line_n=found.line_n,
            ours_id=found.ours_id,
            number=found.number,
            transaction_id=found.transaction_id,
            amount=found.amount,
            found_at=now,
        )

    @property
    def live(self) -> bool:
        return self.status is DiscrepancyStatus.OPEN

    def resolved(self, remedy: Remedy, *, by: str, note: str, now: datetime) -> Self:
        if remedy not in REMEDIES[self.kind]:
            raise Conflict(f"{remedy} is no remedy for {self.kind}", code="remedy_unfit")
        return replace(self, remedy=remedy, resolved_by=by, note=note, resolved_at=now)._to(DiscrepancyStatus.RESOLVED)

    def owned(self, by: str | None) -> Self:
        """Somebody has taken it on; None: nobody."""
        if not self.live:
            raise Conflict(f"this discrepancy is {self.status}", code="discrepancy_settled")
        return replace(self, owner=by)

    def vanished(self, now: datetime) -> Self:
        return replace(self, resolved_at=now)._to(DiscrepancyStatus.VANISHED)

    def found_again(self, found: Difference) -> Self:
        """A later run finds it too, perhaps with other figures; one that had vanished is open again."""
        again = replace(self, line_n=found.line_n, ours_id=found.ours_id, amount=found.amount)
        if self.status is not DiscrepancyStatus.VANISHED:
            return again if self.live else self
        return replace(again, resolved_at=None)._to(DiscrepancyStatus.OPEN)

    def _to(self, status: DiscrepancyStatus) -> Self:
        return replace(self, status=step("discrepancy", DISCREPANCY_TRANSITIONS, self.status, status))
