"""Attempts: one try to pay an order through one channel account by one method, under one channel number."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from domain.channels import Channel, FundMode, Method, Mode, Opening, PayerAction, Terms
from domain.choices import Choice
from domain.events import Event, with_event
from domain.money import Money
from domain.states import Table, step
from domain.times import rfc3339, rung


class AttemptStatus(StrEnum):
    CREATED = "created"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CLOSED = "closed"
    REVERSING = "reversing"
    REVERSED = "reversed"


_S = AttemptStatus

ATTEMPT_TRANSITIONS: Table[AttemptStatus] = {
    _S.CREATED: frozenset({_S.PENDING, _S.SUCCEEDED, _S.FAILED, _S.UNKNOWN}),
    _S.PENDING: frozenset({_S.SUCCEEDED, _S.CLOSED, _S.FAILED, _S.UNKNOWN, _S.REVERSING}),
    # A timeout is not a failure: the channel may have heard us, so the number stays the same until it tells.
    _S.UNKNOWN: frozenset({_S.PENDING, _S.SUCCEEDED, _S.CLOSED, _S.FAILED, _S.REVERSING}),
    # Until the channel says so: undone, or (it refuses to undo) paid.
    _S.REVERSING: frozenset({_S.REVERSED, _S.SUCCEEDED}),
    # Money facts outrank states.
    _S.CLOSED: frozenset({_S.SUCCEEDED}),
    _S.FAILED: frozenset({_S.SUCCEEDED}),
    _S.SUCCEEDED: frozenset(),
    # Money that came after all is undone once more.
    _S.REVERSED: frozenset({_S.REVERSING}),
}

LIVE = frozenset({_S.CREATED, _S.PENDING, _S.UNKNOWN, _S.REVERSING})
UNDONE = frozenset({_S.REVERSING, _S.REVERSED})
# What counts towards a daily limit: what was paid, and what may still be paid.
COUNTING = LIVE | {_S.SUCCEEDED}
NO_MONEY = frozenset({_S.FAILED, _S.CLOSED, _S.REVERSED})

UNDONE_AGAIN = "undone_again"

# Seconds between one query and the next; afterwards hourly, until a day after the order's expiry.
POLL_LADDER = (5, 10, 20, 40, 60, 120, 300, 600)
POLL_TAIL = timedelta(hours=1)
POLL_END = timedelta(hours=24)

# A bar code payment that waits for its payer's password is asked about every few seconds, and undone if it stays
# undecided: both channels prescribe a query every 3 to 10 s for 30 to 45 s, then 撤销 (Alipay 当面付 接入指引, 轮询;
# WeChat Pay 付款码支付 开发指引, USERPAYING). A charge that has not arrived within CHARGING never will.
BARCODE_POLL = timedelta(seconds=5)
BARCODE_PATIENCE = timedelta(seconds=45)
CHARGING = timedelta(seconds=15)

# WeChat Pay refuses a time_expire that is less than a minute ahead (Native 下单, time_expire). An attempt that starts
# in the order's last minute gets that minute; when the order expires, the channel is asked to close it first.
LEAST_TO_PAY = {Channel.WECHAT: timedelta(seconds=65)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """``number`` is what the channel knows it by; ``next_at`` is when to ask the channel again, None for never.

    ``terms`` and ``fund_mode`` are frozen at the start, so later changes of rates or ownership change no past; so is
    all that a repeated opening has to say again. The payer's bar code is not among it: it is used once.
    ``succeeded`` says that money came through this attempt; whether it paid the order, its ChannelPayment says.
    ``counted_on`` is the day (Asia/Shanghai) against whose limit it counts, None when none stood at its start; its
    repository keeps the day's amount in step with its status.
    """

    id: str
    order_id: str
    merchant_id: str
    mode: Mode
    method: Method
    account_id: str
    number: str
    amount: Money
    fund_mode: FundMode
    terms: Terms
    created_at: datetime
    expires_at: datetime
    counted_on: date | None = None
    payer_id: str | None = None
    payer_ip: str | None = None
    return_url: str | None = None
    notify_url: str | None = None
    instalments: int | None = None
    shared: bool = False
    status: AttemptStatus = AttemptStatus.CREATED
    action: PayerAction | None = None
    failure: str | None = None
    next_at: datetime | None = None
    polls: int = 0
    revision: int = 0
    events: tuple[Event, ...] = ()

    @property
    def live(self) -> bool:
        """Whether the payer may still pay through it, as far as we know."""
        return self.status in LIVE

    @property
    def undone(self) -> bool:
        """Whether we have set out to undo it: money that comes by it goes back."""
        return self.status in UNDONE

    @property
    def announced(self) -> bool:
        """Whether merchants hear of it as it stands: a till has to know that a bar code brought no money."""
        return self.method.is_barcode and self.status in NO_MONEY and self.failure != UNDONE_AGAIN

    def suits(self, choice: Choice) -> bool:
        """Whether this is what the payer chooses again, so that it may be shown to them."""
        mine = (self.method, self.payer_id, self.instalments)
        return mine == (choice.method, choice.payer_id, choice.instalments)

    def charging(self, now: datetime) -> bool:
        """Whether a charge may still be on its way to the channel: what it does not know now, it may know soon."""
        undecided = self.status in (AttemptStatus.CREATED, AttemptStatus.UNKNOWN)
        return self.method.is_barcode and undecided and now < self.created_at + CHARGING

    def overdue(self, now: datetime, *, absent: bool) -> bool:
        """Whether a bar code payment has been undecided for too long to leave the payer at the till in doubt.
        ``absent``: the channel knows nothing of it, so there is no password to wait for."""
        return self.method.is_barcode and now >= self.created_at + (CHARGING if absent else BARCODE_PATIENCE)

    @property
    def counts(self) -> bool:
        """Whether its amount is part of what its day has taken (domain/limits)."""
        return self.counted_on is not None and self.status in COUNTING

    def opening(self, *, subject: str, notice_url: str, auth_code: str | None = None) -> Opening:
        """The request to the channel: the same for every repetition, so that repeating it is harmless."""
        return Opening(
            number=self.number,
            method=self.method,
            amount=self.amount,
            subject=subject,
            expires_at=self.expires_at,
            notice_url=notice_url,
            payer_ip=self.payer_ip,
            payer_id=self.payer_id,
            auth_code=auth_code,
            return_url=self.return_url,
            instalments=self.instalments,
            shared=self.shared,
        )

    def opened(self, action: PayerAction, now: datetime) -> Self:
        """The channel accepted; the payer can pay. Harmless when a notice was faster or a repetition says it again."""
        if self.status not in (AttemptStatus.CREATED, AttemptStatus.UNKNOWN):
            return replace(self, action=self.action or action)
        return replace(self, action=action)._to(AttemptStatus.PENDING, now)

    def waiting(self, now: datetime) -> Self:
        """A bar code was taken, and its payer has to enter a password."""
        if self.status not in (AttemptStatus.CREATED, AttemptStatus.UNKNOWN):
            return self
        return self._to(AttemptStatus.PENDING, now)

    def doubted(self, now: datetime) -> Self:
        """No usable answer came. Never a failure."""
        return self if self.status is not AttemptStatus.CREATED else self._to(AttemptStatus.UNKNOWN, now)

    def failed(self, reason: str, now: datetime) -> Self:
        """The channel's definite no."""
        if self.status is AttemptStatus.REVERSING:
            return self.reversed(now)
        return replace(self, failure=reason, next_at=None)._to(AttemptStatus.FAILED, now)

    def closed(self, now: datetime) -> Self:
        """The channel says that nobody can pay it any more."""
        if self.status is AttemptStatus.REVERSING:
            return self.reversed(now)
        doubted = self.doubted(now)
        return replace(doubted, next_at=None)._to(AttemptStatus.CLOSED, now)

    def succeeded(self, now: datetime) -> Self:
        """Money came. A second receipt for one number changes nothing here."""
        if self.status is AttemptStatus.SUCCEEDED:
            return self
        return replace(self, next_at=None)._to(AttemptStatus.SUCCEEDED, now)

    def reversing(self, now: datetime) -> Self:
        """We undo a bar code payment, and go on until the channel says that it is undone. Harmless to say again."""
        if self.status is AttemptStatus.REVERSING:
            return self
        # A second time: money was found, or may have come, after the channel had said that there was none.
        failure = UNDONE_AGAIN if self.status is AttemptStatus.REVERSED else self.failure
        doubted = self.doubted(now)
        next_at = now + timedelta(seconds=POLL_LADDER[0])
        return replace(doubted, failure=failure, polls=0, next_at=next_at)._to(AttemptStatus.REVERSING, now)

    def reversed(self, now: datetime) -> Self:
        """The channel says that it is undone: nobody pays, and what was paid goes back."""
        return replace(self, next_at=None)._to(AttemptStatus.REVERSED, now)

    def polled(self, now: datetime) -> Self:
        """The next rung of the ladder, taken before the query is made: a crash costs one rung, not the attempt."""
        if self.status is not AttemptStatus.REVERSING and self.method.is_barcode:
            return replace(self, polls=self.polls + 1, next_at=now + BARCODE_POLL)
        next_at = now + rung(POLL_LADDER, self.polls, POLL_TAIL)
        endless = self.status is AttemptStatus.REVERSING  # what is not undone for certain is never left alone
        ends = not endless and next_at > self.expires_at + POLL_END
        return replace(self, polls=self.polls + 1, next_at=None if ends else next_at)

    def hastened(self, now: datetime) -> Self:
        """The channel is to be asked at once. What has its end is asked no more."""
        return replace(self, next_at=now) if self.live else self

    def snapshot(self) -> dict[str, Any]:
        """The attempt as merchants see it. ``action`` is what the payer needs."""
        return {
            "id": self.id,
            "object": "attempt",
            "order_id": self.order_id,
            "method": str(self.method),
            "status": str(self.status),
            "number": self.number,
            "amount": self.amount.minor,
            "currency": self.amount.currency,
            "fund_mode": str(self.fund_mode),
            "instalments": self.instalments,
            "action": self._action() if self.live else None,
            "failure": self.failure,
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
        }

    def _action(self) -> dict[str, Any] | None:
        if self.action is None:
            return None
        return {"type": str(self.action.type), "value": self.action.value, "fields": dict(self.action.fields)}

    def _to(self, status: AttemptStatus, now: datetime) -> Self:
        status = step("attempt", ATTEMPT_TRANSITIONS, self.status, status)
        changed = replace(self, status=status)
        return with_event(changed, f"attempt.{status}", now, announced=changed.announced, notify_url=self.notify_url)
