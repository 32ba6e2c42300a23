"""A payer has chosen a method: open a payment at a channel."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from application.charge_barcode import ChargeBarcode
from application.close_order import CloseAttempt
from application.crashpoints import crashpoint
from application.ports.channels import Channels
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.route_attempt import RouteAttempt
from domain.attempts import LEAST_TO_PAY, POLL_LADDER, Attempt, AttemptStatus
from domain.channels import Access, ChannelAccount, ChannelState, FundMode, Method, Opening, PayerAction, Terms
from domain.choices import Choice
from domain.errors import ChannelError, ChannelRejected, Conflict, InProgress, InvalidRequest, OutcomeUnknown
from domain.merchants import Caller
from domain.numbers import channel_number
from domain.orders import Order, OrderStatus
from domain.routing import Serving, failure
from domain.times import shanghai_day


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Intent committed, then the call, then its outcome. Repeating it returns the same attempt and the same code.

    A live attempt by another method, or for another payer, is closed at its channel first, where that can be done. A
    bar code is charged instead (ChargeBarcode): its outcome may still be open when this returns, and is never raised
    as unknown. Raises InvalidRequest for a choice that lacks something or an amount beyond the method's limit, Conflict
    when the order is not payable, the merchant has no such method or the day's limit is reached, Forbidden for a
    suspended merchant, ChannelRejected (the attempt failed), ChannelUnavailable and OutcomeUnknown (repeat this call:
    the attempt and its number stay, but for what RouteAttempt says of an account that is out of order).
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    close_attempt: CloseAttempt
    charge: ChargeBarcode
    route: RouteAttempt
    clock: Clock
    ids: Ids
    notice_url: str

    async def __call__(self, caller: Caller, order_id: str, choice: Choice | Method) -> Attempt:
        """A bare method is a choice that needs nothing else."""
        if isinstance(choice, Method):
            choice = Choice(method=choice)
        choice.checked()
        await self._give_up_others(caller, order_id, choice)
        order, attempt, access, way = await self._intend(caller, order_id, choice)
        if attempt.status is AttemptStatus.PENDING and (attempt.action is not None or choice.method.is_barcode):
            return attempt
        crashpoint("attempt.after_intent")
        opening = attempt.opening(
            subject=order.request.subject,
            notice_url=f"{self.notice_url}/{access.account.channel}/{access.account.id}",
            auth_code=choice.auth_code,
        )
        if choice.method.is_barcode:
            return await self._charge(access, attempt, opening, way)
        try:
            action = await self.channels[choice.method.channel].open(access, opening)
        except ChannelError as error:
            if isinstance(error, ChannelRejected):
                await self._rejected(attempt, error)
            elif isinstance(error, OutcomeUnknown):
                await self._store(attempt, None)
            await self.route.went_wrong(way, attempt, error)
            raise
        crashpoint("attempt.after_channel")
        order, attempt = await self._store(attempt, action)
        await self.route.went_well(way, attempt.method)
        crashpoint("attempt.after_stored")
        if order.status is not OrderStatus.PENDING:
            # It was closed, or paid otherwise, while the channel was opening: take back what nobody has seen.
            await self.close_attempt(attempt)
            raise Conflict(f"this order is {order.status}", code=f"order_{order.status}")
        if attempt.status in (AttemptStatus.CLOSED, AttemptStatus.FAILED):
            # Another call was refused, or gave this attempt up, while the channel was opening it for us: nobody asks
            # about it any more, so nobody may pay it.
            await self.close_attempt(attempt)
            raise InProgress("this payment was given up while it was being opened: start it again")
        return attempt

    async def _charge(self, access: Access, attempt: Attempt, opening: Opening, way: Serving | None) -> Attempt:
        try:
            attempt = await self.charge(access, attempt, opening, fresh=way is not None)
        except ChannelError as error:
            await self.route.went_wrong(way, attempt, error)
            raise
        if attempt.status is not AttemptStatus.UNKNOWN:
            await self.route.went_well(way, attempt.method)
        if attempt.live:
            async with self.unit_of_work() as uow:
                order = await uow.orders.get(attempt.order_id)
            if order.status is not OrderStatus.PENDING:
                await self.close_attempt(attempt)
                raise Conflict(f"this order is {order.status}", code=f"order_{order.status}")
        return attempt

    async def _give_up_others(self, caller: Caller, order_id: str, choice: Choice) -> None:
        async with self.unit_of_work() as uow:
            caller.own(await uow.orders.get(order_id)).payable_at(self.clock.now())
            attempts = await uow.attempts.of_order(order_id)
        for other in attempts:
            same = other.suits(choice) and not other.undone
            if other.live and not same and await self.close_attempt(other) is ChannelState.PAID:
                raise Conflict("this order is paid", code="order_paid")

    async def _intend(
        self, caller: Caller, order_id: str, choice: Choice
    ) -> tuple[Order, Attempt, Access, Serving | None]:
        """The attempt, and the way it goes if it is new."""
        method, now = choice.method, self.clock.now()
        async with self.unit_of_work() as uow:
            order = caller.own(await uow.orders.lock(order_id))
            order.payable_at(now)
            if order.request.method not in (None, method):
                raise Conflict(f"this order is to be paid by {order.request.method}", code="method_not_allowed")
            attempts = await uow.attempts.of_order(order_id)
            for attempt in attempts:
                if attempt.live and attempt.suits(choice):
                    if attempt.undone:
                        raise InProgress("the payment before is still being undone", code="close_in_progress")
                    return order, attempt, await uow.accounts.access(attempt.account_id), None
            standing = await uow.pricings.standing(order.merchant_id, now)
            standing.merchant.must_be_active()
            plan, limit = standing.plan(method), standing.limit(method)
            limit.admits(order.amount)
            way = await self.route(uow, order, choice, standing.merchant, attempts)
            attempt = self._attempt(order, choice, way.account, Terms(plan, way.account.cost(method)), now)
            if limit.daily is not None:
                attempt = replace(attempt, counted_on=shanghai_day(now))
                if not await uow.limits.reserve(attempt, limit.daily):
                    raise limit.reached()
            await uow.attempts.add(attempt)
        return order, attempt, way.access, way

    def _attempt(self, order: Order, choice: Choice, account: ChannelAccount, terms: Terms, now: datetime) -> Attempt:
        asked = order.request
        payer_ip = choice.payer_ip or asked.payer_ip
        if asked.profit_sharing and account.fund_mode is not FundMode.DIRECT:
            raise Conflict("only a merchant's own channel account shares", code="sharing_needs_direct")
        if choice.method is Method.WECHAT_H5 and payer_ip is None:
            raise InvalidRequest(
                "WeChat Pay asks for the payer's address", code="payer_ip_required", pointer="/payer_ip"
            )
        return Attempt(
            id=self.ids.new("att"),
            order_id=order.id,
            merchant_id=order.merchant_id,
            mode=order.mode,
            method=choice.method,
            account_id=account.id,
            number=channel_number(self.ids.new("num").removeprefix("num_")),
            amount=order.amount,
            fund_mode=account.fund_mode,
            terms=terms,
            created_at=now,
            expires_at=max(order.expires_at, now + LEAST_TO_PAY.get(choice.method.channel, timedelta(0))),
            payer_id=choice.payer_id,
            payer_ip=payer_ip,
            return_url=choice.return_url or asked.return_url,
            notify_url=asked.notify_url,
            instalments=choice.instalments,
            shared=asked.profit_sharing,
            next_at=now + timedelta(seconds=POLL_LADDER[0]),
        )

    async def _store(self, opened: Attempt, action: PayerAction | None) -> tuple[Order, Attempt]:
        async with self.unit_of_work() as uow:
            order = await uow.orders.lock(opened.order_id)
            attempt = await uow.attempts.lock(opened.id)
            now = self.clock.now()
            attempt = attempt.doubted(now) if action is None else attempt.opened(action, now)
            await uow.attempts.save(attempt)
        return order, replace(attempt, events=())

    async def _rejected(self, attempt: Attempt, refusal: ChannelRejected) -> None:
        """Only the first opening of a number can fail for good: a refused repetition says nothing about the first."""
        async with self.unit_of_work() as uow:
            attempt = await uow.attempts.lock(attempt.id)
            if attempt.status is AttemptStatus.CREATED:
                await uow.attempts.save(attempt.failed(failure(refusal), self.clock.now()))
