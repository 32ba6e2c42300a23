"""Shares (分账单): what is passed on of a payment, the end of sharing, and what comes back before a refund."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from domain.channels import Channel, FundMode, Mode
from domain.errors import Conflict, InProgress
from domain.events import Event, with_event
from domain.money import Money
from domain.orders import Order, OrderStatus
from domain.payments import ChannelPayment
from domain.sharing import AskedPart, PartReport, PartResult, ReceiverKind, ShareRequest
from domain.states import Table, step
from domain.times import rfc3339, rung


class ShareStatus(StrEnum):
    PLANNED = "planned"  # the end of sharing, which comes by itself when the window closes
    CREATED = "created"
    SUBMITTED = "submitted"  # the channel is being asked: from here on it may have heard us
    UNKNOWN = "unknown"
    PROCESSING = "processing"
    FINISHED = "finished"
    FAILED = "failed"  # refused as a whole: nobody got anything


_S = ShareStatus
_TOLD = frozenset({_S.PROCESSING, _S.FINISHED, _S.FAILED})

SHARE_TRANSITIONS: Table[ShareStatus] = {
    _S.PLANNED: frozenset({_S.SUBMITTED}),
    _S.CREATED: frozenset({_S.SUBMITTED}),
    _S.SUBMITTED: _TOLD | {_S.UNKNOWN},
    # A timeout is not a failure: the number stays, and the channel is asked until it tells.
    _S.UNKNOWN: _TOLD,
    _S.PROCESSING: frozenset({_S.FINISHED}),
    _S.FINISHED: frozenset(),
    # An end of sharing that was refused may be asked for again, under its one number.
    _S.FAILED: frozenset({_S.SUBMITTED}),
}

OPEN = frozenset({_S.CREATED, _S.SUBMITTED, _S.UNKNOWN, _S.PROCESSING})
PURSUED = OPEN | {_S.PLANNED}
_ANNOUNCED = frozenset({_S.FINISHED, _S.FAILED})

LADDER = (15, 30, 60, 120, 300, 600, 1_800, 3_600)
TAIL = timedelta(hours=6)
# Both channels let go by themselves what was not shared: WeChat Pay after 180 days, Alipay after 30. We do it a day
# before, so that it is known here too.
WINDOW = {Channel.WECHAT: timedelta(days=179), Channel.ALIPAY: timedelta(days=29)}
# WeChat Pay 请求分账: 50 requests for one order, 50 receivers each.
MOST_SHARES = 50
MOST_PARTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class WishedPart:
    receiver_id: str
    amount: Money
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareWish:
    """What a merchant asks for. Two with one merchant_share_no must be equal."""

    merchant_share_no: str
    order_id: str
    parts: tuple[WishedPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One receiver's part. ``to_fee`` is what of the platform's own part pays the service fee that is due for this
    payment; the rest of it is income."""

    receiver_id: str
    kind: ReceiverKind
    account: str
    name: str = field(repr=False)
    amount: Money
    description: str
    platform_account_id: str | None = None
    result: PartResult = PartResult.PENDING
    reason: str = ""
    to_fee: Money = Money(0)

    @property
    def asked(self) -> AskedPart:
        return AskedPart(
            kind=self.kind,
            account=self.account,
            name=self.name,
            amount=self.amount,
            description=self.description,
        )

    @property
    def stands(self) -> bool:
        """Whether it is the receiver's, or may still become so."""
        return self.result is not PartResult.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One request to share a payment, or (``ends``) the end of its sharing. ``number`` never changes."""

    id: str
    order_id: str
    payment_id: str
    merchant_id: str
    mode: Mode
    account_id: str
    number: str
    transaction_id: str
    currency: str
    ends: bool
    created_at: datetime
    parts: tuple[Part, ...] = ()
    merchant_share_no: str | None = None
    notify_url: str | None = None
    status: ShareStatus = ShareStatus.CREATED
    channel_id: str | None = None
    failure: str | None = None
    finished_at: datetime | None = None
    next_at: datetime | None = None
    polls: int = 0
    revision: int = 0
    events: tuple[Event, ...] = ()

    def created(self, now: datetime, *, next_at: datetime) -> Self:
        """The first event of its history."""
        return replace(self, next_at=next_at)._next(now, "share.created", announced=False)

    def asks(self, wish: ShareWish) -> bool:
        """Whether a repeated call asks for this very share (then it is returned) or for another (a conflict)."""
        mine = tuple(
            WishedPart(receiver_id=part.receiver_id, amount=part.amount, description=part.description)
            for part in self.parts
        )
        return (self.order_id, mine) == (wish.order_id, wish.parts)

    @property
    def request(self) -> ShareRequest:
        """What the channel is asked: the same for every repetition."""
        parts = tuple(part.asked for part in self.parts)
        return ShareRequest(number=self.number, transaction_id=self.transaction_id, parts=parts)

    @property
    def open(self) -> bool:
        return self.status in OPEN

    @property
    def standing(self) -> int:
        """What of the payment it takes, or may still take, in minor units."""
        if self.status is ShareStatus.FAILED:
            return 0
        return sum(part.amount.minor for part in self.parts if part.stands)

    def submitted(self, now: datetime) -> Self:
        """Committed before the call. Whoever dies in it leaves a share that is due and asked after."""
        return replace(self, failure=None).polled(now)._to(ShareStatus.SUBMITTED, now)

    def doubted(self, now: datetime) -> Self:
        """No usable answer came. Never a failure."""
        return self._to(ShareStatus.UNKNOWN, now) if self.status is ShareStatus.SUBMITTED else self

    def processing(self, now: datetime, *, channel_id: str | None) -> Self:
        if self.status is ShareStatus.PROCESSING:
            return self
        return replace(self, channel_id=channel_id or self.channel_id)._to(ShareStatus.PROCESSING, now)

    def finished(self, parts: tuple[Part, ...], now: datetime, *, at: datetime, channel_id: str | None) -> Self:
        """Each part has its result."""
        assert all(part.result is not PartResult.PENDING for part in parts)
        done = replace(
            self, parts=parts, finished_at=at, channel_id=channel_id or self.channel_id, next_at=None, failure=None
        )
        return done._to(ShareStatus.FINISHED, now)

    def failed(self, reason: str, now: datetime) -> Self:
        return replace(self, failure=reason, next_at=None)._to(ShareStatus.FAILED, now)

    def polled(self, now: datetime) -> Self:
        """The next rung of the ladder, taken before the channel is asked."""
        return replace(self, polls=self.polls + 1, next_at=now + rung(LADDER, self.polls, TAIL))

    def snapshot(self) -> dict[str, Any]:
        """The share as merchants see it. Amounts in minor units, times RFC 3339."""
        return {
            "id": self.id,
            "object": "share",
            "mode": str(self.mode),
            "order_id": self.order_id,
            "merchant_share_no": self.merchant_share_no,
            "ends_sharing": self.ends,
            "status": str(self.status),
            "currency": self.currency,
            "parts": [
                {
                    "receiver_id": part.receiver_id,
                    "account": part.account,
                    "amount": part.amount.minor,
                    "description": part.description,
                    "result": str(part.result),
                    "reason": part.reason or None,
                }
                for part in self.parts
            ],
            "number": self.number,
            "failure": self.failure,
            "created_at": rfc3339(self.created_at),
            "finished_at": rfc3339(self.finished_at) if self.finished_at else None,
        }

    def _to(self, status: ShareStatus, now: datetime) -> Self:
        status = step("share", SHARE_TRANSITIONS, self.status, status)
        return replace(self, status=status)._next(
            now, f"share.{status}", announced=status in _ANNOUNCED and not self.ends
        )

    def _next(self, now: datetime, type_: str, *, announced: bool) -> Self:
        return with_event(self, type_, now, announced=announced, notify_url=self.notify_url)


def settled(parts: tuple[Part, ...], told: Iterable[PartReport], fee_due: Money) -> tuple[Part, ...] | None:
    """The parts with their results, when the channel has told all of them; None while one is open, or where what it
    tells is not what was asked. ``fee_due`` is the service fee that the platform's parts pay first."""
    by_account, left, done = {one.account: one for one in told}, fee_due, list[Part]()
    for part in parts:
        said = by_account.get(part.account)
        if said is None or said.result is PartResult.PENDING or said.amount != part.amount:
            return None
        to_fee = Money(0, part.amount.currency)
        if part.platform_account_id is not None and said.result is PartResult.SUCCEEDED:
            to_fee = min(part.amount, left)
            left -= to_fee
        done.append(replace(part, result=said.result, reason=said.reason, to_fee=to_fee))
    return tuple(done)


def permit(
    wish: ShareWish, order: Order, payment: ChannelPayment | None, shares: Sequence[Share], *, back: int, debited: int
) -> None:
    """Raises Conflict for what the order does not allow, before the channel is asked. ``back`` came back of shares,
    ``debited`` goes to payers by refunds, in minor units. How much of a payment may be shared the channel decides."""
    if order.status is not OrderStatus.PAID or payment is None:
        raise Conflict(f"this order is {order.status}: there is nothing to share", code="order_not_paid")
    if not order.request.profit_sharing or payment.fund_mode is not FundMode.DIRECT:
        raise Conflict("this order was not placed with profit_sharing", code="order_not_shared")
    if any(share.ends and share.status is not ShareStatus.PLANNED for share in shares):
        raise Conflict("the sharing of this order has ended", code="sharing_ended")
    if len(shares) > MOST_SHARES:
        raise Conflict(f"the channel takes {MOST_SHARES} shares of one payment", code="too_many_shares")
    left = payment.received.minor - debited - sum(share.standing for share in shares) + back
    if sum(part.amount.minor for part in wish.parts) > left:
        raise Conflict(
            f"{Money(max(left, 0), payment.received.currency)} of this order can still be shared",
            code="share_exceeds_paid",
            pointer="/parts",
        )


def must_rest(shares: Iterable[Share]) -> None:
    """Raises InProgress while a share is under way: what of it a refund takes back cannot be told yet."""
    if any(share.open and not share.ends for share in shares):
        raise InProgress("a share of this order is under way", code="share_in_progress", retry_after_seconds=15)
