"""A merchant wants a part of a payment passed on to others."""

from dataclasses import dataclass, replace
from datetime import timedelta

from application.ports.storage import AlreadyExists, UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.errors import Conflict, InvalidRequest, NotFound
from domain.merchants import Caller
from domain.numbers import channel_number
from domain.orders import Order
from domain.payments import ChannelPayment
from domain.receivers import Receiver, ReceiverStatus
from domain.shares import Part, Share, ShareStatus, ShareWish, WishedPart, permit

# Whoever asked submits at once. If that one dies, the sweep takes over after this long.
LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class RequestShare:
    """Write down what is to be shared, or say why it cannot be, before any channel is asked.

    An equal request returns the first share. Raises NotFound for another's order, InvalidRequest for a receiver that
    is none of this payment's account, and Conflict: for an unequal request under a known number, and what
    ``shares.permit`` says.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def __call__(self, caller: Caller, wish: ShareWish) -> Share:
        try:
            return await self._write(caller, wish)
        except AlreadyExists:  # an equal call was faster, for this or another order
            return await self._write(caller, wish)

    async def _write(self, caller: Caller, wish: ShareWish) -> Share:
        async with self.unit_of_work() as uow:
            # The order's lock makes its shares and refunds queue; what is read after it is true until the end.
            order = caller.own(await uow.orders.lock(wish.order_id))
            earlier = await uow.shares.asked(caller.merchant_id, caller.mode, wish.merchant_share_no)
            if earlier is not None:
                return _same(earlier, wish)
            payment = await uow.payments.paying(order.id)
            shares = await uow.shares.of_order(order.id)
            refunds = await uow.refunds.of_order(order.id)
            returns = await uow.share_returns.of_order(order.id)
            permit(
                wish,
                order,
                payment,
                shares,
                back=sum(one.amount.minor for one in returns if one.returned_at is not None),
                debited=sum(one.debit.minor for one in refunds if one.item_id is None and not one.void),
            )
            assert payment is not None, "what is paid has a payment"
            share = self._share(order, payment, wish, await self._parts(uow, caller, payment, wish))
            await uow.shares.add(share)
        return share

    async def _parts(
        self, uow: UnitOfWork, caller: Caller, payment: ChannelPayment, wish: ShareWish
    ) -> tuple[Part, ...]:
        known = await uow.receivers.many([part.receiver_id for part in wish.parts])
        parts = tuple(
            _part(known.get(part.receiver_id), part, caller, payment.account_id, n) for n, part in enumerate(wish.parts)
        )
        if len({part.account for part in parts}) != len(parts):
            raise InvalidRequest("each receiver once", code="receiver_repeated", pointer="/parts")
        return parts

    def _share(self, order: Order, payment: ChannelPayment, wish: ShareWish, parts: tuple[Part, ...]) -> Share:
        now = self.clock.now()
        share = Share(
            id=self.ids.new("shr"),
            order_id=order.id,
            payment_id=payment.id,
            merchant_id=order.merchant_id,
            mode=order.mode,
            account_id=payment.account_id,
            number=channel_number(self.ids.new("num").removeprefix("num_")),
            transaction_id=payment.transaction_id,
            currency=payment.received.currency,
            ends=False,
            created_at=now,
            parts=parts,
            merchant_share_no=wish.merchant_share_no,
            notify_url=order.request.notify_url,
        )
        return share.created(now, next_at=now + LEASE)


@dataclass(frozen=True, slots=True)
class EndSharing:
    """The sharing of an order is to end now: what nobody got is let go. Again it returns the same end.

    Raises NotFound for another's order or one that was never to be shared, Conflict("share_in_progress") while a share
    is under way.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, caller: Caller, order_id: str) -> Share:
        async with self.unit_of_work() as uow:
            caller.own(await uow.orders.lock(order_id))
            shares = await uow.shares.of_order(order_id)
            end = next((share for share in shares if share.ends), None)
            if end is None:
                raise NotFound("this order has nothing to share")
            if end.status not in (ShareStatus.PLANNED, ShareStatus.FAILED):
                return end
            if any(share.open and not share.ends for share in shares):
                raise Conflict("a share of this order is under way", code="share_in_progress")
        return end


def _same(earlier: Share, wish: ShareWish) -> Share:
    if not earlier.asks(wish):
        raise Conflict(
            f"merchant_share_no {wish.merchant_share_no} stands for another share",
            code="merchant_share_no_taken",
            pointer="/merchant_share_no",
        )
    return replace(earlier, events=())


def _part(receiver: Receiver | None, wished: WishedPart, caller: Caller, account_id: str, n: int) -> Part:
    ours = receiver is not None and (receiver.merchant_id, receiver.mode) == (caller.merchant_id, caller.mode)
    if receiver is None or not ours or receiver.wish.account_id != account_id:
        raise InvalidRequest(
            f"{wished.receiver_id} is no receiver of the account that was paid",
            code="receiver_unknown",
            pointer=f"/parts/{n}/receiver_id",
        )
    if receiver.status is not ReceiverStatus.ACTIVE:
        raise Conflict(
            f"{receiver.id} is {receiver.status}", code="receiver_not_active", pointer=f"/parts/{n}/receiver_id"
        )
    return Part(
        receiver_id=receiver.id,
        kind=receiver.wish.kind,
        account=receiver.wish.account,
        name=receiver.wish.name,
        amount=wished.amount,
        description=wished.description,
        platform_account_id=receiver.wish.platform_account_id,
    )
