"""Profit sharing: who may receive, what goes out, what comes back before a refund, and every fen of it in the books."""

import asyncio
from dataclasses import replace

import pytest

from application.open_merchant import OpenedMerchant
from domain.channels import Channel, Method, Mode
from domain.errors import ChannelError, Conflict, InProgress, InvalidRequest, NotFound
from domain.ledger import PLATFORM, AccountKind
from domain.merchants import Caller
from domain.money import Money
from domain.orders import Order
from domain.receivers import Receiver, ReceiverStatus, ReceiverWish
from domain.refunds import RefundStatus, RefundWish
from domain.share_returns import ReturnStatus
from domain.shares import WINDOW, Share, ShareStatus, ShareWish, WishedPart
from domain.sharing import PartResult, ReceiverKind, Relation
from tests.fakes import ChannelFault, FakeClock
from tests.fakes.house import House, caller, request
from tests.fakes.sharing_promises import shared_as_told

K = AccountKind
BOTH = pytest.mark.parametrize("method", [Method.ALIPAY_QR, Method.WECHAT_NATIVE], ids=str)
KIND = {Channel.ALIPAY: ReceiverKind.ALIPAY_USER, Channel.WECHAT: ReceiverKind.WECHAT_MERCHANT}
PLATFORMS = "receiver-platform"


class Play:
    """A merchant with channel accounts of its own, and orders of 100.00 that are to be shared."""

    def __init__(self, house: House, merchant: OpenedMerchant, method: Method, clock: FakeClock) -> None:
        self.house, self.merchant, self.method, self.clock = house, merchant, method, clock
        self.channel = house.channels[method.channel]
        self.rail = self.channel.sharing
        self.rail.at_once = True

    @property
    def caller(self) -> Caller:
        return caller(self.merchant)

    async def order(self, no: str = "A-1", *, shared: bool = True) -> Order:
        asked = replace(request(no), profit_sharing=shared)
        order = await self.house.place_order(self.caller, asked)
        attempt = await self.house.start_attempt(self.caller, order.id, self.method)
        self.channel.pay(attempt.number)
        await self.house.notice(self.channel, attempt)
        return await self.house.now(order)

    async def account_id(self) -> str:
        async with self.house.database.unit_of_work() as uow:
            serving = await uow.accounts.serving(self.merchant.merchant.id, Mode.TEST)
        return next(one.account.id for one in serving if one.account.channel is self.method.channel)

    async def receiver(self, account: str = "receiver-a", *, platform: str | None = None) -> Receiver:
        """One that the channel knows."""
        house, now = self.house, self.house.clock.now()
        wish = ReceiverWish(
            account_id=await self.account_id(),
            kind=KIND[self.method.channel],
            account=account,
            name="平台公司",
            relation=Relation.PARTNER,
            platform_account_id=platform,
        )
        receiver = Receiver(
            id=house.ids.new("rcv"),
            merchant_id=self.merchant.merchant.id,
            mode=Mode.TEST,
            channel=self.method.channel,
            number=house.ids.new("num"),
            wish=wish,
            created_at=now,
        ).created(now)
        async with house.database.unit_of_work() as uow:
            await uow.receivers.add(receiver)
            await uow.receivers.save(replace(receiver, events=()).approved(now))
        await house.tell_due_receivers()
        async with house.database.unit_of_work() as uow:
            return await uow.receivers.get(receiver.id)

    async def share(self, order: Order, *parts: tuple[Receiver, int], no: str = "S-1") -> Share:
        wished = tuple(
            WishedPart(receiver_id=receiver.id, amount=Money(minor), description="佣金") for receiver, minor in parts
        )
        share = await self.house.request_share(
            self.caller, ShareWish(merchant_share_no=no, order_id=order.id, parts=wished)
        )
        return await self.house.submit_share(share.id) if share.events else share

    async def refund(self, order: Order, minor: int, no: str = "R-1") -> RefundStatus:
        """To its end, whatever the channel's way."""
        refund = await self.house.refund(self.merchant, order, minor, no)
        if refund.status is RefundStatus.ACCEPTED:
            self.channel.settle(refund.number)
            await self.house.refund_notice(self.channel, refund.number, refund.account_id)
        return (await self.house.refunds(order))[-1].status

    def rail_transactions(self) -> set[str]:
        return {receipt.transaction_id for receipt in self.channel.paid()}

    async def books(self) -> dict[str, int]:
        """DO, DH, SFD, FI and the platform's CR."""
        balance, merchant_id = self.house.balance, self.merchant.merchant.id
        return {
            "DO": await balance(K.DIRECT_OWED, merchant_id),
            "DH": await balance(K.DIRECT_HELD, await self.account_id()),
            "SFD": await balance(K.SERVICE_FEE_DUE, merchant_id),
            "FI": await balance(K.FEE_INCOME, PLATFORM),
            "CR": await balance(K.CHANNEL_RECEIVABLE, PLATFORMS),
        }


@pytest.fixture
async def play(house: House, method: Method, clock: FakeClock) -> Play:
    return Play(house, await house.merchant(of_platform=False), method, clock)


@BOTH
async def test_a_share_goes_out_of_the_merchants_account_and_is_booked(play: Play) -> None:
    order = await play.order()
    share = await play.share(order, (await play.receiver(), 1_000))
    assert share.status is ShareStatus.FINISHED
    assert [part.result for part in share.parts] == [PartResult.SUCCEEDED]
    assert await play.books() == {"DO": 9_000, "DH": -9_000, "SFD": -60, "FI": 60, "CR": 0}


@BOTH
async def test_the_platforms_part_pays_the_fee_first_and_the_rest_is_income(play: Play) -> None:
    order = await play.order()
    platform = await play.receiver("us", platform=PLATFORMS)
    await play.share(order, (platform, 40), no="S-1")
    assert await play.books() == {"DO": 9_960, "DH": -9_960, "SFD": -20, "FI": 60, "CR": -40}
    await play.share(order, (platform, 1_000), (await play.receiver(), 500), no="S-2")
    assert await play.books() == {"DO": 8_460, "DH": -8_460, "SFD": 0, "FI": 60 + 980, "CR": -1_040}


@BOTH
async def test_a_refund_takes_back_each_receivers_part_and_whole_refunds_leave_nothing(play: Play) -> None:
    order = await play.order()
    await play.share(order, (await play.receiver("us", platform=PLATFORMS), 1_000), (await play.receiver(), 333))
    assert await play.refund(order, 5_000, "R-1") is RefundStatus.SUCCEEDED
    assert (play.rail.returned("us"), play.rail.returned("receiver-a")) == (500, 167)
    assert await play.books() == {"DO": 9_000 - 333 - 5_000 + 667, "DH": -4_334, "SFD": 0, "FI": 500, "CR": -500}
    play.clock.advance(61)
    assert await play.refund(order, 5_000, "R-2") is RefundStatus.SUCCEEDED
    assert (play.rail.returned("us"), play.rail.returned("receiver-a")) == (1_000, 333)
    assert await play.books() == {"DO": 0, "DH": 0, "SFD": 0, "FI": 0, "CR": 0}


@pytest.mark.parametrize("method", [Method.WECHAT_NATIVE], ids=str)
async def test_a_receiver_who_gives_nothing_back_does_not_hold_the_payers_money_up(play: Play) -> None:
    order = await play.order()
    await play.share(order, (await play.receiver(), 1_000))
    play.rail.refuse["receiver-a"] = "PAYER_ACCOUNT_ABNORMAL"
    assert await play.refund(order, 10_000) is RefundStatus.SUCCEEDED
    (returned,) = (await play.house.find_share.of_order(play.caller, order.id))[1]
    assert (returned.status, returned.failure) == (ReturnStatus.FAILED, "PAYER_ACCOUNT_ABNORMAL")
    assert (await play.books())["DO"] == -1_000, "the merchant's own money paid the payer"


@pytest.mark.parametrize("method", [Method.ALIPAY_QR], ids=str)
async def test_at_alipay_a_refused_return_refuses_the_refund_and_nothing_moved(play: Play) -> None:
    order = await play.order()
    await play.share(order, (await play.receiver(), 1_000))
    before = await play.books()
    play.rail.refuse["receiver-a"] = "short"
    assert await play.refund(order, 10_000) is RefundStatus.FAILED
    (returned,) = (await play.house.find_share.of_order(play.caller, order.id))[1]
    assert returned.status is ReturnStatus.CANCELLED
    assert await play.books() == before


@pytest.mark.parametrize("method", [Method.WECHAT_NATIVE], ids=str)
async def test_a_return_whose_answer_is_lost_is_asked_after_and_comes_back_once(play: Play) -> None:
    order = await play.order()
    await play.share(order, (await play.receiver(), 1_000))
    play.channel.faults.once(ChannelFault.UNKNOWN_DONE, at="return")
    refund = await play.house.refund(play.merchant, order, 10_000)
    assert refund.status is RefundStatus.RETURNING_SHARES
    assert play.channel.refunds() == [], "the payer's refund waits"
    play.clock.advance(31)
    await play.house.check_due_refunds()
    assert play.rail.returned("receiver-a") == 1_000
    assert (await play.house.refunds(order))[-1].status is RefundStatus.ACCEPTED
    assert (await play.books())["DO"] == 0


@BOTH
@pytest.mark.parametrize("fault", [ChannelFault.UNKNOWN_DONE, ChannelFault.UNKNOWN_UNDONE, ChannelFault.UNAVAILABLE])
async def test_a_share_whose_answer_is_lost_is_made_once(play: Play, fault: ChannelFault) -> None:
    order, receiver = await play.order(), await play.receiver()
    play.channel.faults.once(fault, at="share")
    share = await play.share(order, (receiver, 1_000))
    assert share.status in (ShareStatus.UNKNOWN, ShareStatus.SUBMITTED)
    assert (await play.books())["DO"] == 10_000
    play.clock.advance(61)
    await play.house.check_due_shares()
    assert (await play.house.find_share(play.caller, share.id)).status is ShareStatus.FINISHED
    assert len([one for one in play.rail.shares(share.transaction_id) if one.parts]) == 1
    assert (await play.books())["DO"] == 9_000


@BOTH
async def test_every_loss_of_an_answer_leaves_the_books_as_the_channel_has_it(play: Play) -> None:
    """Each call in turn does its work and says nothing; sweeps alone have to bring it to its end."""
    receiver = await play.receiver()
    for n, step in enumerate(("share", "ask_share", "finish", "return", "ask_return", "refund", "query_refund")):
        order = await play.order(f"A-{n}")
        play.channel.faults.once(ChannelFault.UNKNOWN_DONE, at=step)
        await play.share(order, (receiver, 1_000), no=f"S-{n}")
        for _ in range(4):
            play.clock.advance(7_200)
            await play.house.check_due_shares()
        await play.house.refund(play.merchant, order, 4_000, f"R-{n}")
        for _ in range(4):
            play.clock.advance(7_200)
            await play.house.check_due_refunds()
        end = await play.house.end_sharing(play.caller, order.id)
        await play.house.submit_share(end.id)
        play.channel.faults._scripted.clear()
    out = sum(play.rail.shared(one) for one in play.rail_transactions())
    back = play.rail.returned("receiver-a")
    refunded = sum(report.amount.minor for report in play.channel.refunds() if report.amount)
    assert (out, back, refunded) == (7_000, 2_800, 28_000)
    assert (await play.books())["DO"] == 70_000 - out + back - refunded
    assert list(shared_as_told(play.house.database.tables)) == []


@BOTH
async def test_what_is_not_as_the_channel_told_it_is_found(play: Play) -> None:
    order, tables = await play.order(), play.house.database.tables
    share = await play.share(order, (await play.receiver("us", platform=PLATFORMS), 1_000))
    await play.refund(order, 4_000)
    (back,) = tables.share_returns.committed.values()
    assert list(shared_as_told(tables)) == []
    shares, returns, transfers = tables.shares.committed, tables.share_returns.committed, tables.transfers.committed
    (part,), stored = share.parts, shares[share.id]

    def found() -> set[str]:
        return {str(row["what"]) for row in shared_as_told(tables)}

    shares[share.id] = replace(stored, parts=(replace(part, amount=Money(10_401)),))
    assert found() == {"booked amiss", "shared more than it brought"}
    shares[share.id] = stored
    returns[back.id] = replace(back, amount=Money(1_001))
    assert found() == {"booked amiss", "more came back than was shared"}
    returns[back.id] = back
    del transfers[next(key for key in transfers if str(key).endswith(":out"))]
    assert found() == {"booked amiss"}


@BOTH
async def test_a_receiver_that_the_channel_does_not_pay_gets_nothing_and_is_told(play: Play) -> None:
    order = await play.order()
    good, bad = await play.receiver("good"), await play.receiver("bad")
    play.rail.refuse["bad"] = "account_abnormal"
    share = await play.share(order, (good, 700), (bad, 300))
    assert [(part.result, part.reason) for part in share.parts] == [
        (PartResult.SUCCEEDED, ""),
        (PartResult.CLOSED, "account_abnormal"),
    ]
    assert (await play.books())["DO"] == 9_300
    again = await play.share(order, (good, 300), no="S-2")
    assert again.status is ShareStatus.FINISHED


@BOTH
async def test_more_than_the_channel_allows_fails_and_nothing_moved(play: Play) -> None:
    order, receiver = await play.order(), await play.receiver()
    share = await play.share(order, (receiver, 3_001))
    assert (share.status, share.failure) == (ShareStatus.FAILED, "share_exceeds_limit")
    assert (await play.books())["DO"] == 10_000
    assert (await play.share(order, (receiver, 3_000), no="S-2")).status is ShareStatus.FINISHED


@BOTH
async def test_an_equal_request_is_the_first_share_and_another_is_a_conflict(play: Play) -> None:
    order, receiver = await play.order(), await play.receiver()
    share = await play.share(order, (receiver, 1_000))
    assert (await play.share(order, (receiver, 1_000))).id == share.id
    with pytest.raises(Conflict, match="another share"):
        await play.share(order, (receiver, 1_001))
    assert (await play.books())["DO"] == 9_000


@BOTH
async def test_what_cannot_be_shared_is_said_before_the_channel_is_asked(play: Play) -> None:
    receiver, plain = await play.receiver(), await play.order("A-0", shared=False)
    with pytest.raises(Conflict) as refusal:
        await play.share(plain, (receiver, 1))
    assert refusal.value.code == "order_not_shared"
    order = await play.order("A-1")
    with pytest.raises(Conflict) as refusal:
        await play.share(order, (receiver, 10_001))
    assert refusal.value.code == "share_exceeds_paid"
    stranger = await play.house.merchant(of_platform=False)
    (elsewhere,) = {Method.ALIPAY_QR, Method.WECHAT_NATIVE} - {play.method}
    for nobodys in (
        replace(receiver, id="rcv_nobody"),
        await Play(play.house, play.merchant, elsewhere, play.clock).receiver("receiver-b"),
        await Play(play.house, stranger, play.method, play.clock).receiver("receiver-c"),
    ):
        with pytest.raises(InvalidRequest) as unknown:
            await play.share(order, (nobodys, 1))
        assert unknown.value.code == "receiver_unknown"
    with pytest.raises(NotFound):
        await play.house.request_share(caller(stranger), ShareWish(merchant_share_no="X", order_id=order.id, parts=()))


@BOTH
async def test_the_next_share_takes_no_more_than_what_shares_and_refunds_have_left(play: Play) -> None:
    receiver, order = await play.receiver(), await play.order()
    await play.share(order, (receiver, 1_000), no="S-1")
    with pytest.raises(Conflict) as refusal:
        await play.share(order, (receiver, 9_001), no="S-2")
    assert refusal.value.code == "share_exceeds_paid"
    assert await play.refund(order, 5_000) is RefundStatus.SUCCEEDED  # the receiver gives half of its part back
    with pytest.raises(Conflict) as refusal:
        await play.share(order, (receiver, 4_501), no="S-3")
    assert refusal.value.code == "share_exceeds_paid"


@BOTH
async def test_a_refund_waits_for_a_share_that_is_under_way(play: Play) -> None:
    order, receiver = await play.order(), await play.receiver()
    play.rail.at_once = False
    assert (await play.share(order, (receiver, 1_000))).status is ShareStatus.PROCESSING
    wish = RefundWish(merchant_refund_no="R-1", order_id=order.id, amount=Money(10_000))
    with pytest.raises(InProgress) as refusal:
        await play.house.request_refund(play.caller, wish)
    assert refusal.value.code == "share_in_progress"
    play.rail.settle()
    play.clock.advance(31)
    await play.house.check_due_shares()
    assert await play.refund(order, 10_000) is RefundStatus.SUCCEEDED
    assert (await play.books())["DO"] == 0


@BOTH
async def test_the_end_comes_by_a_call_or_by_itself_and_is_one(play: Play) -> None:
    receiver = await play.receiver()
    called, left = await play.order("A-1"), await play.order("A-2")
    for _ in range(2):
        end = await play.house.end_sharing(play.caller, called.id)
        assert (await play.house.submit_share(end.id)).status is ShareStatus.FINISHED
    with pytest.raises(Conflict) as refusal:
        await play.share(called, (receiver, 1))
    assert refusal.value.code == "sharing_ended"
    await play.house.check_due_shares()
    window = WINDOW[play.method.channel].total_seconds()
    play.clock.advance(window - 60)
    assert await play.house.check_due_shares() == 0
    play.clock.advance(61)
    await play.house.check_due_shares()
    shares, _ = await play.house.find_share.of_order(play.caller, left.id)
    assert [(share.ends, share.status) for share in shares] == [(True, ShareStatus.FINISHED)]
    for order in (called, left):
        ends = [share for share in (await play.house.find_share.of_order(play.caller, order.id))[0] if share.ends]
        assert len([one for one in play.rail.shares(ends[0].transaction_id) if not one.parts]) == 1


@BOTH
async def test_shares_and_refunds_that_race_never_give_away_more_than_there_is(play: Play) -> None:
    order, receiver = await play.order(), await play.receiver()

    async def share(n: int) -> None:
        try:
            await play.share(order, (receiver, 1_000), no=f"S-{n}")
        except (Conflict, ChannelError):
            return

    async def refund(n: int) -> None:
        try:
            await play.house.refund(play.merchant, order, 9_000, f"R-{n}")
        except (Conflict, ChannelError):
            return

    await asyncio.gather(*(share(n) for n in range(4)), *(refund(n) for n in range(2)))
    for _ in range(6):
        play.clock.advance(7_200)
        await play.house.check_due_shares()
        await play.house.check_due_refunds()
    transactions = play.rail_transactions()
    out = sum(play.rail.shared(one) for one in transactions) - play.rail.returned("receiver-a")
    refunded = sum(report.amount.minor for report in play.channel.refunds() if report.amount)
    assert refunded <= 9_000
    assert (await play.books())["DO"] == 10_000 - out - refunded >= 0


@BOTH
async def test_a_receiver_that_the_channel_refuses_gets_no_share(play: Play) -> None:
    play.channel.faults.once(ChannelFault.REJECTED, at="register")
    receiver = await play.receiver()
    assert (receiver.status, receiver.failure) == (ReceiverStatus.REFUSED, "rejected")
    order = await play.order()
    with pytest.raises(Conflict) as refusal:
        await play.share(order, (receiver, 1))
    assert refusal.value.code == "receiver_not_active"


async def test_money_that_the_platform_collects_is_never_marked_to_be_shared(house: House) -> None:
    merchant = await house.merchant()
    order = await house.place_order(caller(merchant), replace(request(), profit_sharing=True))
    with pytest.raises(Conflict) as refusal:
        await house.start_attempt(caller(merchant), order.id, Method.WECHAT_NATIVE)
    assert refusal.value.code == "sharing_needs_direct"
