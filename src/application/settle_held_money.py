"""Held money waits for people: it pays an order after all, goes back to its payer, or is written off."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.propose import Propose
from application.refund_item import refund_of_item
from domain.actors import Actor
from domain.bookkeeping import item_attributed, item_written_off
from domain.channels import FundMode
from domain.errors import Conflict
from domain.held_money import left
from domain.money import FeePlan, Rate
from domain.orders import Order, OrderStatus
from domain.payments import ChannelPayment, SuspenseItem, SuspenseStatus, Unattributed
from domain.proposals import Proposal

SETTLE = "suspense.settle"
APPROVE = "suspense.approve"


class Settlement(StrEnum):
    """What can be done with an item. Each takes a second person."""

    ATTRIBUTE = "attribute"
    REFUND = "refund"
    WRITE_OFF = "write_off"


@dataclass(frozen=True, slots=True)
class ProposeSettlement:
    """Propose what becomes of an item. Nothing is posted yet. Raises Conflict for what is open no longer."""

    unit_of_work: UnitOfWorkFactory
    propose: Propose

    async def __call__(
        self, actor: Actor, item_id: str, settlement: Settlement, note: str, *, order_id: str | None = None
    ) -> Proposal:
        if (settlement is Settlement.ATTRIBUTE) != (order_id is not None):
            raise Conflict(
                "an order is named where the money is to pay one", code="suspense_amiss", pointer="/order_id"
            )
        async with self.unit_of_work() as uow:
            # The proposal comes first in the order of locks, so the item is only looked at here, and locked by who
            # decides.
            item, payment = await uow.suspense.get(item_id)
            _open(item)
            return await self.propose.within(
                uow,
                actor,
                SETTLE,
                {"item_id": item.id, "settlement": str(settlement), "order_id": order_id, "note": note},
                summary=f"{settlement} {item.amount} of {payment.number}, held as {item.reason}",
                permission=APPROVE,
                merchant_id=payment.merchant_id,
            )


@dataclass(frozen=True, slots=True)
class SettleHeldMoney:
    """The executor behind those proposals: in the unit of work that approves, under the item's lock, and once.

    So a refund in flight and an attribution cannot both happen: whoever comes second finds the item open no longer.
    """

    clock: Clock
    ids: Ids

    async def __call__(self, uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        payload = proposal.payload
        order_id = payload["order_id"]
        order = await uow.orders.lock(str(order_id)) if order_id is not None else None
        item, payment = await uow.suspense.lock(str(payload["item_id"]))
        _open(item)
        if payload["settlement"] == Settlement.ATTRIBUTE:
            assert order is not None, "a proposal to attribute names its order"
            settled = await self._attribute(uow, item, payment, order)
        elif payload["settlement"] == Settlement.REFUND:
            settled = await self._refund(uow, item, payment)
        else:
            settled = item.written_off()
            refunds = await uow.refunds.of_payment(payment.id)
            await uow.ledger.post(item_written_off(settled, payment, left(item, refunds), self.clock.now()))
        await uow.suspense.save(settled)
        result = {"status": str(settled.status), "order_id": settled.order_id, "fee": settled.fee.minor}
        await uow.audit.add(
            actor.did(
                f"suspense.{settled.status}",
                item.id,
                id=self.ids.new("aud"),
                at=self.clock.now(),
                before={"status": str(item.status)},
                after={**result, "note": payload["note"]},
            )
        )
        return result

    async def _attribute(
        self, uow: UnitOfWork, item: SuspenseItem, payment: ChannelPayment, order: Order
    ) -> SuspenseItem:
        """The order is paid by this money, at the fee that its attempt had, or at the price of the time it came."""
        if order.status is OrderStatus.PAID:
            raise Conflict("this order is paid", code="order_paid")
        owned = payment.merchant_id if payment.attempt_id or payment.fund_mode is FundMode.DIRECT else None
        if left(item, await uow.refunds.of_payment(payment.id)) != item.amount:
            raise Conflict("some of it was refunded in the channel's console", code="suspense_partly_refunded")
        if order.mode is not item.mode or owned not in (None, order.merchant_id):
            raise Conflict("this money came for another merchant or mode", code="suspense_amiss")
        if payment.attempt_id is not None:
            attempt = await uow.attempts.get(payment.attempt_id)
            method, plan = attempt.method, attempt.terms.fee_plan
        else:
            method = min((await uow.accounts.access(payment.account_id)).account.methods)
            standing = await uow.pricings.standing(order.merchant_id, payment.paid_at)
            plan = standing.plans.get(method) or FeePlan(Rate(0))
        settled = item.attributed(order.id, plan.fee(payment.received))
        now = self.clock.now()
        await uow.ledger.post(item_attributed(settled, payment, order.merchant_id, now))
        await uow.release_days.due(payment.account_id, payment.channel_date, now)
        await uow.orders.save(order.pay(payment.total, method=method, paid_at=payment.paid_at, now=now))
        return settled

    async def _refund(self, uow: UnitOfWork, item: SuspenseItem, payment: ChannelPayment) -> SuspenseItem:
        order = await uow.orders.get(payment.order_id) if payment.order_id is not None else None
        earlier = await uow.refunds.of_payment(payment.id)
        now = self.clock.now()
        await uow.refunds.add(refund_of_item(item, payment, order, ids=self.ids, now=now, earlier=earlier))
        return item.refunding()


def _open(item: SuspenseItem) -> None:
    if item.status is not SuspenseStatus.OPEN:
        raise Conflict(f"this item is {item.status}", code=f"suspense_{item.status}")
    if item.reason is Unattributed.REVERSED:
        raise Conflict("the channel is undoing this payment itself", code="suspense_reversing")
