"""Payouts of the fake channel, in both ways: done while it answers (Alipay), or confirmed by the payee (WeChat Pay)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from domain.channels import Access, Channel
from domain.errors import ChannelRejected, InvalidRequest
from domain.money import Money
from domain.payouts import PayeeKind, PayoutReport, PayoutRequest, PayoutState

if TYPE_CHECKING:
    from tests.fakes.channel import FakeChannel


@dataclass
class _Payout:
    access: Access
    request: PayoutRequest
    state: PayoutState
    at: datetime
    detail: str = ""


class FakePayouts:
    """Numbers are unique. Faults are the channel's own."""

    def __init__(self, channel: FakeChannel) -> None:
        self._channel = channel
        self.confirmed = channel._channel is Channel.WECHAT
        self.fund = "OPERATION" if self.confirmed else "BASIC"
        alipay = frozenset({PayeeKind.ALIPAY_USER, PayeeKind.ALIPAY_LOGIN, PayeeKind.ALIPAY_OPEN})
        self.kinds = frozenset({PayeeKind.WECHAT_OPENID}) if self.confirmed else alipay
        self.charge = Money(0)
        self.missing: str | None = None  # what its credential lacks to pay out
        self.first: PayoutState | None = None  # what the next one is said to be, in place of the channel's way
        self._payouts: dict[str, _Payout] = {}
        self.on_payout: Callable[[str, Access], None] = lambda _number, _access: None

    def offered(self, access: Access) -> None:
        if self.missing:
            raise InvalidRequest(f"{access.credential.id} pays nobody", code=self.missing, pointer="/source")

    async def pay(self, access: Access, request: PayoutRequest) -> PayoutReport:
        fault = await self._channel._hear("payout", request.number)
        known = self._payouts.get(request.number)
        if known is None:
            if fault == "funds_short":
                raise ChannelRejected("the account is short", code="channel_funds_short")
            way = PayoutState.AWAITING_PAYEE if self.confirmed else PayoutState.PAID
            state, self.first = self.first or way, None
            known = _Payout(access, request, state, self._channel._clock.now())
            self._payouts[request.number] = known
            self.on_payout(request.number, access)
        elif known.request != request:
            raise ChannelRejected("this number stands for another payout", code="number_reused")
        await self._channel._answer(fault)
        waits = known.state is PayoutState.AWAITING_PAYEE
        return replace(self._report(known), confirmation=f"package-{request.number}" if waits else None)

    async def ask(self, access: Access, number: str) -> PayoutReport:
        fault = await self._channel._hear("query_payout", number)
        known = self._payouts.get(number)
        report = PayoutReport(number=number, state=PayoutState.ABSENT) if known is None else self._report(known)
        await self._channel._answer(fault)
        return report

    async def cancel(self, access: Access, number: str) -> PayoutReport:
        fault = await self._channel._hear("cancel_payout", number)
        known = self._payouts.get(number)
        if known is None or known.state not in (PayoutState.AWAITING_PAYEE, PayoutState.CANCELLED):
            raise ChannelRejected("it cannot be taken back", code="payout_not_cancellable")
        self.become(number, PayoutState.CANCELLED)
        await self._channel._answer(fault)
        return self._report(known)

    # ── What becomes of them ─────────────────────────────────────────────────────────────────────────────────────────

    def become(self, number: str, state: PayoutState, detail: str = "") -> None:
        """The payee, his bank or the channel decides."""
        known = self._payouts[number]
        known.state, known.at, known.detail = state, self._channel._clock.now(), detail

    def state(self, number: str) -> PayoutState:
        """The truth about a number, whatever our queries were told."""
        return self._payouts[number].state

    def notice(self, number: str) -> tuple[dict[str, str], bytes]:
        """What the channel sends about this payout now; sent again, it is the same notice."""
        known = self._payouts[number]
        id_ = f"{self._channel._channel}-payout-{number}-{known.state}"
        return self._channel.sign(known.access, None, id=id_, payout=self._report(known))

    def reports(self) -> list[PayoutReport]:
        """All payouts there are here, in the order they were made: the truth, whatever our queries were told."""
        return [self._report(known) for known in self._payouts.values()]

    def paid(self) -> int:
        """What payees have, in minor units."""
        return sum(one.request.amount.minor for one in self._payouts.values() if one.state is PayoutState.PAID)

    def _report(self, known: _Payout) -> PayoutReport:
        return PayoutReport(
            number=known.request.number,
            state=known.state,
            amount=known.request.amount,
            charge=self.charge,
            channel_id=f"{self._channel._channel}-payout-{known.request.number}",
            at=known.at,
            detail=known.detail,
        )


def write_payout(payout: PayoutReport | None) -> dict[str, Any] | None:
    """As a notice carries it."""
    if payout is None:
        return None
    return {
        "number": payout.number,
        "state": payout.state,
        "amount": payout.amount and payout.amount.minor,
        "channel_id": payout.channel_id,
        "at": payout.at and payout.at.isoformat(),
        "detail": payout.detail,
    }


def read_payout(message: dict[str, Any] | None) -> PayoutReport | None:
    """The same, read."""
    if message is None:
        return None
    return PayoutReport(
        number=message["number"],
        state=PayoutState(message["state"]),
        amount=Money(message["amount"]) if message["amount"] is not None else None,
        channel_id=message["channel_id"],
        at=datetime.fromisoformat(message["at"]) if message["at"] else None,
        detail=message["detail"],
    )
