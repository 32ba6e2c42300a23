"""Shares that come back (分账回退): a receiver's part of a refund, taken before the refund or with it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from domain.channels import Mode
from domain.events import Event, with_event
from domain.money import Money
from domain.shares import Part, Share
from domain.sharing import PartResult, ReceiverKind, ReturnRequest
from domain.states import Table, step
from domain.taken_back import TakenBack
from domain.times import rfc3339


class ReturnStatus(StrEnum):
    REQUESTED = "requested"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # the receiver keeps it: the merchant's own money pays the refund
    CANCELLED = "cancelled"  # its refund came to nothing before it was asked for


_S = ReturnStatus

RETURN_TRANSITIONS: Table[ReturnStatus] = {
    # Straight to its end: one that goes with its refund.
    _S.REQUESTED: frozenset({_S.SUBMITTED, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}),
    _S.SUBMITTED: frozenset({_S.SUCCEEDED, _S.FAILED, _S.UNKNOWN}),
    _S.UNKNOWN: frozenset({_S.SUCCEEDED, _S.FAILED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    # Money facts outrank states: its refund was paid after all, and this with it.
    _S.CANCELLED: frozenset({_S.SUCCEEDED}),
}

OPEN = frozenset({_S.REQUESTED, _S.SUBMITTED, _S.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareReturn:
    """A receiver's part of one refund. ``from_fee`` is what of it had paid the service fee, and ``with_refund`` says
    that the channel takes it together with the refund."""

    id: str
    share_id: str
    refund_id: str
    order_id: str
    merchant_id: str
    mode: Mode
    account_id: str
    number: str
    share_number: str
    kind: ReceiverKind
    account: str
    amount: Money
    from_fee: Money
    platform_account_id: str | None
    with_refund: bool
    created_at: datetime
    status: ReturnStatus = ReturnStatus.REQUESTED
    failure: str | None = None
    returned_at: datetime | None = None
    revision: int = 0
    events: tuple[Event, ...] = ()

    @property
    def open(self) -> bool:
        return self.status in OPEN

    @property
    def stands(self) -> bool:
        """Whether it has come back, or may still do so."""
        return self.status not in (ReturnStatus.FAILED, ReturnStatus.CANCELLED)

    @property
    def request(self) -> ReturnRequest:
        return ReturnRequest(
            number=self.number, share_number=self.share_number, account=self.account, amount=self.amount
        )

    @property
    def taken_back(self) -> TakenBack:
        """The same as a part of its refund."""
        by_login = self.kind is ReceiverKind.ALIPAY_LOGIN
        return TakenBack(account=self.account, by_login=by_login, amount=self.amount)

    def submitted(self, now: datetime) -> Self:
        return self._to(ReturnStatus.SUBMITTED, now)

    def doubted(self, now: datetime) -> Self:
        return self._to(ReturnStatus.UNKNOWN, now) if self.status is ReturnStatus.SUBMITTED else self

    def succeeded(self, now: datetime, *, at: datetime) -> Self:
        return replace(self, returned_at=at, failure=None)._to(ReturnStatus.SUCCEEDED, now)

    def failed(self, reason: str, now: datetime) -> Self:
        return replace(self, failure=reason)._to(ReturnStatus.FAILED, now)

    def cancelled(self, now: datetime) -> Self:
        return self._to(ReturnStatus.CANCELLED, now)

    def snapshot(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "share_return",
            "mode": str(self.mode),
            "order_id": self.order_id,
            "share_id": self.share_id,
            "refund_id": self.refund_id,
            "account": self.account,
            "amount": self.amount.minor,
            "currency": self.amount.currency,
            "status": str(self.status),
            "failure": self.failure,
            "created_at": rfc3339(self.created_at),
            "returned_at": rfc3339(self.returned_at) if self.returned_at else None,
        }

    def _to(self, status: ReturnStatus, now: datetime) -> Self:
        status = step("share_return", RETURN_TRANSITIONS, self.status, status)
        return with_event(replace(self, status=status), f"share_return.{status}", now, announced=False)


def together(returns: Iterable[ShareReturn]) -> tuple[TakenBack, ...]:
    """Those that go with their refund, one for each receiver: the same for every repetition of the refund."""
    sums: dict[str, TakenBack] = {}
    for one in returns:
        if one.with_refund:
            known = sums.get(one.account)
            part = one.taken_back
            sums[one.account] = replace(part, amount=part.amount + known.amount) if known else part
    return tuple(sums.values())


@dataclass(frozen=True, slots=True)
class Due:
    """What one receiver gives back with a refund."""

    share: Share
    part: Part
    amount: Money
    from_fee: Money


def due(
    shares: Iterable[Share], returns: Iterable[ShareReturn], *, refunded: Money, received: Money
) -> tuple[Due, ...]:
    """What comes back of each part when so much of the payment has been refunded in all, less what has come back.

    Differences of rounded running totals: many partial refunds take back exactly what one whole refund would. A person
    at WeChat Pay keeps what it got.
    """
    standing = [one for one in returns if one.stands]
    found = []
    for share in shares:
        for part in share.parts:
            if part.result is not PartResult.SUCCEEDED or not part.kind.gives_back:
                continue
            earlier = [one for one in standing if (one.share_id, one.account) == (share.id, part.account)]
            before = sum(one.amount.minor for one in earlier)
            back = _share(part.amount.minor, refunded.minor, received.minor)
            if back <= before:
                continue
            fee = _share(part.to_fee.minor, back, part.amount.minor) - sum(one.from_fee.minor for one in earlier)
            currency = part.amount.currency
            found.append(Due(share, part, Money(back - before, currency), Money(max(fee, 0), currency)))
    return tuple(found)


def _share(whole: int, part: int, of: int) -> int:
    """whole × part ÷ of, HALF_UP, and never beyond the whole."""
    return min((2 * whole * part + of) // (2 * of), whole) if of else 0
