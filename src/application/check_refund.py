"""Follow a refund until the channel has said its last word."""

from dataclasses import dataclass

from application.crashpoints import crashpoint
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from application.redirect_refund import RedirectRefund
from application.submit_refund import SubmitRefund
from application.together import together
from domain.channels import RefundState
from domain.refunds import Refund, RefundStatus

# What the channel may never have heard of: where it knows no such refund, the same request may be made again.
_REPEATED = frozenset({RefundStatus.SUBMITTED, RefundStatus.UNKNOWN, RefundStatus.AWAITING_CHANNEL_FUNDS})


@dataclass(frozen=True, slots=True)
class CheckRefund:
    """Query one refund and believe the answer; where the channel has none of it, repeat it under the same number; where
    it is still abnormal and people have said where it goes, tell the channel.

    Raises ChannelError when it says nothing usable: the refund stays due.
    """

    unit_of_work: UnitOfWorkFactory
    submit: SubmitRefund
    redirect: RedirectRefund

    async def __call__(self, refund: Refund) -> Refund:
        if refund.status in (RefundStatus.REQUESTED, RefundStatus.RETURNING_SHARES):
            return await self.submit(refund.id)
        async with self.unit_of_work() as uow:
            access = await uow.accounts.access(refund.account_id)
        channel = self.submit.channels[access.account.channel]
        report = await channel.query_refund(access, refund.request(self.submit.notice_url))
        crashpoint("refund.queried")
        if report.state is not RefundState.ABSENT:
            refund = await self.submit.take(refund, access, report, evidence=f"query:{refund.id}")
            if refund.redirected and report.state is RefundState.ABNORMAL:
                return await self.redirect(refund, access)
            return refund
        if refund.status in _REPEATED:
            return await self.submit.call(refund, access, first=False)
        return refund


@dataclass(frozen=True, slots=True)
class CheckDueRefunds:
    """One sweep of the ladder: claim what is due, submit what nobody has, ask after the rest."""

    unit_of_work: UnitOfWorkFactory
    check: CheckRefund
    clock: Clock
    batch: int = 50

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            due = await uow.refunds.claim_due(self.clock.now(), limit=self.batch)
        await together(self.check, due)
        return len(due)
