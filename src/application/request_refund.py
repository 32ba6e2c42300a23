"""Somebody wants money given back to a payer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from application.confirm_refund import count_refunds, plan_of
from application.crashpoints import crashpoint
from application.ports.storage import AlreadyExists, UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.return_shares import return_of
from domain.bookkeeping import refund_reserved
from domain.channels import FundMode
from domain.errors import Conflict
from domain.ledger import Account, AccountKind
from domain.merchants import Caller
from domain.money import Money
from domain.numbers import channel_number
from domain.orders import Order
from domain.payments import ChannelPayment
from domain.refunds import Draws, Parts, Refund, RefundOrigin, RefundWish, divide, of_order, permit
from domain.share_returns import ShareReturn, due
from domain.shares import must_rest

# Whoever asked submits at once. If that one dies, the sweep takes over after this long.
LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class RequestRefund:
    """Reserve what a refund needs, or say why it cannot be, before any channel is asked.

    An equal request returns the first refund. Raises NotFound for another's order and Conflict: for an unequal request
    under a known number, "refund_exceeds_paid", "insufficient_balance", or what the channel would not allow.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def __call__(
        self, caller: Caller, wish: RefundWish, *, origin: RefundOrigin = RefundOrigin.MERCHANT, approval: bool = False
    ) -> Refund:
        """With ``approval`` it waits for a second person before it is submitted."""
        try:
            return await self._reserve(caller, wish, origin, approval=approval)
        except AlreadyExists:  # an equal call was faster, for this or another order
            return await self._reserve(caller, wish, origin, approval=approval)

    async def _reserve(self, caller: Caller, wish: RefundWish, origin: RefundOrigin, *, approval: bool) -> Refund:
        async with self.unit_of_work() as uow:
            refund = await self.within(uow, caller, wish, origin=origin, approval=approval)
            crashpoint("refund.before_commit")
        crashpoint("refund.after_commit")
        return refund

    async def within(
        self, uow: UnitOfWork, caller: Caller, wish: RefundWish, *, origin: RefundOrigin, approval: bool
    ) -> Refund:
        """The same as a part of a larger unit of work. A new refund carries its events, an earlier one has none."""
        # The order's lock makes all its refunds queue; what is read after it is true until the end.
        order = caller.own(await uow.orders.lock(wish.order_id))
        now = self.clock.now()  # not before: while we waited, others may have refunded
        earlier = await uow.refunds.asked(caller.merchant_id, caller.mode, wish.merchant_refund_no)
        if earlier is not None:
            return _same(earlier, wish)
        payment = await uow.payments.paying(order.id)
        siblings = of_order(await uow.refunds.of_order(order.id))
        channel = (await uow.accounts.access(payment.account_id)).account.channel if payment else None
        permit(wish, order, payment, channel=channel, earlier=siblings, now=now)
        assert payment is not None, "what is paid has a payment"
        parts = divide(wish.amount, payment, await plan_of(uow, payment, order), siblings)
        refund = self._refund(order, payment, wish, parts, origin=origin)
        refund = replace(refund, draws=await self._afford(uow, refund, parts)).created(now)
        refund = replace(refund, next_at=now + LEASE)
        returns = await self._returns(uow, order, payment, refund, siblings)
        if approval:
            refund = refund.awaits_approval(now)
        await uow.ledger.post(refund_reserved(refund))
        await uow.refunds.add(refund)
        for each in returns:
            await uow.share_returns.add(each)
        await count_refunds(uow, order, refund, self.clock)
        return refund

    def _refund(
        self, order: Order, payment: ChannelPayment, wish: RefundWish, parts: Parts, *, origin: RefundOrigin
    ) -> Refund:
        return Refund(
            id=self.ids.new("ref"),
            order_id=order.id,
            payment_id=payment.id,
            item_id=None,
            merchant_id=order.merchant_id,
            mode=order.mode,
            account_id=payment.account_id,
            fund_mode=payment.fund_mode,
            number=channel_number(self.ids.new("num").removeprefix("num_")),
            payment_number=payment.number,
            total=payment.total,
            amount=wish.amount,
            debit=parts.debit,
            share=parts.share,
            reason=wish.reason,
            origin=origin,
            created_at=self.clock.now(),
            merchant_refund_no=wish.merchant_refund_no,
            notify_url=order.request.notify_url,
        )

    async def _returns(
        self, uow: UnitOfWork, order: Order, payment: ChannelPayment, refund: Refund, siblings: Sequence[Refund]
    ) -> list[ShareReturn]:
        """What receivers of the order's shares give back with it. Raises InProgress while a share is under way."""
        if not order.request.profit_sharing:
            return []
        shares = await uow.shares.of_order(order.id)
        must_rest(shares)
        gone = sum(each.debit.minor for each in siblings if not each.void) + refund.debit.minor
        received = payment.received
        refunded = Money(gone, received.currency)
        found = due(shares, await uow.share_returns.of_order(order.id), refunded=refunded, received=received)
        return [return_of(one, refund, ids=self.ids, now=self.clock.now()) for one in found]

    async def _afford(self, uow: UnitOfWork, refund: Refund, parts: Parts) -> Draws:
        zero = Money(0, refund.amount.currency)
        if refund.fund_mode is FundMode.DIRECT:
            return Draws(pending=zero, available=zero, debt=zero)  # the money stands in the merchant's own account
        account = Account(await stands_in(uow, refund), refund.merchant_id, refund.mode, zero.currency)
        await uow.ledger.guard(account)
        balance = await uow.ledger.balance(account)
        if balance < parts.net.minor:
            raise Conflict(
                f"this refund takes {parts.net} from a balance of {Money(max(balance, 0), zero.currency)}",
                code="insufficient_balance",
            )
        pending = account.kind is AccountKind.MERCHANT_PENDING
        return Draws(pending=parts.net if pending else zero, available=zero if pending else parts.net, debt=zero)


async def stands_in(uow: UnitOfWork, refund: Refund) -> AccountKind:
    """The account that a payment's money is in: pending until it is released, available from then on. True to the end
    under its order's lock, which a release takes too."""
    release = await uow.releases.of_payment(refund.payment_id)
    if release is not None and release.released_at is not None:
        return AccountKind.MERCHANT_AVAILABLE
    return AccountKind.MERCHANT_PENDING


def _same(earlier: Refund, wish: RefundWish) -> Refund:
    if not earlier.asks(wish):
        raise Conflict(
            f"merchant_refund_no {wish.merchant_refund_no} stands for another refund",
            code="merchant_refund_no_taken",
            pointer="/merchant_refund_no",
        )
    return replace(earlier, events=())
