"""Profit sharing at the fake channel: who may receive, what was shared, and what came back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from application.ports.world import Clock
from domain.channels import Access, Channel, RefundRequest
from domain.errors import ChannelRejected
from domain.money import Money
from domain.sharing import (
    PartReport,
    PartResult,
    ReceiverAccount,
    ReceiverKind,
    ReturnReport,
    ReturnRequest,
    ReturnState,
    ShareReport,
    ShareRequest,
    ShareState,
)

MOST_PERCENT = 30


@dataclass
class _Share:
    request: ShareRequest
    payee: str
    done: bool = False
    closed: dict[str, str] = field(default_factory=dict)


@dataclass
class _Return:
    request: ReturnRequest
    failed: bool = False


class FakeSharing:
    """Shares are PROCESSING until ``settle`` (or at once, with ``at_once``). ``refuse`` says who gets nothing in the
    next shares, or gives nothing back."""

    def __init__(
        self,
        channel: Channel,
        clock: Clock,
        paid: Callable[[str], tuple[Money, Money]],
        hear: Callable[[str, str], Awaitable[Any]],
        answer: Callable[[Any], Awaitable[None]],
    ) -> None:
        self.kinds = frozenset(kind for kind in ReceiverKind if kind.channel is channel)
        self.returns_with_refund = channel is Channel.ALIPAY
        self.at_once = False
        self.refuse: dict[str, str] = {}
        self._clock, self._paid, self._hear, self._answer = clock, paid, hear, answer
        self._receivers: set[tuple[str, str]] = set()
        self._shares: dict[str, _Share] = {}
        self._returns: dict[str, _Return] = {}
        self._taken_back: dict[str, RefundRequest] = {}

    async def register(self, access: Access, receiver: ReceiverAccount) -> None:
        fault = await self._hear("register", receiver.account)
        self._receivers.add((access.account.payee, receiver.account))
        await self._answer(fault)

    async def remove(self, access: Access, receiver: ReceiverAccount) -> None:
        fault = await self._hear("remove", receiver.account)
        self._receivers.discard((access.account.payee, receiver.account))
        await self._answer(fault)

    async def share(self, access: Access, request: ShareRequest) -> ShareReport:
        fault = await self._hear("share", request.number)
        known = self._known(request)
        if known is None:
            received, left = self._paid(request.transaction_id)
            asked = sum(part.amount.minor for part in request.parts)
            out = self.shared(request.transaction_id)
            if asked + out > min(received.minor * MOST_PERCENT // 100, left.minor):
                raise ChannelRejected("more than may be shared", code="share_exceeds_limit")
            known = self._made(access, request)
            for part in request.parts:
                if (access.account.payee, part.account) not in self._receivers:
                    known.closed[part.account] = "no_relation"
                elif part.account in self.refuse:
                    known.closed[part.account] = self.refuse[part.account]
        await self._answer(fault)
        return self._report(known)

    async def ask(self, access: Access, request: ShareRequest) -> ShareReport:
        fault = await self._hear("ask_share", request.number)
        known = self._shares.get(request.number)
        report = self._report(known) if known else ShareReport(number=request.number, state=ShareState.ABSENT)
        await self._answer(fault)
        return report

    async def finish(self, access: Access, request: ShareRequest) -> ShareReport:
        fault = await self._hear("finish", request.number)
        known = self._known(request) or self._made(access, request)
        await self._answer(fault)
        return self._report(known)

    async def return_share(self, access: Access, request: ReturnRequest) -> ReturnReport:
        if self.returns_with_refund:
            raise ChannelRejected("shares go back with a refund", code="returns_with_refund")
        fault = await self._hear("return", request.number)
        known = self._returns.get(request.number)
        if known is None:
            share = self._shares.get(request.share_number)
            got = self._got(share, request.account) if share and share.done else 0
            if self._back(request.share_number, request.account) + request.amount.minor > got:
                raise ChannelRejected("more than this receiver got", code="return_exceeds_share")
            known = self._returns[request.number] = _Return(request, failed=request.account in self.refuse)
        await self._answer(fault)
        return self._returned(known)

    async def ask_return(self, access: Access, request: ReturnRequest) -> ReturnReport:
        if self.returns_with_refund:
            raise ChannelRejected("shares go back with a refund", code="returns_with_refund")
        fault = await self._hear("ask_return", request.number)
        known = self._returns.get(request.number)
        report = self._returned(known) if known else ReturnReport(number=request.number, state=ReturnState.ABSENT)
        await self._answer(fault)
        return report

    # ── What happens at the channel ──────────────────────────────────────────────────────────────────────────────────

    def settle(self) -> None:
        """All shares are done."""
        for share in self._shares.values():
            share.done = True

    def take_back(self, request: RefundRequest) -> None:
        """With a refund, all of it or none. Raises ChannelRejected."""
        for part in request.taken_back:
            got = sum(self._got(share, part.account) for share in self._shares.values() if share.done)
            if part.account in self.refuse or part.amount.minor > got:
                raise ChannelRejected("more than this receiver can give back", code="return_exceeds_share")
        self._taken_back[request.number] = request

    def shares(self, transaction_id: str) -> list[ShareRequest]:
        """The truth: each share that was made of a payment, its end among them."""
        return [share.request for share in self._shares.values() if share.request.transaction_id == transaction_id]

    def returned(self, account: str) -> int:
        """What this receiver gave back in all, before refunds and with them."""
        before = sum(
            one.request.amount.minor
            for one in self._returns.values()
            if one.request.account == account and not one.failed
        )
        taken = [part for request in self._taken_back.values() for part in request.taken_back]
        return before + sum(part.amount.minor for part in taken if part.account == account)

    def shared(self, transaction_id: str) -> int:
        """What has gone out of a payment, in minor units."""
        shares = [share for share in self._shares.values() if share.request.transaction_id == transaction_id]
        return sum(self._got(share, part.account) for share in shares for part in share.request.parts)

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _known(self, request: ShareRequest) -> _Share | None:
        known = self._shares.get(request.number)
        if known is not None and known.request != request:
            raise ChannelRejected("this number stands for another share", code="number_reused")
        ended = any(not share.parts for share in self.shares(request.transaction_id))
        if known is None and ended:
            raise ChannelRejected("the sharing has ended", code="sharing_ended")
        return known

    def _made(self, access: Access, request: ShareRequest) -> _Share:
        made = self._shares[request.number] = _Share(request, access.account.payee, done=self.at_once)
        return made

    @staticmethod
    def _got(share: _Share, account: str) -> int:
        parts = [part for part in share.request.parts if part.account == account and account not in share.closed]
        return sum(part.amount.minor for part in parts)

    def _back(self, share_number: str, account: str) -> int:
        return sum(
            one.request.amount.minor
            for one in self._returns.values()
            if (one.request.share_number, one.request.account) == (share_number, account) and not one.failed
        )

    def _report(self, share: _Share) -> ShareReport:
        def result(account: str) -> PartResult:
            if not share.done:
                return PartResult.PENDING
            return PartResult.CLOSED if account in share.closed else PartResult.SUCCEEDED

        return ShareReport(
            number=share.request.number,
            state=ShareState.FINISHED if share.done else ShareState.PROCESSING,
            parts=tuple(
                PartReport(
                    account=part.account,
                    amount=part.amount,
                    result=result(part.account),
                    reason=share.closed.get(part.account, "") if share.done else "",
                )
                for part in share.request.parts
            ),
            channel_id=f"share-{share.request.number}",
            at=self._clock.now() if share.done else None,
        )

    def _returned(self, one: _Return) -> ReturnReport:
        return ReturnReport(
            number=one.request.number,
            state=ReturnState.FAILED if one.failed else ReturnState.SUCCEEDED,
            amount=one.request.amount,
            at=self._clock.now(),
            reason=self.refuse.get(one.request.account, "") if one.failed else "",
        )
