"""Ask a channel to share, and follow a share until each part has its result."""

from dataclasses import dataclass, replace

from application.crashpoints import crashpoint
from application.ports.channels import SharingRails
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Hints
from application.together import together
from domain.channels import Access
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.money import Money
from domain.shares import Share, ShareStatus, settled
from domain.sharing import PartResult, ShareReport, ShareState
from domain.sharing_postings import shared

_WAITING = (ShareStatus.CREATED, ShareStatus.PLANNED, ShareStatus.FAILED)


@dataclass(frozen=True, slots=True)
class SubmitShare:
    """Submit a share (or the end of sharing), under its one number. It returns the share as it stands then, and raises
    for nothing that a channel does: no answer leaves it ``unknown``, and the ladder asks until the channel tells.
    """

    unit_of_work: UnitOfWorkFactory
    rails: SharingRails
    clock: Clock
    hints: Hints

    async def __call__(self, share_id: str) -> Share:
        async with self.unit_of_work() as uow:
            share = await uow.shares.lock(share_id)
            if share.status not in _WAITING or (share.status is ShareStatus.FAILED and not share.ends):
                return share  # somebody else has taken it up
            access = await uow.accounts.access(share.account_id)
            share = share.submitted(self.clock.now())
            await uow.shares.save(share)
        crashpoint("share.after_intent")
        return await self.call(share, access, first=True)

    async def call(self, share: Share, access: Access, *, first: bool) -> Share:
        """The call itself; ``first`` when the channel cannot have heard of it before."""
        rail = self.rails[access.account.channel]
        try:
            report = await (rail.finish if share.ends else rail.share)(access, share.request)
        except ChannelRejected as refusal:
            return await self._refused(share, access, refusal, first=first)
        except ChannelUnavailable:
            return share  # it did not hear us: the ladder comes back to it
        except OutcomeUnknown:
            return await self._doubted(share)
        crashpoint("share.after_channel")
        return await self.take(share, report)

    async def take(self, share: Share, report: ShareReport) -> Share:
        """What the channel told, into the books."""
        async with self.unit_of_work() as uow:
            # The fee that a platform's part pays depends on the order's refunds: they queue behind its lock.
            await uow.orders.lock(share.order_id)
            locked, now = await uow.shares.lock(share.id), self.clock.now()
            if not locked.open:
                return locked
            moved = locked
            if report.state is ShareState.FINISHED:
                parts = settled(locked.parts, report.parts, await self._fee_due(uow, locked))
                if parts is not None:
                    at = report.at or now
                    moved = locked.finished(parts, now, at=at, channel_id=report.channel_id)
                    await uow.ledger.post(shared(moved))
            if moved is locked:
                moved = locked.processing(now, channel_id=report.channel_id)
            if moved is not locked:
                await uow.shares.save(moved)
        if moved.status is ShareStatus.FINISHED:
            await self.hints.work("fan_out_events")
        return moved

    async def _fee_due(self, uow: UnitOfWork, share: Share) -> Money:
        """The service fee of this payment that neither a refund gave back nor an earlier share paid."""
        zero = Money(0, share.currency)
        if all(part.platform_account_id is None for part in share.parts):
            return zero
        payment = await uow.payments.paying(share.order_id)
        refunds = await uow.refunds.of_order(share.order_id)
        returned = sum(one.share.minor for one in refunds if one.item_id is None and not one.void)
        earlier = [part for other in await uow.shares.of_order(share.order_id) for part in other.parts]
        paid = sum(part.to_fee.minor for part in earlier if part.result is PartResult.SUCCEEDED)
        returns = await uow.share_returns.of_order(share.order_id)
        paid -= sum(one.from_fee.minor for one in returns if one.returned_at is not None)
        fee = payment.fee.minor if payment else 0
        return Money(max(fee - returned - paid, 0), share.currency)

    async def _refused(self, share: Share, access: Access, refusal: ChannelRejected, *, first: bool) -> Share:
        if not first:
            # A refused repetition says nothing about the first call: it may be refused because that one arrived.
            try:
                report = await self.rails[access.account.channel].ask(access, share.request)
            except (ChannelRejected, ChannelUnavailable, OutcomeUnknown):
                return share
            if report.state is not ShareState.ABSENT:
                return await self.take(share, report)
        async with self.unit_of_work() as uow:
            locked = await uow.shares.lock(share.id)
            if locked.status in (ShareStatus.SUBMITTED, ShareStatus.UNKNOWN):
                locked = locked.failed(refusal.code, self.clock.now())
                await uow.shares.save(locked)
        await self.hints.work("fan_out_events")
        return locked

    async def _doubted(self, share: Share) -> Share:
        async with self.unit_of_work() as uow:
            locked = await uow.shares.lock(share.id)
            doubted = locked.doubted(self.clock.now())
            if doubted is not locked:
                await uow.shares.save(doubted)
        return replace(doubted, events=())


@dataclass(frozen=True, slots=True)
class CheckShare:
    """Ask after one share and believe the answer; where the channel has none of it, repeat it under the same number.

    Raises ChannelError when it says nothing usable: the share stays due.
    """

    unit_of_work: UnitOfWorkFactory
    submit: SubmitShare

    async def __call__(self, share: Share) -> Share:
        if share.status in _WAITING:
            return await self.submit(share.id)
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(share.account_id)
        report = await self.submit.rails[access.account.channel].ask(access, share.request)
        if report.state is not ShareState.ABSENT:
            return await self.submit.take(share, report)
        return await self.submit.call(share, access, first=False)


@dataclass(frozen=True, slots=True)
class CheckDueShares:
    """One sweep of the ladder: submit what nobody has, end what is over, ask after the rest."""

    unit_of_work: UnitOfWorkFactory
    check: CheckShare
    clock: Clock
    batch: int = 50

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            due = await uow.shares.claim_due(self.clock.now(), limit=self.batch)
        await together(self.check, due)
        return len(due)
