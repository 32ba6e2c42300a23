"""Refunds: money on its way back to a payer, from the request to the channel's last word."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from domain.channels import Channel, FundMode, Mode, RefundRequest
from domain.errors import Conflict, InProgress
from domain.events import Event, with_event
from domain.money import FeePlan, Money
from domain.orders import Order, OrderStatus
from domain.payments import ChannelPayment
from domain.redirections import Destination, Redirection
from domain.states import Table, step
from domain.taken_back import TakenBack
from domain.times import rfc3339, rung


class RefundStatus(StrEnum):
    REQUESTED = "requested"  # reserved; the channel has not been asked
    AWAITING_APPROVAL = "awaiting_approval"
    REJECTED = "rejected"  # by the second person; never at the channel
    RETURNING_SHARES = "returning_shares"  # receivers of shares (分账) are giving back their parts first
    SUBMITTED = "submitted"  # the channel is being asked: from here on it may have heard us
    UNKNOWN = "unknown"
    AWAITING_CHANNEL_FUNDS = "awaiting_channel_funds"
    ACCEPTED = "accepted"  # the channel account is debited; the payer does not have it yet
    ABNORMAL = "abnormal"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


_S = RefundStatus
_TOLD = frozenset({_S.ACCEPTED, _S.ABNORMAL, _S.SUCCEEDED, _S.FAILED})

REFUND_TRANSITIONS: Table[RefundStatus] = {
    # Straight to what the channel tells: a refund that was made in its own console.
    _S.REQUESTED: frozenset(
        {_S.AWAITING_APPROVAL, _S.RETURNING_SHARES, _S.SUBMITTED, _S.ACCEPTED, _S.ABNORMAL, _S.SUCCEEDED}
    ),
    _S.AWAITING_APPROVAL: frozenset({_S.RETURNING_SHARES, _S.SUBMITTED, _S.REJECTED}),
    _S.RETURNING_SHARES: frozenset({_S.SUBMITTED}),
    _S.SUBMITTED: _TOLD | {_S.UNKNOWN, _S.AWAITING_CHANNEL_FUNDS},
    # A timeout is not a failure: the number stays, and the channel is asked until it tells.
    _S.UNKNOWN: _TOLD | {_S.AWAITING_CHANNEL_FUNDS},
    _S.AWAITING_CHANNEL_FUNDS: _TOLD | {_S.UNKNOWN},
    # Accepted is not succeeded.
    _S.ACCEPTED: frozenset({_S.SUCCEEDED, _S.FAILED, _S.ABNORMAL}),
    # Two people have said where it goes instead, and the channel has taken it.
    _S.ABNORMAL: frozenset({_S.ACCEPTED, _S.SUCCEEDED, _S.FAILED}),
    # Money facts outrank states: what we had given up has been paid after all.
    _S.FAILED: frozenset({_S.SUCCEEDED}),
    _S.REJECTED: frozenset(),
    _S.SUCCEEDED: frozenset(),
}

VOID = frozenset({_S.REJECTED, _S.FAILED})
DEBITED = frozenset({_S.ACCEPTED, _S.ABNORMAL, _S.SUCCEEDED})
# What the ladder takes up: everything that neither ended nor waits for a person of ours.
PURSUED = frozenset(
    {
        *(_S.REQUESTED, _S.RETURNING_SHARES, _S.SUBMITTED, _S.UNKNOWN, _S.AWAITING_CHANNEL_FUNDS),
        *(_S.ACCEPTED, _S.ABNORMAL),
    },
)
_ANNOUNCED = frozenset({_S.ABNORMAL, _S.SUCCEEDED, _S.FAILED, _S.REJECTED})

# Seconds between one look and the next; afterwards every six hours, until the channel has said its last word: a
# refund to a bank card takes days.
LADDER = (15, 30, 60, 120, 300, 600, 1_800, 3_600)
TAIL = timedelta(hours=6)

# Beyond it no channel gives back: WeChat Pay 365 days after success (申请退款). At Alipay it is agreed by contract,
# three months to a year; within the year Alipay itself decides.
WINDOW = timedelta(days=365)
# WeChat Pay 申请退款: 50 partial refunds of one order, a minute apart.
MOST_PARTS = {Channel.WECHAT: 50}
APART = {Channel.WECHAT: timedelta(minutes=1)}


class RefundOrigin(StrEnum):
    """Who wanted it."""

    MERCHANT = "merchant"
    OPERATOR = "operator"
    SUSPENSE = "suspense"  # money that pays no order goes back, by policy or by a person
    CONSOLE = "console"  # made in the channel's own console; we were told


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundWish:
    """What a merchant asks for. Two with one merchant_refund_no must be equal."""

    merchant_refund_no: str
    order_id: str
    amount: Money
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Which balances of the merchant it was taken from. ``debt`` is what no balance could bear (BOOKS.md, MD)."""

    pending: Money = Money(0)
    available: Money = Money(0)
    debt: Money = Money(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """One refund of one payment. ``number`` is what the channel knows it by and never changes.

    ``amount`` is what the payer gets, ``debit`` what the channel takes from the account for it (less, where the
    merchant had funded a discount), ``share`` the part of our fee that goes back with it. With an ``item_id`` it
    empties a suspense item and is none of its order's refunds. ``next_at`` is when to look at it again. With a
    ``redirection`` an abnormal one waits to be sent to another ``destination``.
    """

    id: str
    order_id: str | None
    payment_id: str
    item_id: str | None
    merchant_id: str
    mode: Mode
    account_id: str
    fund_mode: FundMode
    number: str
    payment_number: str
    total: Money
    amount: Money
    debit: Money
    share: Money
    reason: str
    origin: RefundOrigin
    created_at: datetime
    draws: Draws = field(default_factory=Draws)
    merchant_refund_no: str | None = None
    notify_url: str | None = None
    status: RefundStatus = RefundStatus.REQUESTED
    channel_id: str | None = None
    failure: str | None = None
    evidence: str | None = None
    accepted_at: datetime | None = None
    succeeded_at: datetime | None = None
    destination: Destination = Destination.ORIGINAL
    redirection: Redirection | None = None
    next_at: datetime | None = None
    polls: int = 0
    revision: int = 0
    events: tuple[Event, ...] = ()

    def created(self, now: datetime) -> Self:
        """The first event of its history."""
        return replace(self, next_at=now)._next(now, "refund.created", announced=False)

    def asks(self, wish: RefundWish) -> bool:
        """Whether a repeated call asks for this very refund (then it is returned) or for another (a conflict)."""
        return (self.order_id, self.amount, self.reason) == (wish.order_id, wish.amount, wish.reason)

    @property
    def void(self) -> bool:
        """Whether nothing is reserved for it (any more) and nothing was paid."""
        return self.status in VOID

    @property
    def debited(self) -> bool:
        """Whether the channel has taken the money from its account."""
        return self.status in DEBITED

    @property
    def redirected(self) -> bool:
        """Whether two people have said where it goes, and the channel has not taken it yet."""
        return self.redirection is not None and self.redirection.approved

    def request(self, notice_url: str, taken_back: tuple[TakenBack, ...] = ()) -> RefundRequest:
        """What the channel is asked: the same for every repetition."""
        return RefundRequest(
            number=self.number,
            payment_number=self.payment_number,
            amount=self.amount,
            total=self.total,
            reason=self.reason,
            notice_url=notice_url,
            taken_back=taken_back,
        )

    def awaits_approval(self, now: datetime) -> Self:
        return replace(self, next_at=None)._to(RefundStatus.AWAITING_APPROVAL, now)

    def approved(self, now: datetime, *, returning: bool = False) -> Self:
        """A second person agrees: the next sweep asks the channel, or first its shares back."""
        return replace(self.returning_shares(now) if returning else self.submitted(now), next_at=now)

    def rejected(self, reason: str, now: datetime) -> Self:
        return replace(self, failure=reason, next_at=None)._to(RefundStatus.REJECTED, now)

    def returning_shares(self, now: datetime) -> Self:
        """Committed before the first receiver is asked; harmless while it goes on."""
        if self.status is RefundStatus.RETURNING_SHARES:
            return self
        return self.polled(now)._to(RefundStatus.RETURNING_SHARES, now)

    def submitted(self, now: datetime) -> Self:
        """Committed before the call. Whoever dies in it leaves a refund that is due and asked after."""
        return self.polled(now)._to(RefundStatus.SUBMITTED, now)

    def doubted(self, now: datetime) -> Self:
        """No usable answer came. Never a failure."""
        if self.status not in (RefundStatus.SUBMITTED, RefundStatus.AWAITING_CHANNEL_FUNDS):
            return self
        return self._to(RefundStatus.UNKNOWN, now)

    def awaits_funds(self, now: datetime) -> Self:
        """The channel account is short: the same request again later."""
        if self.status not in (RefundStatus.SUBMITTED, RefundStatus.UNKNOWN):
            return self
        return self._to(RefundStatus.AWAITING_CHANNEL_FUNDS, now)

    def accepted(self, now: datetime, *, at: datetime, channel_id: str | None, evidence: str) -> Self:
        """The channel will pay and has debited its account, on its day ``at``."""
        return self._debited(at, channel_id, evidence)._to(RefundStatus.ACCEPTED, now)

    def abnormal(self, now: datetime, *, at: datetime, channel_id: str | None, evidence: str, detail: str) -> Self:
        """The payer's card is gone: people say where the money goes, here or in the channel's console."""
        return replace(self, failure=detail or None)._debited(at, channel_id, evidence)._to(RefundStatus.ABNORMAL, now)

    def redirection_proposed(self, redirection: Redirection, now: datetime) -> Self:
        """One person says where it goes. Raises Conflict unless it is abnormal, and nobody has said so before."""
        self._abnormal()
        if self.redirection is not None:
            raise Conflict("somebody has said where it goes", code="refund_redirection_pending")
        return replace(self, redirection=redirection)._next(now, "refund.redirection_proposed", announced=False)

    def redirecting(self, now: datetime) -> Self:
        """A second person agrees: the next sweep tells the channel. Raises Conflict unless it is still abnormal."""
        self._abnormal()
        assert self.redirection is not None, "it was proposed"
        approved = replace(self.redirection, approved=True)
        due = replace(self, redirection=approved, next_at=now, polls=0)
        return due._next(now, "refund.redirecting", announced=False)

    def not_redirected(self, reason: str, now: datetime) -> Self:
        """The second person, or the channel, does not send it there: people have to say again."""
        refused = replace(self, redirection=None, failure=reason)
        return refused._next(now, "refund.redirection_refused", announced=False)

    def _abnormal(self) -> None:
        if self.status is not RefundStatus.ABNORMAL or self.channel_id is None:
            raise Conflict(f"this refund is {self.status}, not abnormal", code="refund_not_abnormal")

    def succeeded(self, now: datetime, *, at: datetime, channel_id: str | None, evidence: str) -> Self:
        """The payer has it."""
        done = replace(self, succeeded_at=at, failure=None, next_at=None)
        return done._debited(at, channel_id, evidence)._to(RefundStatus.SUCCEEDED, now)

    def failed(self, reason: str, now: datetime) -> Self:
        """The channel's definite no, before or after it had accepted."""
        return replace(self, failure=reason, redirection=None, next_at=None)._to(RefundStatus.FAILED, now)

    def polled(self, now: datetime) -> Self:
        """The next rung of the ladder, taken before the channel is asked: a crash costs one rung, not the refund."""
        return replace(self, polls=self.polls + 1, next_at=now + rung(LADDER, self.polls, TAIL))

    def snapshot(self) -> dict[str, Any]:
        """The refund as merchants see it, in the API and in events. Amounts in minor units, times RFC 3339."""
        return {
            "id": self.id,
            "object": "refund",
            "mode": str(self.mode),
            "order_id": self.order_id,
            "merchant_refund_no": self.merchant_refund_no,
            "status": str(self.status),
            "amount": self.amount.minor,
            "currency": self.amount.currency,
            "fee_returned": self.share.minor,
            "reason": self.reason,
            "origin": str(self.origin),
            "number": self.number,
            "destination": str(self.destination),
            "failure": self.failure,
            "created_at": rfc3339(self.created_at),
            "succeeded_at": rfc3339(self.succeeded_at) if self.succeeded_at else None,
        }

    def _debited(self, at: datetime, channel_id: str | None, evidence: str) -> Self:
        elsewhere = self.redirection if self.redirected else None
        return replace(
            self,
            accepted_at=self.accepted_at or at,
            channel_id=channel_id or self.channel_id,
            evidence=evidence,
            destination=elsewhere.to if elsewhere else self.destination,
            redirection=None,
        )

    def _to(self, status: RefundStatus, now: datetime) -> Self:
        status = step("refund", REFUND_TRANSITIONS, self.status, status)
        # Abnormal once more after it was sent elsewhere: the merchant has been told.
        again = status is RefundStatus.ABNORMAL and self.destination is not Destination.ORIGINAL
        announced = status in _ANNOUNCED and not again
        return replace(self, status=status)._next(now, f"refund.{status}", announced=announced)

    def _next(self, now: datetime, type_: str, *, announced: bool) -> Self:
        return with_event(self, type_, now, announced=announced, notify_url=self.notify_url)


@dataclass(frozen=True, slots=True)
class Parts:
    """How one refund divides: what the channel takes from the account, and our fee's part of that."""

    debit: Money
    share: Money

    @property
    def net(self) -> Money:
        return self.debit - self.share


def divide(amount: Money, payment: ChannelPayment, plan: FeePlan, earlier: Iterable[Refund]) -> Parts:
    """The parts of a refund of ``amount`` after ``earlier`` ones that still stand.

    Both are differences of rounded running totals, so that the parts of any sequence that refunds all add up to what
    was received, and to the fee, exactly.
    """
    standing = [refund for refund in earlier if not refund.void]
    gone = sum(refund.amount.minor for refund in standing) + amount.minor
    taken = sum(refund.debit.minor for refund in standing)
    received, total = payment.received.minor, payment.total.minor
    debit = max(min((2 * received * gone + total) // (2 * total), received) - taken, 0)
    share = plan.share(
        fee=payment.fee,
        received=payment.received,
        refunded=Money(taken + debit, amount.currency),
        returned=Money(sum(refund.share.minor for refund in standing), amount.currency),
    )
    return Parts(Money(debit, amount.currency), min(share, Money(debit, amount.currency)))


def of_order(refunds: Iterable[Refund]) -> list[Refund]:
    """Those that give back what paid the order. The others empty suspense items."""
    return [refund for refund in refunds if refund.item_id is None]


def totals(refunds: Iterable[Refund], currency: str) -> tuple[Money, Money]:
    """(in flight, refunded) of an order's own refunds."""
    own = [refund for refund in of_order(refunds) if not refund.void]
    done = sum(refund.amount.minor for refund in own if refund.status is RefundStatus.SUCCEEDED)
    return Money(sum(refund.amount.minor for refund in own) - done, currency), Money(done, currency)


def permit(
    wish: RefundWish,
    order: Order,
    payment: ChannelPayment | None,
    *,
    channel: Channel | None,
    earlier: Sequence[Refund],
    now: datetime,
) -> None:
    """Raises Conflict for what the order or the channel's rules do not allow, before anybody is asked."""
    if order.status is not OrderStatus.PAID or payment is None or channel is None:
        raise Conflict(f"this order is {order.status}: there is nothing to refund", code="order_not_paid")
    left = order.paid - order.refunded - order.refunding
    if wish.amount > left:
        raise Conflict(
            f"{left} of this order can still be refunded, not {wish.amount}",
            code="refund_exceeds_paid",
            pointer="/amount",
        )
    if now >= payment.paid_at + WINDOW:
        raise Conflict("the channel gives nothing back after a year", code="refund_window_closed")
    standing = [refund for refund in earlier if not refund.void]
    most = MOST_PARTS.get(channel)
    if most is not None and len(standing) >= most:
        raise Conflict(f"the channel takes {most} refunds of one payment", code="too_many_refunds")
    last, apart = max((refund.created_at for refund in standing), default=None), APART.get(channel)
    if last is not None and apart is not None and now < last + apart:
        raise InProgress(
            "the channel wants a minute between two refunds of one payment",
            code="refund_too_soon",
            retry_after_seconds=int((last + apart - now).total_seconds()) + 1,
        )
