"""A channel has said what became of a number: take its word into the books."""

from dataclasses import dataclass
from enum import StrEnum

from application.end_of_sharing import end_of_sharing
from application.ports.storage import UnitOfWork
from application.ports.world import Clock, Ids
from application.refund_item import refund_of_item
from domain.attempts import Attempt
from domain.bookkeeping import payment_held, payment_received
from domain.channels import Access, ChannelReport, ChannelState, Receipt
from domain.merchants import LatePayment
from domain.orders import Order, OrderStatus
from domain.payments import SENT_BACK, ChannelPayment, SuspenseItem, Unattributed, judge, record


class Outcome(StrEnum):
    """What a report led to."""

    CONFIRMED = "confirmed"
    HELD = "held"
    KNOWN = "known"
    MISMATCH = "mismatch"  # rightly signed, but about another app or payee: for a person, and nothing is booked
    CLOSED = "closed"
    REFUND = "refund"  # a refund has moved
    PAYOUT = "payout"  # so has a payout
    EARLY = "early"  # of money that we have not heard of yet: not taken, the channel says it again
    NOTHING = "nothing"


# What the books have moved by: its evidence bears this outcome.
BOOKED = frozenset({Outcome.CONFIRMED, Outcome.HELD, Outcome.REFUND, Outcome.PAYOUT})


@dataclass(frozen=True, slots=True)
class Confirmation:
    outcome: Outcome
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConfirmAttempt:
    """Record the money fact, decide what it means, book it, move attempt and order: together or not at all.

    Runs inside the caller's unit of work, beside the evidence (a stored notice). Equal reports, from notices, polls
    and people in any order, count once: the order's row lock makes them queue, and the transaction is unique. A caller
    who is ready for Moved may ask for ``watching``, which waits for nobody. ``aside``: somebody has decided that this
    money pays no order, and as what it is held.
    """

    clock: Clock
    ids: Ids

    async def __call__(
        self,
        uow: UnitOfWork,
        access: Access,
        report: ChannelReport,
        *,
        evidence: str,
        watching: bool = False,
        aside: Unattributed | None = None,
    ) -> Confirmation:
        order, attempt = (None, None) if aside else await self._find(uow, access, report.number, watching=watching)
        if report.receipt is not None:
            return await self._money(uow, access, report.receipt, order, attempt, evidence=evidence, aside=aside)
        if attempt is None or order is None or not attempt.live:
            return Confirmation(Outcome.NOTHING, order.id if order else None)
        now = self.clock.now()
        if report.state is ChannelState.CLOSED:
            await uow.attempts.save(attempt.closed(now))
        elif report.state is ChannelState.FAILED:
            await uow.attempts.save(attempt.failed(report.detail, now))
        else:
            return Confirmation(Outcome.NOTHING, order.id)
        return Confirmation(Outcome.CLOSED, order.id)

    async def _find(
        self, uow: UnitOfWork, access: Access, number: str, *, watching: bool
    ) -> tuple[Order | None, Attempt | None]:
        find = uow.attempts.watch_numbered if watching else uow.attempts.lock_numbered
        found = await find(number)
        # A number of another account is as unknown here as one of nobody's.
        if found is None or found[1].account_id != access.account.id:
            return None, None
        return found

    async def _money(
        self,
        uow: UnitOfWork,
        access: Access,
        receipt: Receipt,
        order: Order | None,
        attempt: Attempt | None,
        *,
        evidence: str,
        aside: Unattributed | None,
    ) -> Confirmation:
        order_id = order.id if order else None
        if receipt.app_id != access.credential.app_id or receipt.payee != access.account.payee:
            return Confirmation(Outcome.MISMATCH, order_id)
        if await self._known(uow, access, receipt, attempt):
            return Confirmation(Outcome.KNOWN, order_id)
        now = self.clock.now()
        unattributed = aside or judge(receipt, order, attempt, await self._late_policy(uow, order))
        payment = record(
            receipt,
            id=self.ids.new("pay"),
            account=access.account,
            order=order,
            attempt=attempt,
            unattributed=unattributed,
            evidence=evidence,
            now=now,
        )
        if unattributed is not None and order is not None:
            payment = payment.told(order, now)
        await uow.payments.add(payment)
        if attempt is not None:
            # Once we have set out to undo it, money that comes is undone too: it never pays the order.
            await uow.attempts.save(attempt.reversing(now) if attempt.undone else attempt.succeeded(now))
        if unattributed is not None or order is None or attempt is None:
            await self._hold(uow, payment, order)
            return Confirmation(Outcome.HELD, order_id)
        await uow.ledger.post(payment_received(payment))
        if attempt.shared:
            await uow.shares.add(end_of_sharing(order, payment, access.account.channel, ids=self.ids, now=now))
        await uow.orders.save(order.pay(receipt.total, method=attempt.method, paid_at=receipt.paid_at, now=now))
        return Confirmation(Outcome.CONFIRMED, order_id)

    async def _known(self, uow: UnitOfWork, access: Access, receipt: Receipt, attempt: Attempt | None) -> bool:
        # What we hold locked as live has brought no money yet, so there is nothing to look for. Were there, the
        # transaction's unique key would undo all of this.
        if attempt is not None and attempt.live and not attempt.undone:
            return False
        return await uow.payments.find(access.account.id, receipt.transaction_id) is not None

    async def _late_policy(self, uow: UnitOfWork, order: Order | None) -> LatePayment:
        if order is None or order.status is not OrderStatus.CLOSED:
            return LatePayment.REFUND  # not asked: the order is not closed
        return (await uow.merchants.get(order.merchant_id)).late_payment

    async def _hold(self, uow: UnitOfWork, payment: ChannelPayment, order: Order | None) -> None:
        """One item; what came late or twice is on its way back to the payer at once, by the same refund as any."""
        assert payment.unattributed is not None
        if not payment.received:
            return  # paid by coupons alone: recorded, but there is nothing to hold
        await uow.ledger.post(payment_held(payment))
        item = SuspenseItem(
            id=self.ids.new("sus"),
            payment_id=payment.id,
            account_id=payment.account_id,
            mode=payment.mode,
            amount=payment.received,
            reason=payment.unattributed,
            created_at=payment.recorded_at,
        )
        if payment.unattributed in SENT_BACK:
            await uow.suspense.add(item.refunding())
            await uow.refunds.add(refund_of_item(item, payment, order, ids=self.ids, now=payment.recorded_at))
        else:
            await uow.suspense.add(item)
