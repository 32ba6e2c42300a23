"""What a merchant is owed is swept together and waits for a second person."""

from contextlib import suppress
from dataclasses import dataclass

from application.crashpoints import crashpoint
from application.ports.settling import Workdays
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.propose import Propose
from domain.actors import SYSTEM, Actor
from domain.channels import Mode
from domain.errors import Conflict
from domain.ledger import Account, AccountKind
from domain.money import CNY, Money
from domain.numbers import channel_number
from domain.settlement_postings import debt_repaid, settlement_created
from domain.settlement_rules import SettlementRule
from domain.settlements import Settlement, SettlementOrigin

APPROVE_SETTLEMENT = "settlement.approve"
APPROVES = "settlements.approve"


@dataclass(frozen=True, slots=True)
class Settle:
    """Sweep everything available into one settlement, and propose its payout. A debt is repaid first.

    Raises Conflict: "nothing_to_settle", "settlement_below_minimum", "merchant_on_hold"; Forbidden for a merchant that
    is suspended and asks for itself.
    """

    unit_of_work: UnitOfWorkFactory
    propose: Propose
    clock: Clock
    ids: Ids

    async def __call__(self, actor: Actor, merchant_id: str, mode: Mode, origin: SettlementOrigin) -> Settlement:
        async with self.unit_of_work() as uow:
            rule = await uow.settlement_rules.of(merchant_id)
            return await self.within(uow, actor, rule, mode, origin)

    async def within(
        self, uow: UnitOfWork, actor: Actor, rule: SettlementRule, mode: Mode, origin: SettlementOrigin
    ) -> Settlement:
        """The same as a part of a larger unit of work, which goes on after a Conflict: nothing was written then."""
        actor.within(rule.merchant_id)
        merchant = await uow.merchants.get(rule.merchant_id)
        if origin is not SettlementOrigin.OPERATOR:
            merchant.must_be_active()
        if await uow.holds.standing([merchant.id]):
            raise Conflict("this merchant is on hold", code="merchant_on_hold")
        settlement = await self._sweep(uow, rule, mode, origin)
        await uow.settlements.add(settlement)
        await uow.ledger.post(settlement_created(settlement))
        await self.propose.within(
            uow,
            actor,
            APPROVE_SETTLEMENT,
            {
                "settlement_id": settlement.id,
                "amount": settlement.amount.minor,
                "fee": settlement.fee.minor,
                "payout": settlement.payout.minor,
                "lines": settlement.lines,
            },
            summary=f"Pay {settlement.payout} to {merchant.name}",
            permission=APPROVES,
            merchant_id=merchant.id,
        )
        await uow.audit.add(
            actor.did(
                "settlement.created",
                settlement.id,
                id=self.ids.new("aud"),
                at=settlement.created_at,
                merchant_id=merchant.id,
                after={"amount": settlement.amount.minor, "lines": settlement.lines, "origin": str(origin)},
            )
        )
        return settlement

    async def _sweep(self, uow: UnitOfWork, rule: SettlementRule, mode: Mode, origin: SettlementOrigin) -> Settlement:
        available, debt = (
            Account(kind, rule.merchant_id, mode, CNY)
            for kind in (AccountKind.MERCHANT_AVAILABLE, AccountKind.MERCHANT_DEBT)
        )
        # Under the guard nothing leaves the balance; what comes in meanwhile is swept too, or is the next one's.
        await uow.ledger.guard(available)
        now, id_ = self.clock.now(), self.ids.new("stl")
        there, owed = max(await uow.sweeps.available(available), 0), -await uow.ledger.balance(debt)
        repaid = Money(min(max(owed, 0), there))
        rule.divide(Money(there) - repaid)
        await uow.ledger.post(debt_repaid(rule.merchant_id, mode, repaid, now, cause=f"settlement:{id_}", about=id_))
        swept, lines = await uow.sweeps.sweep(available, id_)
        share = rule.divide(Money(swept))
        return Settlement(
            id=id_,
            merchant_id=rule.merchant_id,
            mode=mode,
            number=channel_number(self.ids.new("num").removeprefix("num_")),
            origin=origin,
            swept=Money(swept),
            amount=share.amount,
            fee=share.fee,
            lines=lines,
            created_at=now,
        ).created(now)


@dataclass(frozen=True, slots=True)
class SettleDueMerchants:
    """One sweep: a merchant whose rule says that it is time, in both modes. Too little is left for the next time."""

    unit_of_work: UnitOfWorkFactory
    settle: Settle
    workdays: Workdays
    clock: Clock

    async def __call__(self) -> int:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            rule = await uow.settlement_rules.claim_due(now)
            if rule is None:
                return 0
            merchant = await uow.merchants.get(rule.merchant_id)
            for mode in Mode if merchant.active else ():
                with suppress(Conflict):  # too little, or on hold: nothing was written, and the next cycle looks again
                    await self.settle.within(uow, SYSTEM, rule, mode, SettlementOrigin.AUTOMATIC)
            await uow.settlement_rules.save(rule.scheduled(now, self.workdays.is_workday))
            crashpoint("settle.before_commit")
        crashpoint("settle.after_commit")
        return 1
