"""A channel has said what became of a refund: take its word into the books."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from application.confirm_attempt import Confirmation, Outcome
from application.follow_refund import follow_refund
from application.ports.storage import UnitOfWork
from application.ports.world import Clock, Ids
from domain.bookkeeping import (
    refund_accepted,
    refund_closed,
    refund_unasked,
    refund_unasked_closed,
    refund_void,
)
from domain.channels import Access, FundMode, RefundReport, RefundState
from domain.held_money import settled
from domain.ledger import PLATFORM, Account, AccountKind
from domain.money import FeePlan, Money, Rate
from domain.numbers import is_ours
from domain.orders import Order
from domain.payments import ChannelPayment, SuspenseItem, SuspenseStatus, Unattributed
from domain.refunds import (
    DEBITED,
    Draws,
    Parts,
    Refund,
    RefundOrigin,
    RefundStatus,
    divide,
    totals,
)
from domain.releases import left

_OPEN = frozenset(
    {RefundStatus.REQUESTED, RefundStatus.SUBMITTED, RefundStatus.UNKNOWN, RefundStatus.AWAITING_CHANNEL_FUNDS}
)


# Of these the channel cannot have heard.
_UNASKED = frozenset({RefundStatus.AWAITING_APPROVAL, RefundStatus.REJECTED, RefundStatus.RETURNING_SHARES})


@dataclass(frozen=True, slots=True)
class Locked:
    """A refund and what moves with it, all locked: its order, or the suspense item that it empties. ``new``: we have
    only just heard of it."""

    refund: Refund
    order: Order | None
    item: SuspenseItem | None
    new: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmRefund:
    """Move the refund, its order's amounts or its suspense item, and the books: together or not at all.

    Runs inside the caller's unit of work, beside the evidence. Equal reports, from answers, notices and queries in
    any order, count once. A refund that we did not ask for was made in the channel's own console: it is recorded as
    one of its order's.
    """

    clock: Clock
    ids: Ids

    async def __call__(self, uow: UnitOfWork, access: Access, report: RefundReport, *, evidence: str) -> Confirmation:
        number = report.number or report.channel_id
        known = await uow.refunds.numbered(access.account.id, number) if number else None
        if known is None:
            return await self._unasked(uow, access, report, evidence=evidence)
        locked = await lock_refund(uow, known.id)
        refund, order_id = locked.refund, locked.refund.order_id
        fits = report.amount in (None, refund.amount) and report.payment_number == refund.payment_number
        if not fits or refund.status in _UNASKED:
            return Confirmation(Outcome.MISMATCH, order_id)
        if report.state is RefundState.CLOSED:
            return await self._closed(uow, locked, report)
        if report.state is RefundState.ABSENT or not _is_news(refund, report):
            return Confirmation(Outcome.KNOWN, order_id)
        if refund.status is RefundStatus.FAILED:
            return await self._after_all(uow, locked, report, evidence=evidence)
        moved = self._told(refund, report, evidence)
        if refund.status in _OPEN:
            await uow.ledger.post(refund_accepted(moved))
        await self._save(uow, replace(locked, refund=moved))
        return Confirmation(Outcome.REFUND, order_id)

    async def fail(self, uow: UnitOfWork, refund_id: str, reason: str) -> Refund:
        """The channel's definite no to a refund that it never accepted. What it has accepted meanwhile stays."""
        locked = await lock_refund(uow, refund_id)
        if locked.refund.status in _OPEN:
            locked = await self._void(uow, locked, locked.refund.failed(reason, self.clock.now()))
        return locked.refund

    async def reject(self, uow: UnitOfWork, refund_id: str, reason: str) -> Refund:
        """The second person's no. Raises IllegalTransition unless it waits for one."""
        locked = await lock_refund(uow, refund_id)
        return (await self._void(uow, locked, locked.refund.rejected(reason, self.clock.now()))).refund

    # ── Refunds that we asked for ────────────────────────────────────────────────────────────────────────────────────

    async def _closed(self, uow: UnitOfWork, locked: Locked, report: RefundReport) -> Confirmation:
        refund, now = locked.refund, self.clock.now()
        if refund.status is RefundStatus.SUCCEEDED:
            return Confirmation(Outcome.MISMATCH, refund.order_id)  # it contradicts itself: for a person
        if refund.status is RefundStatus.FAILED:
            return Confirmation(Outcome.KNOWN, refund.order_id)
        failed = refund.failed(report.detail or "closed", now)
        if not refund.debited:
            await self._void(uow, locked, failed)
            return Confirmation(Outcome.REFUND, refund.order_id)
        unasked = refund.origin is RefundOrigin.CONSOLE
        await uow.ledger.post(refund_unasked_closed(refund, now) if unasked else refund_closed(refund, now))
        await self._pending_again(uow, refund)
        await self._save(uow, replace(locked, refund=failed))
        return Confirmation(Outcome.REFUND, refund.order_id)

    async def _after_all(self, uow: UnitOfWork, locked: Locked, report: RefundReport, *, evidence: str) -> Confirmation:
        """We had given it up, and what was reserved is free again; but it was paid. It is taken from what is there."""
        refund, item = locked.refund, locked.item
        if report.state is not RefundState.SUCCEEDED:
            return Confirmation(Outcome.KNOWN, refund.order_id)
        if item is not None and item.status is not SuspenseStatus.OPEN:
            return Confirmation(Outcome.MISMATCH, refund.order_id)
        parts = Parts(refund.debit, refund.share)
        paid = replace(refund, accepted_at=None, draws=await self._draw(uow, refund, parts))
        paid = self._told(paid, report, evidence)
        await uow.ledger.post(refund_unasked(paid))
        await self._save(uow, Locked(paid, locked.order, item))
        return Confirmation(Outcome.REFUND, refund.order_id)

    async def _void(self, uow: UnitOfWork, locked: Locked, failed: Refund) -> Locked:
        await uow.ledger.post(refund_void(failed, self.clock.now()))
        await self._pending_again(uow, failed)
        locked = replace(locked, refund=failed)
        await self._save(uow, locked)
        return locked

    async def _pending_again(self, uow: UnitOfWork, refund: Refund) -> None:
        """What it had drawn from pending is there again. If its payment was released meanwhile, that follows now."""
        release = await uow.releases.lock(refund.payment_id) if refund.draws.pending else None
        if release is not None:
            await uow.releases.save(release.again(self.clock.now()))

    def _told(self, refund: Refund, report: RefundReport, evidence: str) -> Refund:
        now = self.clock.now()
        at, channel_id = report.at or now, report.channel_id
        if report.state is RefundState.SUCCEEDED:
            return refund.succeeded(now, at=at, channel_id=channel_id, evidence=evidence)
        if report.state is RefundState.ABNORMAL:
            return refund.abnormal(now, at=at, channel_id=channel_id, evidence=evidence, detail=report.detail)
        return refund.accepted(now, at=at, channel_id=channel_id, evidence=evidence)

    async def _save(self, uow: UnitOfWork, locked: Locked) -> None:
        """The refund with what follows from its new state."""
        refund, item = locked.refund, locked.item
        await (uow.refunds.add(refund) if locked.new else uow.refunds.save(refund))
        if item is not None:
            others = [each for each in await uow.refunds.of_payment(item.payment_id) if each.id != refund.id]
            after = settled(item, [*others, refund])
            if after is not item:
                await uow.suspense.save(after)
        if locked.order is not None and refund.item_id is None:
            await follow_refund(uow, refund, self.clock.now())
            await count_refunds(uow, locked.order, refund, self.clock)

    # ── Refunds that we did not ask for ──────────────────────────────────────────────────────────────────────────────

    async def _unasked(self, uow: UnitOfWork, access: Access, report: RefundReport, *, evidence: str) -> Confirmation:
        if report.state in (RefundState.ABSENT, RefundState.CLOSED):
            return Confirmation(Outcome.NOTHING)
        order, payment = await self._payment(uow, access, report.payment_number)
        order_id = order.id if order else None
        if payment is None:
            # Its payment's own notice is still on its way. A number that is not of our scheme is a merchant's own.
            return Confirmation(Outcome.EARLY if is_ours(report.payment_number) else Outcome.NOTHING, order_id)
        item = await uow.suspense.of_payment(payment.id)
        if item is not None and item.order_id is not None:
            order, payment, item = await uow.orders.lock(item.order_id), replace(payment, fee=item.fee), None
        elif item is not None:
            item, _ = await uow.suspense.lock(item.id)
        own = await uow.refunds.of_payment(payment.id)
        amount = _amount(report, own)
        number = report.number or report.channel_id
        if amount is None:
            return Confirmation(Outcome.EARLY, order_id)  # ours are still open: what is whose cannot be told
        if not amount:
            return Confirmation(Outcome.KNOWN, order_id)
        gone = sum(each.amount.minor for each in own if each.debited)
        if number is None or not _is_there(item, amount, payment) or gone + amount.minor > payment.total.minor:
            return Confirmation(Outcome.MISMATCH, order_id)
        refund = await self._made(uow, payment, order, item, number=number, amount=amount, own=own)
        told = self._told(refund, report, evidence)
        await uow.ledger.post(refund_unasked(told))
        await self._save(uow, Locked(told, order, item, new=True))
        return Confirmation(Outcome.REFUND, order.id if order else None)

    async def _payment(
        self, uow: UnitOfWork, access: Access, number: str
    ) -> tuple[Order | None, ChannelPayment | None]:
        found = await uow.attempts.lock_numbered(number)
        if found is None or found[1].account_id != access.account.id:
            return None, await uow.payments.unknown(access.account.id, number)
        order = found[0]
        payments = [each for each in await uow.payments.of_order(order.id) if each.number == number]
        return order, next(iter(payments), None)

    async def _made(
        self,
        uow: UnitOfWork,
        payment: ChannelPayment,
        order: Order | None,
        item: SuspenseItem | None,
        *,
        number: str,
        amount: Money,
        own: Sequence[Refund],
    ) -> Refund:
        now = self.clock.now()
        plan = FeePlan(Rate(0))
        if item is None:
            assert order is not None, "what is not held pays an order"
            plan = await plan_of(uow, payment, order)
        parts = divide(amount, payment, plan, [each for each in own if each.debited])
        refund = Refund(
            id=self.ids.new("ref"),
            order_id=order.id if order else None,
            payment_id=payment.id,
            item_id=item.id if item else None,
            merchant_id=order.merchant_id if order else payment.merchant_id or PLATFORM,
            mode=payment.mode,
            account_id=payment.account_id,
            fund_mode=payment.fund_mode,
            number=number,
            payment_number=payment.number,
            total=payment.total,
            amount=amount,
            debit=parts.debit,
            share=parts.share,
            reason="",
            origin=RefundOrigin.CONSOLE,
            created_at=now,
            notify_url=order.request.notify_url if order else None,
        )
        return replace(refund, draws=await self._draw(uow, refund, parts)).created(now)

    async def _draw(self, uow: UnitOfWork, refund: Refund, parts: Parts) -> Draws:
        """From what its own payment has in pending, then from what is available; the rest is a debt. Nothing is
        refused: it has happened."""
        zero = Money(0, refund.amount.currency)
        if refund.fund_mode is FundMode.DIRECT or refund.item_id is not None:
            return Draws(pending=zero, available=zero, debt=zero)
        pending, available = (
            Account(kind, refund.merchant_id, refund.mode, zero.currency)
            for kind in (AccountKind.MERCHANT_PENDING, AccountKind.MERCHANT_AVAILABLE)
        )
        await uow.ledger.guard(pending, available)
        own = min(await _pending(uow, refund), await uow.ledger.balance(pending))
        from_pending = min(parts.net, Money(max(own, 0), zero.currency))
        left = parts.net - from_pending
        from_available = min(left, Money(max(await uow.ledger.balance(available), 0), zero.currency))
        return Draws(pending=from_pending, available=from_available, debt=left - from_available)


async def _pending(uow: UnitOfWork, refund: Refund) -> int:
    """What its payment has in pending, in minor units. Other payments' pending money is not touched: it is theirs to
    be released."""
    assert refund.order_id is not None, "only what pays an order is pending"
    payment, refunds = await uow.payments.paying(refund.order_id), await uow.refunds.of_order(refund.order_id)
    if payment is None or payment.id != refund.payment_id:
        return 0
    release = await uow.releases.of_payment(payment.id)
    if release is not None and release.released_at is not None:
        return 0
    net = payment.received - payment.fee
    return left(net, payment.id, refunds) if release is None else release.left(refunds)


async def lock_refund(uow: UnitOfWork, refund_id: str) -> Locked:
    """In the one order of locks. Raises NotFound."""
    seen = await uow.refunds.get(refund_id)
    order = await uow.orders.lock(seen.order_id) if seen.order_id is not None else None
    item = (await uow.suspense.lock(seen.item_id))[0] if seen.item_id is not None else None
    return Locked(await uow.refunds.lock(refund_id), order, item)


async def plan_of(uow: UnitOfWork, payment: ChannelPayment, order: Order) -> FeePlan:
    """The fee plan that this payment was charged by: its attempt's, or the price of the order's method when it came,
    for money that had none."""
    if payment.attempt_id is not None:
        return (await uow.attempts.get(payment.attempt_id)).terms.fee_plan
    standing, method = await uow.pricings.standing(order.merchant_id, payment.paid_at), order.paid_method
    return (standing.plans.get(method) if method else None) or FeePlan(Rate(0))


async def count_refunds(uow: UnitOfWork, order: Order, changed: Refund, clock: Clock) -> None:
    """The order's amounts follow from its refunds: read them again with the one that has just changed."""
    others = [each for each in await uow.refunds.of_order(order.id) if each.id != changed.id]
    refunding, refunded = totals([*others, changed], order.amount.currency)
    counted = order.with_refunds(refunding, refunded, now=clock.now())
    if counted is not order:
        await uow.orders.save(counted)


def _is_there(item: SuspenseItem | None, amount: Money, payment: ChannelPayment) -> bool:
    """Whether the money can have gone from where we hold it; None: it pays an order. What the channel is undoing itself
    goes as a whole."""
    if item is None:
        return True
    if item.reason is Unattributed.REVERSED:
        return item.status is SuspenseStatus.OPEN and amount == payment.total
    return item.status in (SuspenseStatus.OPEN, SuspenseStatus.REFUNDING)


def _is_news(refund: Refund, report: RefundReport) -> bool:
    if refund.status in _OPEN or refund.status is RefundStatus.FAILED:
        return True
    if refund.status is RefundStatus.ACCEPTED:
        return report.state is not RefundState.ACCEPTED
    # Accepted again is what we asked for, or an answer from before it was abnormal.
    redirected = refund.redirected and report.state is RefundState.ACCEPTED
    return refund.status is RefundStatus.ABNORMAL and (report.state is RefundState.SUCCEEDED or redirected)


def _amount(report: RefundReport, own: Sequence[Refund]) -> Money | None:
    """What this one refund was worth. None while one of ours is open, and only the payment's total is told."""
    if report.amount is not None:
        return report.amount
    if report.payment_refunded is None or any(each.status in _OPEN for each in own):
        return None
    known = sum(each.amount.minor for each in own if each.status in DEBITED)
    return Money(max(report.payment_refunded.minor - known, 0), report.payment_refunded.currency)
