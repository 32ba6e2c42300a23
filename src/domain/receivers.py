"""Receivers of shares (分账接收方): who may get a part of what a merchant is paid, after a second person agreed."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from domain.channels import Channel, ChannelAccount, FundMode, Mode
from domain.errors import InvalidRequest
from domain.events import Event, with_event
from domain.sharing import ReceiverAccount, ReceiverKind, Relation
from domain.states import Table, step
from domain.times import rfc3339, rung

# Seconds between one try and the next; afterwards hourly.
LADDER = (15, 60, 300, 900)
TAIL = timedelta(hours=1)


class ReceiverStatus(StrEnum):
    PROPOSED = "proposed"  # waits for a second person
    REJECTED = "rejected"
    ADDING = "adding"  # agreed; the channel is being told
    ACTIVE = "active"
    REFUSED = "refused"  # by the channel
    REMOVING = "removing"
    REMOVED = "removed"


_S = ReceiverStatus

RECEIVER_TRANSITIONS: Table[ReceiverStatus] = {
    _S.PROPOSED: frozenset({_S.ADDING, _S.REJECTED}),
    _S.ADDING: frozenset({_S.ACTIVE, _S.REFUSED}),
    _S.ACTIVE: frozenset({_S.REMOVING}),
    # What the channel does not take out stays, and is seen.
    _S.REMOVING: frozenset({_S.REMOVED, _S.ACTIVE}),
    _S.REJECTED: frozenset(),
    _S.REFUSED: frozenset(),
    _S.REMOVED: frozenset(),
}

GONE = frozenset({_S.REJECTED, _S.REFUSED, _S.REMOVED})
PURSUED = frozenset({_S.ADDING, _S.REMOVING})
_ANNOUNCED = frozenset({_S.ACTIVE, _S.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverWish:
    """Whom a merchant's channel account may share with. ``platform_account_id``: it is the platform itself, and this
    is the channel account of the platform's that the money comes to."""

    account_id: str
    kind: ReceiverKind
    account: str
    name: str = field(repr=False)
    relation: Relation
    platform_account_id: str | None = None

    def checked(self, account: ChannelAccount, platform: ChannelAccount | None) -> None:
        """Raises InvalidRequest for one that could never receive."""
        if account.fund_mode is not FundMode.DIRECT:
            raise InvalidRequest(
                "only a merchant's own channel account shares", code="sharing_needs_direct", pointer="/account_id"
            )
        if self.kind.channel is not account.channel:
            raise InvalidRequest(
                f"{account.channel} knows no {self.kind}", code="receiver_kind_invalid", pointer="/kind"
            )
        if self.kind in (ReceiverKind.WECHAT_MERCHANT, ReceiverKind.ALIPAY_LOGIN) and not self.name:
            raise InvalidRequest(
                "the channel wants the receiver's full name", code="receiver_name_required", pointer="/name"
            )
        if platform is None:
            return
        fits = (platform.channel, platform.mode, platform.payee) == (account.channel, account.mode, self.account)
        if platform.fund_mode is not FundMode.COLLECT or not fits:
            raise InvalidRequest(
                "that is not where this receiver's money comes to",
                code="platform_account_invalid",
                pointer="/platform_account_id",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """One receiver of one channel account. ``number`` is what a channel that numbers such requests knows it by."""

    id: str
    merchant_id: str
    mode: Mode
    channel: Channel
    number: str
    wish: ReceiverWish
    created_at: datetime
    status: ReceiverStatus = ReceiverStatus.PROPOSED
    failure: str | None = None
    next_at: datetime | None = None
    polls: int = 0
    revision: int = 0
    events: tuple[Event, ...] = ()

    def created(self, now: datetime) -> Self:
        return self._next(now, "receiver.created", announced=False)

    @property
    def asked(self) -> ReceiverAccount:
        """What the channel is told."""
        wish = self.wish
        return ReceiverAccount(
            number=self.number, kind=wish.kind, account=wish.account, name=wish.name, relation=wish.relation
        )

    def approved(self, now: datetime) -> Self:
        return replace(self, next_at=now)._to(ReceiverStatus.ADDING, now)

    def rejected(self, reason: str, now: datetime) -> Self:
        return replace(self, failure=reason)._to(ReceiverStatus.REJECTED, now)

    def added(self, now: datetime) -> Self:
        return replace(self, next_at=None, failure=None, polls=0)._to(ReceiverStatus.ACTIVE, now)

    def removal(self, now: datetime) -> Self:
        return replace(self, next_at=now, failure=None, polls=0)._to(ReceiverStatus.REMOVING, now)

    def removed(self, now: datetime) -> Self:
        return replace(self, next_at=None)._to(ReceiverStatus.REMOVED, now)

    def refused(self, reason: str, now: datetime) -> Self:
        """The channel's definite no, to what is under way."""
        status = ReceiverStatus.REFUSED if self.status is ReceiverStatus.ADDING else ReceiverStatus.ACTIVE
        return replace(self, next_at=None, failure=reason)._to(status, now)

    def polled(self, now: datetime) -> Self:
        """The next rung, taken before the channel is told."""
        return replace(self, polls=self.polls + 1, next_at=now + rung(LADDER, self.polls, TAIL))

    def snapshot(self) -> dict[str, Any]:
        """The receiver as merchants see it."""
        wish = self.wish
        return {
            "id": self.id,
            "object": "receiver",
            "mode": str(self.mode),
            "channel_account_id": wish.account_id,
            "channel": str(self.channel),
            "kind": str(wish.kind),
            "account": wish.account,
            "relation": str(wish.relation),
            "platform": wish.platform_account_id is not None,
            "status": str(self.status),
            "failure": self.failure,
            "created_at": rfc3339(self.created_at),
        }

    def _to(self, status: ReceiverStatus, now: datetime) -> Self:
        status = step("receiver", RECEIVER_TRANSITIONS, self.status, status)
        return replace(self, status=status)._next(now, f"receiver.{status}", announced=status in _ANNOUNCED)

    def _next(self, now: datetime, type_: str, *, announced: bool) -> Self:
        return with_event(self, type_, now, announced=announced)
