"""Follow a payout until its channel has said its last word; take one back that nobody has confirmed."""

from dataclasses import dataclass

from application.pay_out import PayOut
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.together import together
from domain.actors import Actor
from domain.channels import Access
from domain.errors import Conflict
from domain.payouts import PayoutState
from domain.settlement_postings import settlement_returned
from domain.settlements import Rail, Settlement, SettlementStatus

_S = SettlementStatus


@dataclass(frozen=True, slots=True)
class CheckPayout:
    """Ask after one payout and believe the answer; where the channel has none of it, repeat it under the same number,
    and where its payee has nothing to confirm it with, too.

    Raises ChannelError when it says nothing usable: the payout stays due.
    """

    unit_of_work: UnitOfWorkFactory
    pay_out: PayOut

    async def __call__(self, standing: Settlement) -> Settlement:
        if standing.status is _S.APPROVED:
            return await self.pay_out(standing.id)
        access = await self.access(standing)
        report = await self.pay_out.rail(access).ask(access, standing.number)
        lost = report.state is PayoutState.AWAITING_PAYEE and standing.confirmation is None
        if lost or (report.state is PayoutState.ABSENT and standing.status is _S.PAYING):
            return await self.pay_out.call(standing, access)
        return await self.pay_out.take(standing, access, report)

    async def access(self, standing: Settlement) -> Access:
        assert standing.source is not None, "an approval freezes the source"
        async with self.unit_of_work() as uow:
            return await uow.accounts.access(standing.source.owner)


@dataclass(frozen=True, slots=True)
class CheckDuePayouts:
    """One sweep of the ladder: claim what is due, pay what nobody has, ask after the rest."""

    unit_of_work: UnitOfWorkFactory
    check: CheckPayout
    clock: Clock
    batch: int = 20

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            due = await uow.settlements.claim_due(self.clock.now(), limit=self.batch)
        await together(self.check, due)
        return len(due)


@dataclass(frozen=True, slots=True)
class CancelPayout:
    """Take a payout back: before it was sent by our own word, afterwards by the channel's, whose answer counts.

    Raises Conflict("payout_not_cancellable") for one that is with a bank or has ended, and what the channel raises.
    """

    unit_of_work: UnitOfWorkFactory
    check: CheckPayout
    clock: Clock
    ids: Ids

    async def __call__(self, actor: Actor, settlement_id: str, reason: str) -> Settlement:
        async with self.unit_of_work() as uow:
            standing = await uow.settlements.lock(settlement_id)
            sent = standing.status in (_S.PAYING, _S.AWAITING_PAYEE)
            manual = standing.source is None or standing.source.rail is Rail.MANUAL
            if (sent and manual) or not (sent or standing.status is _S.APPROVED):
                raise Conflict(f"a payout that is {standing.status} is not taken back", code="payout_not_cancellable")
            if not sent:
                now = self.clock.now()
                standing = standing.cancelled(reason, now)
                await uow.ledger.post(settlement_returned(standing, now))
                await uow.settlements.save(standing)
            await uow.audit.add(
                actor.did(
                    "settlement.cancelled" if not sent else "settlement.cancel_asked",
                    standing.id,
                    id=self.ids.new("aud"),
                    at=self.clock.now(),
                    merchant_id=standing.merchant_id,
                    after={"reason": reason},
                )
            )
        if not sent:
            return standing
        access = await self.check.access(standing)
        report = await self.check.pay_out.rail(access).cancel(access, standing.number)
        return await self.check.pay_out.take(standing, access, report)
