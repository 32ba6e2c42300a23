"""Contract of what is stored of profit sharing: it comes back as it was saved, each once, and is claimed when due."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from application.ports.storage import AlreadyExists
from domain.channels import Channel, Mode
from domain.errors import NotFound
from domain.money import Money
from domain.numbers import channel_number
from domain.payments import ChannelPayment
from domain.receivers import Receiver, ReceiverStatus, ReceiverWish
from domain.share_returns import ReturnStatus, ShareReturn
from domain.shares import Part, Share, ShareStatus
from domain.sharing import PartResult, ReceiverKind, Relation
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled


def new_receiver(stage: Stage, **changes: Any) -> Receiver:
    receiver = Receiver(
        id=stage.ids.new("rcv"),
        merchant_id=stage.merchant.id,
        mode=Mode.TEST,
        channel=Channel.WECHAT,
        number=channel_number(stage.ids.new("num").removeprefix("num_")),
        wish=ReceiverWish(
            account_id="cha_1",
            kind=ReceiverKind.WECHAT_MERCHANT,
            account=stage.ids.token(12),
            name="平台公司",
            relation=Relation.SERVICE_PROVIDER,
            platform_account_id="cha_platform",
        ),
        created_at=NOW,
    )
    return replace(receiver, **changes)


def new_share(stage: Stage, payment: ChannelPayment, **changes: Any) -> Share:
    assert payment.order_id is not None
    part = Part(
        receiver_id="rcv_1",
        kind=ReceiverKind.ALIPAY_LOGIN,
        account="a@example.com",
        name="张三",
        amount=Money(300),
        description="佣金",
        platform_account_id="cha_platform",
    )
    share = Share(
        id=stage.ids.new("shr"),
        order_id=payment.order_id,
        payment_id=payment.id,
        merchant_id=stage.merchant.id,
        mode=payment.mode,
        account_id=payment.account_id,
        number=channel_number(stage.ids.new("num").removeprefix("num_")),
        transaction_id=payment.transaction_id,
        currency="CNY",
        ends=False,
        created_at=NOW,
        parts=(part,),
        merchant_share_no=stage.ids.token(12),
        notify_url="https://shop.example/notify",
    )
    return replace(share, **changes)


def new_end(stage: Stage, payment: ChannelPayment, **changes: Any) -> Share:
    whole: dict[str, Any] = {"ends": True, "parts": (), "merchant_share_no": None, "status": ShareStatus.PLANNED}
    return new_share(stage, payment, **(whole | changes))


async def stored(stage: Stage, *shares: Share) -> None:
    async with stage.unit_of_work() as uow:
        for share in shares:
            await uow.shares.add(share)


class ReceiversContract(OnStage):
    async def test_a_receiver_comes_back_with_every_field(self, stage: Stage) -> None:
        receiver = new_receiver(stage)
        changed = replace(
            receiver,
            status=ReceiverStatus.REMOVING,
            failure="no",
            next_at=NOW + timedelta(hours=1),
            polls=3,
            revision=4,
        )
        assert_every_field_is_filled(changed)
        async with stage.unit_of_work() as uow:
            await uow.receivers.add(receiver)
        async with stage.unit_of_work() as uow:
            assert await uow.receivers.get(receiver.id) == receiver
            await uow.receivers.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.receivers.lock(receiver.id) == changed
            assert await uow.receivers.many([receiver.id, "rcv_none"]) == {receiver.id: changed}
            assert changed in await uow.receivers.of_merchant(receiver.merchant_id)
            assert changed in await uow.receivers.of_merchant(receiver.merchant_id, Mode.TEST)
            assert changed not in await uow.receivers.of_merchant(receiver.merchant_id, Mode.LIVE)
            with pytest.raises(NotFound):
                await uow.receivers.get("rcv_none")
            with pytest.raises(NotFound):
                await uow.receivers.lock("rcv_none")

    async def test_an_account_is_one_receiver_until_that_is_gone(self, stage: Stage) -> None:
        first = new_receiver(stage)
        second = new_receiver(stage, wish=first.wish)
        async with stage.unit_of_work() as uow:
            await uow.receivers.add(first)
        with pytest.raises(AlreadyExists, match="uq_receiver_account"):
            async with stage.unit_of_work() as uow:
                await uow.receivers.add(second)
        async with stage.unit_of_work() as uow:
            await uow.receivers.save(replace(first, status=ReceiverStatus.REMOVED, revision=2))
        async with stage.unit_of_work() as uow:
            await uow.receivers.add(second)

    async def test_due_receivers_are_claimed_once_each(self, stage: Stage) -> None:
        due = new_receiver(stage, status=ReceiverStatus.ADDING, next_at=NOW)
        later = new_receiver(stage, status=ReceiverStatus.ADDING, next_at=NOW + timedelta(days=900))
        rests = new_receiver(stage, status=ReceiverStatus.ACTIVE, next_at=NOW)
        async with stage.unit_of_work() as uow:
            for each in (due, later, rests):
                await uow.receivers.add(each)
        ids = {each.id for each in (due, later, rests)}

        async def claim() -> list[Receiver]:
            async with stage.unit_of_work() as uow:
                claimed = await uow.receivers.claim_due(NOW, limit=1_000)
                return [each for each in claimed if each.id in ids]

        claims = await asyncio.gather(claim(), claim())
        assert [each for claimed in claims for each in claimed] == [due.polled(NOW)]


class SharesContract(OnStage):
    async def test_a_share_comes_back_with_every_field(self, stage: Stage) -> None:
        share = new_share(stage, await stage.payment())
        part = replace(share.parts[0], result=PartResult.CLOSED, reason="no", to_fee=Money(1))
        changed = replace(
            share,
            ends=True,
            parts=(part,),
            status=ShareStatus.FINISHED,
            channel_id="3008",
            failure="no",
            finished_at=NOW,
            next_at=NOW + timedelta(hours=1),
            polls=3,
            revision=4,
        )
        assert_every_field_is_filled(changed)
        changed = replace(changed, ends=False)
        await stored(stage, share)
        async with stage.unit_of_work() as uow:
            assert await uow.shares.get(share.id) == share
            assert await uow.shares.asked(share.merchant_id, share.mode, share.merchant_share_no or "") == share
            assert await uow.shares.asked(share.merchant_id, Mode.LIVE, share.merchant_share_no or "") is None
            await uow.shares.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.shares.lock(share.id) == changed
            assert list(await uow.shares.of_order(share.order_id)) == [changed]
            with pytest.raises(NotFound):
                await uow.shares.get("shr_none")
            with pytest.raises(NotFound):
                await uow.shares.lock("shr_none")

    @pytest.mark.parametrize("constraint", ["uq_share_merchant_share_no", "uq_share_number", "uq_share_end"])
    async def test_what_is_unique_stays_so(self, stage: Stage, constraint: str) -> None:
        payment = await stage.payment()
        first = new_end(stage, payment) if constraint == "uq_share_end" else new_share(stage, payment)
        await stored(stage, first)
        second = {
            "uq_share_merchant_share_no": new_share(stage, payment, merchant_share_no=first.merchant_share_no),
            "uq_share_number": new_share(stage, payment, number=first.number),
            "uq_share_end": new_end(stage, payment),
        }[constraint]
        with pytest.raises(AlreadyExists, match=constraint):
            await stored(stage, second)

    async def test_due_shares_are_claimed_oldest_first_and_no_others(self, stage: Stage) -> None:
        payment = await stage.payment()
        due = [
            new_share(stage, payment, status=ShareStatus.UNKNOWN, next_at=NOW - timedelta(minutes=1)),
            new_end(stage, payment, next_at=NOW),
        ]
        others = [
            new_share(stage, payment, status=ShareStatus.PROCESSING, next_at=NOW + timedelta(days=900)),
            new_share(stage, payment, status=ShareStatus.FAILED, next_at=NOW),
        ]
        await stored(stage, *due, *others)
        async with stage.unit_of_work() as uow:
            claimed = await uow.shares.claim_due(NOW, limit=1_000)
        own = {share.id for share in (*due, *others)}
        assert [share for share in claimed if share.id in own] == [share.polled(NOW) for share in due]
        async with stage.unit_of_work() as uow:
            again = await uow.shares.claim_due(NOW, limit=1_000)
        assert not {share.id for share in again} & own


class ShareReturnsContract(OnStage):
    async def _return(self, stage: Stage, **changes: Any) -> ShareReturn:
        refund = await stage.refund()
        async with stage.unit_of_work() as uow:
            payment = await uow.payments.paying(refund.order_id or "")
        assert payment is not None
        share = new_share(stage, payment)
        await stored(stage, share)
        one = ShareReturn(
            id=stage.ids.new("srt"),
            share_id=share.id,
            refund_id=refund.id,
            order_id=share.order_id,
            merchant_id=stage.merchant.id,
            mode=share.mode,
            account_id=share.account_id,
            number=channel_number(stage.ids.new("num").removeprefix("num_")),
            share_number=share.number,
            kind=ReceiverKind.ALIPAY_USER,
            account="2088",
            amount=Money(30),
            from_fee=Money(2),
            platform_account_id="cha_platform",
            with_refund=True,
            created_at=NOW,
        )
        return replace(one, **changes)

    async def test_a_return_comes_back_with_every_field(self, stage: Stage) -> None:
        one = await self._return(stage)
        at: datetime = NOW + timedelta(seconds=1)
        changed = replace(one, status=ReturnStatus.SUCCEEDED, failure="no", returned_at=at, revision=2)
        assert_every_field_is_filled(changed)
        async with stage.unit_of_work() as uow:
            await uow.share_returns.add(one)
        async with stage.unit_of_work() as uow:
            assert list(await uow.share_returns.of_refund(one.refund_id)) == [one]
            await uow.share_returns.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.share_returns.lock(one.id) == changed
            assert list(await uow.share_returns.of_order(one.order_id)) == [changed]
            assert list(await uow.share_returns.of_refund("ref_none")) == []
            with pytest.raises(NotFound):
                await uow.share_returns.lock("srt_none")
