"""A second person says yes to a settlement, and the payee is frozen; or no, and the money goes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from application.ports.storage import UnitOfWork
from application.ports.world import Clock, Ids
from domain.actors import Actor
from domain.errors import Conflict
from domain.merchants import BankAccount, Merchant
from domain.proposals import Proposal
from domain.settlement_postings import settlement_returned
from domain.settlements import Rail

# Whoever got a payee changed by fraud has this long to wait, and the merchant as long to notice.
COOLS_OFF = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ApproveSettlement:
    """The executor behind those proposals. The payee is the merchant's as it stands now, the source its rule's.

    Raises Conflict, and the proposal stays open: "payee_missing", "payee_amiss" for the rule's rail,
    "payee_cooling_off", "merchant_on_hold".
    """

    clock: Clock
    ids: Ids

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        now = self.clock.now()
        standing = await uow.settlements.lock(str(proposal.payload["settlement_id"]))
        merchant = await uow.merchants.get(standing.merchant_id)
        if await uow.holds.standing([merchant.id]):
            raise Conflict("this merchant is on hold", code="merchant_on_hold")
        rule = await uow.settlement_rules.of(merchant.id)
        approved = standing.approved(actor.id, self._payee(merchant, rule.source.rail), rule.source, now)
        await uow.settlements.save(approved)
        result = {"settlement_id": approved.id, "status": str(approved.status), "rail": str(rule.source.rail)}
        await uow.audit.add(
            actor.did(
                "settlement.approved",
                approved.id,
                id=self.ids.new("aud"),
                at=now,
                merchant_id=merchant.id,
                before={"status": str(standing.status)},
                after={"status": str(approved.status), "payout": approved.payout.minor},
            )
        )
        return result

    def _payee(self, merchant: Merchant, rail: Rail) -> BankAccount:
        payee = merchant.payee
        if payee is None:
            raise Conflict("this merchant has no payee", code="payee_missing")
        if payee.kind.at != ("bank" if rail is Rail.MANUAL else rail):
            raise Conflict(f"the rail {rail} does not pay to a {payee.kind}", code="payee_amiss")
        if self.clock.now() < payee.changed_at + COOLS_OFF:
            raise Conflict("this payee was changed less than 24 hours ago", code="payee_cooling_off")
        return payee


@dataclass(frozen=True, slots=True)
class DeclineSettlement:
    """Rejected, withdrawn or run out: the money is available again, and the next settlement's."""

    clock: Clock

    async def __call__(self, uow: UnitOfWork, proposal: Proposal) -> None:
        now = self.clock.now()
        standing = await uow.settlements.lock(str(proposal.payload["settlement_id"]))
        rejected = standing.rejected(proposal.reason or "not approved", now)
        await uow.ledger.post(settlement_returned(rejected, now))
        await uow.settlements.save(rejected)
