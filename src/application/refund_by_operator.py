"""An operator gives a merchant's money back: alone up to a limit, above it when a second person agrees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from application.confirm_refund import ConfirmRefund
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.propose import Propose
from application.request_refund import RequestRefund
from application.submit_refund import SubmitRefund
from domain.actors import Actor
from domain.merchants import Caller
from domain.money import Money
from domain.proposals import Proposal
from domain.refunds import Refund, RefundOrigin, RefundWish

REFUND = "refund.submit"
APPROVE = "refunds.approve"
ALONE = Money(100_000)  # 1,000.00: what one person may give back without another


@dataclass(frozen=True, slots=True)
class RefundByOperator:
    """Reserve it at once. Up to ALONE it is submitted; above, it waits in ``awaiting_approval`` beside its proposal.

    An equal request returns the first refund and proposes nothing again. Raises what RequestRefund raises.
    """

    unit_of_work: UnitOfWorkFactory
    request: RequestRefund
    submit: SubmitRefund
    propose: Propose
    clock: Clock
    ids: Ids

    async def __call__(self, actor: Actor, wish: RefundWish) -> Refund:
        alone = wish.amount <= ALONE
        async with self.unit_of_work() as uow:
            order = await uow.orders.get(wish.order_id)
            caller = Caller(order.merchant_id, order.mode)
            refund = await self.request.within(uow, caller, wish, origin=RefundOrigin.OPERATOR, approval=not alone)
            made = bool(refund.events)
            if made:
                await self._write_down(uow, actor, refund)
            if made and not alone:
                await self.propose.within(
                    uow,
                    actor,
                    REFUND,
                    {"refund_id": refund.id, "order_id": order.id, "amount": wish.amount.minor, "reason": wish.reason},
                    summary=f"refund {wish.amount} of order {order.request.merchant_order_no}",
                    permission=APPROVE,
                    merchant_id=order.merchant_id,
                )
        return await self.submit(refund.id) if made and alone else refund

    async def _write_down(self, uow: UnitOfWork, actor: Actor, refund: Refund) -> None:
        await uow.audit.add(
            actor.did(
                "refund.requested",
                refund.id,
                id=self.ids.new("aud"),
                at=self.clock.now(),
                merchant_id=refund.merchant_id,
                after={"order_id": refund.order_id, "amount": refund.amount.minor, "status": str(refund.status)},
            )
        )


@dataclass(frozen=True, slots=True)
class ApproveRefund:
    """The executor behind those proposals: from here on the sweep submits it, under its one number."""

    clock: Clock

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        del actor  # who decided stands in the proposal and its audit
        refund = await uow.refunds.lock(str(proposal.payload["refund_id"]))
        returns = await uow.share_returns.of_refund(refund.id)
        returning = any(one.open and not one.with_refund for one in returns)
        refund = refund.approved(self.clock.now(), returning=returning)
        await uow.refunds.save(refund)
        return {"status": str(refund.status)}


@dataclass(frozen=True, slots=True)
class DeclineRefund:
    """Rejected, withdrawn or run out: what was reserved is free again."""

    confirm: ConfirmRefund

    async def __call__(self, uow: UnitOfWork, proposal: Proposal) -> None:
        await self.confirm.reject(uow, str(proposal.payload["refund_id"]), proposal.reason or "not approved")
