"""Statements (对账单): a channel's bill of one day for one channel account, its lines, how far that day has come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple, Self

from domain.channels import Mode
from domain.errors import Conflict
from domain.money import Money
from domain.states import Table, step
from domain.times import midnight


class StatementKind(StrEnum):
    """The two bills that both channels publish."""

    TRADE = "trade"  # what payers paid and got back (WeChat 交易账单, Alipay 业务明细)
    FUND = "fund"  # what moved in the account at the channel (WeChat 资金账单, Alipay 账务明细)


class LineKind(StrEnum):
    PAYMENT = "payment"
    REFUND = "refund"


class LineStatus(StrEnum):
    """What a trade bill says of a payment or refund, as far as it moves the account's money."""

    SUCCEEDED = "succeeded"  # a refund that the channel has taken and not yet paid has moved it too
    FAILED = "failed"  # a refund that came to nothing
    REVERSED = "reversed"  # a bar code payment that was undone (撤销)


class Line(NamedTuple):
    """One line of a trade bill, in our words. A tuple, for a day may have millions.

    ``number`` is out_trade_no of a payment, out_refund_no or out_request_no of a refund (the channel's own, or empty,
    for one that was made in its console); ``transaction_id`` the channel's own number, the one that the fund bill names
    too: of the payment, and of the refund where refunds have their own (WeChat's refund_id). ``received`` is what the
    account is credited, for a refund what it is debited. ``fee`` is the channel's charge in minor units: positive for
    charged, negative for given back. ``day`` is the bill's; it may differ from the day of ``at`` around midnight.
    ``at`` is to the second.
    """

    n: int
    day: date
    kind: LineKind
    number: str
    payment_number: str
    transaction_id: str
    total: Money
    received: Money
    fee: int
    status: LineStatus
    at: datetime
    method: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one trade bill: those that most of it is made of column by column, and the others.

    Usual are payments in renminbi that succeeded. A day may have a million of them: what is read, checked and written
    column by column costs a fraction. Amounts are in minor units, times in seconds since the day's midnight in
    Shanghai.
    """

    day: date
    others: Sequence[Line]
    n: Sequence[int] = ()
    numbers: Sequence[str] = ()
    transaction_ids: Sequence[str] = ()
    totals: Sequence[int] = ()
    received: Sequence[int] = ()
    fees: Sequence[int] = ()
    seconds: Sequence[int] = ()
    methods: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.n) + len(self.others)

    def __iter__(self) -> Iterator[Line]:
        """In the order of the bill."""
        return iter(sorted((*self._usual(), *self.others), key=attrgetter("n")))

    def _usual(self) -> Iterator[Line]:
        begins = midnight(self.day)
        for n, number, id_, total, received, fee, second, method in zip(
            self.n, self.numbers, self.transaction_ids, self.totals, self.received, self.fees, self.seconds,
            self.methods, strict=True,
        ):  # fmt: skip
            yield Line(
                n=n,
                day=self.day,
                kind=LineKind.PAYMENT,
                number=number,
                payment_number=number,
                transaction_id=id_,
                total=Money(total),
                received=Money(received),
                fee=fee,
                status=LineStatus.SUCCEEDED,
                at=begins + timedelta(seconds=second),
                method=method,
            )


class Movement(StrEnum):
    """Why money moved in an account at the channel. ``other`` becomes an item for a person."""

    PAYMENT = "payment"
    REFUND = "refund"
    FEE = "fee"
    FEE_RETURNED = "fee_returned"
    REFUND_CLOSED = "refund_closed"
    PAYOUT = "payout"  # to the bank (提现)
    TOP_UP = "top_up"
    SHARED = "shared"  # 分账 out of the account
    SHARE_RETURNED = "share_returned"
    TRANSFER = "transfer"  # a payment to a payee out of the account (付款, 转账)
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class FundLine:
    """One line of a fund bill. ``flow_id`` is unique in its account; ``amount`` is signed: in positive, out negative.

    ``transaction_id`` names the payment or refund it belongs to; ``number`` the merchant's number, where the bill has
    one; ``balance`` is the account's balance after it (账户结余), in minor units.
    """

    n: int
    fund: str
    flow_id: str
    transaction_id: str
    number: str
    movement: Movement
    amount: int
    balance: int
    at: datetime
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFile:
    """A bill as it was published or uploaded, kept as it is. ``provenance`` says where it came from: ``channel`` or
    ``upload:`` and who did it. ``fund`` names the account at the channel, for fund bills."""

    id: str
    account_id: str
    mode: Mode
    day: date
    kind: StatementKind
    fund: str
    sha256: str
    size: int
    provenance: str
    received_at: datetime
    lines: int = 0

    @property
    def bill(self) -> str:
        """Which of the day's bills it is: ``trade``, ``fund:BASIC``. The last file of each is the one in force."""
        return self.kind if self.kind is StatementKind.TRADE else f"{self.kind}:{self.fund}"


class DayStatus(StrEnum):
    AWAITING_BILL = "awaiting_bill"
    NO_BILL = "no_bill"  # the channel says there was nothing: a legitimate zero
    FETCH_FAILED = "fetch_failed"
    FETCHED = "fetched"
    MATCHED = "matched"
    WITH_DIFFERENCES = "with_differences"
    CLOSED = "closed"
    REOPENED = "reopened"


_D = DayStatus

DAY_TRANSITIONS: Table[DayStatus] = {
    _D.AWAITING_BILL: frozenset({_D.FETCHED, _D.NO_BILL, _D.FETCH_FAILED}),
    _D.FETCH_FAILED: frozenset({_D.FETCHED, _D.NO_BILL, _D.FETCH_FAILED}),
    _D.NO_BILL: frozenset({_D.FETCHED, _D.MATCHED, _D.WITH_DIFFERENCES}),
    _D.FETCHED: frozenset({_D.FETCHED, _D.MATCHED, _D.WITH_DIFFERENCES}),
    # Matching may be repeated any number of times; a bill may be published anew before the day is closed.
    _D.MATCHED: frozenset({_D.FETCHED, _D.MATCHED, _D.WITH_DIFFERENCES, _D.CLOSED}),
    _D.WITH_DIFFERENCES: frozenset({_D.FETCHED, _D.MATCHED, _D.WITH_DIFFERENCES, _D.CLOSED}),
    _D.CLOSED: frozenset({_D.REOPENED}),
    _D.REOPENED: frozenset({_D.MATCHED, _D.WITH_DIFFERENCES}),  # further files may come until it is compared
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementDay:
    """One day of one channel account: unique by the two. ``files`` has the SHA-256 of each bill in force.

    ``next_at``: when to ask the channel (again) for what is missing, None for not at all.
    """

    account_id: str
    mode: Mode
    day: date
    status: DayStatus = DayStatus.AWAITING_BILL
    files: Mapping[str, str] = field(default_factory=dict)
    next_at: datetime | None = None
    tries: int = 0
    differences: int = 0
    held: int = 0
    foreign: int = 0
    matched: int = 0
    note: str = ""
    closed_by: str | None = None

    @property
    def closed(self) -> bool:
        return self.status is DayStatus.CLOSED

    @property
    def read(self) -> bool:
        """Whether its trade bill is known: there, or legitimately none."""
        return self.status not in (DayStatus.AWAITING_BILL, DayStatus.FETCH_FAILED) and (
            StatementKind.TRADE in self.files or self.status is not DayStatus.FETCHED
        )

    @property
    def has_fund_bill(self) -> bool:
        return any(bill.startswith(StatementKind.FUND) for bill in self.files)

    def fetched(self, file: StatementFile) -> Self:
        """A bill has been read in whole. The same file again changes nothing; another one reopens a closed day."""
        if self.files.get(file.bill) == file.sha256:
            return self
        files = {**self.files, file.bill: file.sha256}
        if self.closed:
            return replace(self._to(DayStatus.REOPENED), files=files)
        if self.status is DayStatus.REOPENED:
            return replace(self, files=files)
        if self.status is DayStatus.NO_BILL and file.kind is StatementKind.FUND:
            return replace(self, files=files)  # that nothing was traded stays known
        return replace(self._to(DayStatus.FETCHED), files=files)

    def empty(self) -> Self:
        """The channel says that this day has no trade bill. One that was read stands; said again it changes nothing."""
        known = self.files or self.status not in (DayStatus.AWAITING_BILL, DayStatus.FETCH_FAILED)
        return self if known else self._to(DayStatus.NO_BILL)

    def complete(self) -> Self:
        """Nothing more is expected from the channel."""
        return replace(self, next_at=None)

    def delayed(self, why: str, *, next_at: datetime) -> Self:
        """No bill yet, which is no failure: the channel is asked again."""
        return replace(self, note=why, next_at=next_at, tries=self.tries + 1)

    def failed(self, why: str, *, next_at: datetime) -> Self:
        """A bill cannot be read or had. Nothing of it was kept; it is tried again. What other bills told stands."""
        told = self.files or self.status is DayStatus.NO_BILL
        day = self if told else self._to(DayStatus.FETCH_FAILED)
        return replace(day, note=why, next_at=next_at, tries=self.tries + 1)

    def compared(self, *, matched: int, differences: int, held: int, foreign: int, note: str = "") -> Self:
        """After a run of the matching. A closed day is compared again only after it was reopened; ``note`` says what
        that has changed."""
        status = DayStatus.WITH_DIFFERENCES if differences else DayStatus.MATCHED
        counts: dict[str, Any] = {"matched": matched, "differences": differences, "held": held, "foreign": foreign}
        # While a bill is still asked for, why it is not here stays to be read; and so does what another bill changed.
        return replace(self._to(status, note=note or (self.note if self.next_at or self.closed_by else "")), **counts)

    def close(self, by: str, *, open_differences: int, approved: bool) -> Self:
        """No more is expected of this day. Open differences need somebody's recorded approval; held lines wait."""
        if self.held:
            raise Conflict("lines of this day still wait for a neighbouring day", code="day_has_held_lines")
        if open_differences and not approved:
            raise Conflict("this day has open differences: closing it needs an approval", code="day_has_differences")
        return replace(self._to(DayStatus.CLOSED), closed_by=by)

    def _to(self, status: DayStatus, *, note: str = "") -> Self:
        return replace(self, status=step("statement day", DAY_TRANSITIONS, self.status, status), note=note)
