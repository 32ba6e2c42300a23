"""Before a refund of a shared order, its receivers give back their parts of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from application.crashpoints import crashpoint
from application.ports.channels import Sharing, SharingRails
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.channels import Access
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.numbers import channel_number
from domain.refunds import Refund
from domain.share_returns import Due, ReturnStatus, ShareReturn
from domain.sharing import RETURNS_WITH_REFUND, ReturnReport, ReturnState
from domain.sharing_postings import share_returned


@dataclass(frozen=True, slots=True)
class ReturnShares:
    """Ask for each part that is still open, under its one number. True when none is open any more, so that the refund
    itself may go.

    A receiver's definite no does not hold the payer's money up: the refund goes on, out of the merchant's own. A
    timeout is no failure: the same number is asked after until the channel tells.
    """

    unit_of_work: UnitOfWorkFactory
    rails: SharingRails
    clock: Clock

    async def __call__(self, refund: Refund, access: Access) -> bool:
        rail = self.rails[access.account.channel]
        async with self.unit_of_work() as uow:
            found = await uow.share_returns.of_refund(refund.id)
        ended = True
        for one in found:
            if one.open and not one.with_refund:
                ended = await self._one(rail, access, one) and ended
        return ended

    async def _one(self, rail: Sharing, access: Access, one: ShareReturn) -> bool:
        first = one.status is ReturnStatus.REQUESTED
        if first:
            await self._move(one.id, lambda locked, now: locked.submitted(now), only=ReturnStatus.REQUESTED)
            crashpoint("share_return.after_intent")
        try:
            report = await self._report(rail, access, one, first=first)
        except ChannelUnavailable:
            return False
        except OutcomeUnknown:
            await self._move(one.id, lambda locked, now: locked.doubted(now), only=ReturnStatus.SUBMITTED)
            return False
        except ChannelRejected as refusal:
            reason = refusal.code
            await self._move(one.id, lambda locked, now: locked.failed(reason, now))
            return True
        crashpoint("share_return.after_channel")
        if report.state is ReturnState.PROCESSING:
            return False
        await self._take(one.id, report)
        return True

    @staticmethod
    async def _report(rail: Sharing, access: Access, one: ShareReturn, *, first: bool) -> ReturnReport:
        """What has become of it; asked for where the channel has not heard of it."""
        if not first:
            known = await rail.ask_return(access, one.request)
            if known.state is not ReturnState.ABSENT:
                return known
        return await rail.return_share(access, one.request)

    async def _take(self, return_id: str, report: ReturnReport) -> None:
        async with self.unit_of_work() as uow:
            locked, now = await uow.share_returns.lock(return_id), self.clock.now()
            if not locked.open:
                return  # another sweep was faster
            if report.state is ReturnState.SUCCEEDED:
                done = locked.succeeded(now, at=report.at or now)
                await uow.ledger.post(share_returned(done))
            else:
                done = locked.failed(report.reason or "failed", now)
            await uow.share_returns.save(done)

    async def _move(
        self,
        return_id: str,
        move: Callable[[ShareReturn, datetime], ShareReturn],
        *,
        only: ReturnStatus | None = None,
    ) -> None:
        async with self.unit_of_work() as uow:
            locked = await uow.share_returns.lock(return_id)
            if locked.open and only in (None, locked.status):
                await uow.share_returns.save(move(locked, self.clock.now()))


def return_of(one: Due, refund: Refund, *, ids: Ids, now: datetime) -> ShareReturn:
    """A receiver's part of this refund, to be asked for."""
    return ShareReturn(
        id=ids.new("srt"),
        share_id=one.share.id,
        refund_id=refund.id,
        order_id=one.share.order_id,
        merchant_id=refund.merchant_id,
        mode=refund.mode,
        account_id=refund.account_id,
        number=channel_number(ids.new("num").removeprefix("num_")),
        share_number=one.share.number,
        kind=one.part.kind,
        account=one.part.account,
        amount=one.amount,
        from_fee=one.from_fee,
        platform_account_id=one.part.platform_account_id,
        with_refund=one.part.kind.channel in RETURNS_WITH_REFUND,
        created_at=now,
    )
