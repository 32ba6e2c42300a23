"""Ask a channel to give money back: the intent committed, then the call, then its outcome."""

from dataclasses import dataclass, replace

from application.confirm_attempt import Outcome
from application.confirm_refund import ConfirmRefund
from application.crashpoints import crashpoint
from application.ports.channels import Channels
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Hints
from application.return_shares import ReturnShares
from domain.channels import Access, FundMode, RefundReport, RefundState
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.refunds import Refund, RefundStatus
from domain.share_returns import together
from domain.taken_back import TakenBack

# The channel account has not enough at this moment (ports.channels.Refunding).
FUNDS_SHORT = "channel_funds_short"


@dataclass(frozen=True, slots=True)
class SubmitRefund:
    """Submit a requested refund, under its one number. It returns the refund as it stands then, and raises for nothing
    that a channel does: no answer leaves it ``unknown``, and the ladder asks until the channel tells.

    A timeout is no failure: only a definite no voids (BOOKS.md), and never is there a second number.
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    confirm: ConfirmRefund
    clock: Clock
    hints: Hints
    notice_url: str
    return_shares: ReturnShares

    async def __call__(self, refund_id: str) -> Refund:
        refund, access, first = await self._take_up(refund_id)
        if refund.status is RefundStatus.RETURNING_SHARES:
            if access is None or not await self.return_shares(refund, access):
                return refund  # the ladder comes back to it
            refund, access, first = await self._take_up(refund_id)
        if access is None or not first:
            return refund  # somebody else has taken it up
        crashpoint("refund.after_intent")
        return await self.call(refund, access, first=True)

    async def _take_up(self, refund_id: str) -> tuple[Refund, Access | None, bool]:
        """The refund submitted by us, or returning shares; no access where there is nothing to do."""
        async with self.unit_of_work() as uow:
            refund = await uow.refunds.lock(refund_id)
            if refund.status not in (RefundStatus.REQUESTED, RefundStatus.RETURNING_SHARES):
                return replace(refund, events=()), None, False
            access = await uow.accounts.access(refund.account_id)
            now, open_ = self.clock.now(), False
            if refund.fund_mode is FundMode.DIRECT:
                returns = await uow.share_returns.of_refund(refund.id)
                open_ = any(one.open and not one.with_refund for one in returns)
            moved = refund.returning_shares(now) if open_ else refund.submitted(now)
            if moved is not refund:
                await uow.refunds.save(moved)
        return replace(moved, events=()), access, not open_

    async def call(self, refund: Refund, access: Access, *, first: bool) -> Refund:
        """The call itself; ``first`` when the channel cannot have heard of it before."""
        channel = self.channels[access.account.channel]
        notice_url = f"{self.notice_url}/{access.account.channel}/{access.account.id}"
        request = refund.request(notice_url, await self._taken_back(refund))
        try:
            report = await channel.refund(access, request)
        except ChannelRejected as refusal:
            return await self._refused(refund, access, refusal, first=first)
        except ChannelUnavailable:
            return refund  # it did not hear us: the ladder comes back to it
        except OutcomeUnknown:
            return await self._doubted(refund)
        crashpoint("refund.after_channel")
        refund = await self.take(refund, access, report, evidence=f"answer:{refund.id}")
        crashpoint("refund.after_stored")
        return refund

    async def _taken_back(self, refund: Refund) -> tuple[TakenBack, ...]:
        if refund.fund_mode is not FundMode.DIRECT:
            return ()
        async with self.unit_of_work() as uow:
            return together(await uow.share_returns.of_refund(refund.id))

    async def take(self, refund: Refund, access: Access, report: RefundReport, *, evidence: str) -> Refund:
        """What the channel answered, into the books."""
        async with self.unit_of_work() as uow:
            confirmation = await self.confirm(uow, access, report, evidence=evidence)
            refund = await uow.refunds.get(refund.id)
        if confirmation.outcome is Outcome.REFUND:
            await self.hints.work("fan_out_events")
            if refund.order_id is not None:
                await self.hints.order_changed(refund.order_id)
        return refund

    async def _refused(self, refund: Refund, access: Access, refusal: ChannelRejected, *, first: bool) -> Refund:
        if refusal.code == FUNDS_SHORT:
            async with self.unit_of_work() as uow:
                refund = await uow.refunds.lock(refund.id)
                short = refund.awaits_funds(self.clock.now())
                if short is not refund:
                    await uow.refunds.save(short)
            return short
        if not first:
            # A refused repetition says nothing about the first call: it may be refused because that one arrived.
            try:
                report = await self.channels[access.account.channel].query_refund(
                    access, refund.request(self.notice_url)
                )
            except (ChannelRejected, ChannelUnavailable, OutcomeUnknown):
                return refund
            if report.state is not RefundState.ABSENT:
                return await self.take(refund, access, report, evidence=f"query:{refund.id}")
        async with self.unit_of_work() as uow:
            refund = await self.confirm.fail(uow, refund.id, refusal.code)
        await self.hints.work("fan_out_events")
        return refund

    async def _doubted(self, refund: Refund) -> Refund:
        async with self.unit_of_work() as uow:
            refund = await uow.refunds.lock(refund.id)
            doubted = refund.doubted(self.clock.now())
            if doubted is not refund:
                await uow.refunds.save(doubted)
        return doubted
