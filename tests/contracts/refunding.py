"""Contract of held money and refunds: they come back as they were saved, once by each of their keys."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from application.ports.storage import AlreadyExists
from domain.channels import Mode
from domain.errors import NotFound
from domain.ledger import Account, AccountKind
from domain.money import Money
from domain.payments import SuspenseStatus, Unattributed
from domain.redirections import Destination, Redirection
from domain.refunds import PURSUED, Draws, RefundOrigin, RefundStatus
from tests.contracts.books import transfer
from tests.contracts.interleaving import Gate
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled, end, soon

SUSPENSE = Account(AccountKind.SUSPENSE, "cha_1", Mode.TEST, "CNY")


class SuspenseContract(OnStage):
    async def test_held_money_has_an_item(self, stage: Stage) -> None:
        item, payment = await stage.item()
        async with stage.unit_of_work() as uow:
            assert await uow.suspense.of_payment(payment.id) == item
            assert await uow.suspense.of_payment("pay_none") is None
            assert await uow.suspense.get(item.id) == await uow.suspense.lock(item.id) == (item, payment)
            with pytest.raises(NotFound):
                await uow.suspense.get("sus_none")
            with pytest.raises(NotFound):
                await uow.suspense.lock("sus_none")

    async def test_a_saved_item_comes_back_with_every_field(self, stage: Stage) -> None:
        item, payment = await stage.item()
        order = await stage.order()
        changed = item.attributed(order.id, Money(59))
        assert_every_field_is_filled(changed)
        async with stage.unit_of_work() as uow:
            await uow.suspense.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.suspense.lock(item.id) == (changed, payment)

    async def test_what_paid_an_order_is_its_effective_payment_or_the_one_attributed_to_it(self, stage: Stage) -> None:
        effective = await stage.payment()
        item, held = await stage.item(Unattributed.LATE)
        order = await stage.order()
        async with stage.unit_of_work() as uow:
            assert await uow.payments.paying(order.id) is None
            await uow.suspense.save(item.attributed(order.id, Money(59)))
        async with stage.unit_of_work() as uow:
            assert effective.order_id is not None
            assert held.order_id is not None
            assert await uow.payments.paying(effective.order_id) == effective
            assert await uow.payments.paying(order.id) == replace(held, fee=Money(59))
            assert await uow.payments.paying(held.order_id) is None

    async def test_two_items_never_pay_one_order(self, stage: Stage) -> None:
        (first, _), (second, _), order = await stage.item(), await stage.item(), await stage.order()
        async with stage.unit_of_work() as uow:
            await uow.suspense.save(first.attributed(order.id, Money(0)))
        with pytest.raises(AlreadyExists) as caught:
            async with stage.unit_of_work() as uow:
                await uow.suspense.save(second.attributed(order.id, Money(0)))
        assert caught.value.constraint == "uq_suspense_item_attributed"

    async def test_a_payment_under_a_number_that_was_nobodys_is_found_by_it(self, stage: Stage) -> None:
        order = await stage.order()
        known = stage.new_payment(order, await stage.attempt(order), "T-1")
        nobodys = replace(
            stage.new_payment(order, await stage.attempt(order), "T-2"),
            number=known.number,
            unattributed=Unattributed.UNKNOWN_NUMBER,
            attempt_id=None,
            order_id=None,
        )
        async with stage.unit_of_work() as uow:
            await uow.payments.add(known)
            assert await uow.payments.unknown(known.account_id, known.number) is None
            await uow.payments.add(nobodys)
        async with stage.unit_of_work() as uow:
            assert await uow.payments.unknown(known.account_id, known.number) == nobodys
            assert await uow.payments.unknown("cha_other", known.number) is None

    async def test_a_locked_item_makes_others_wait(self, stage: Stage) -> None:
        item, _ = await stage.item()
        gate = Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                mine, _ = await uow.suspense.lock(item.id)
                await gate.pause()
                await uow.suspense.save(mine.refunding())

        async def second() -> SuspenseStatus:
            async with stage.unit_of_work() as uow:
                seen, _ = await uow.suspense.lock(item.id)
                return seen.status

        writer = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        waiter = asyncio.create_task(second())
        assert await self.waits(waiter)
        gate.open.set()
        assert await end(writer, waiter) == [None, SuspenseStatus.REFUNDING]

    async def test_a_guarded_account_is_one_ones_until_the_end_whoever_only_credits_waits_for_nobody(
        self, stage: Stage
    ) -> None:
        gate = Gate()

        async def first() -> int:
            async with stage.unit_of_work() as uow:
                await uow.ledger.guard(SUSPENSE)
                await gate.pause()
                return await uow.ledger.balance(SUSPENSE)

        async def lower() -> None:
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([transfer("b", debit=SUSPENSE)])

        async def credit() -> None:
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([transfer("a", credit=SUSPENSE)])

        holder = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        waiter = asyncio.create_task(lower())
        assert await self.waits(waiter)
        await soon(credit())
        gate.open.set()
        assert await end(holder, waiter) == [100, None]  # a new statement sees what came while it waited


class RefundsContract(OnStage):
    async def test_a_new_refund_is_found_by_each_of_its_names(self, stage: Stage) -> None:
        refund = await stage.refund()
        assert refund.order_id is not None
        assert refund.merchant_refund_no is not None
        async with stage.unit_of_work() as uow:
            assert await uow.refunds.get(refund.id) == refund
            assert await uow.refunds.lock(refund.id) == refund
            assert await uow.refunds.numbered(refund.account_id, refund.number) == refund
            assert await uow.refunds.asked(refund.merchant_id, refund.mode, refund.merchant_refund_no) == refund
            assert list(await uow.refunds.of_order(refund.order_id)) == [refund]

    async def test_unknown_refunds_are_not_found(self, stage: Stage) -> None:
        refund = await stage.refund()
        assert refund.merchant_refund_no is not None
        async with stage.unit_of_work() as uow:
            assert await uow.refunds.numbered("cha_other", refund.number) is None
            assert await uow.refunds.asked("mch_other", refund.mode, refund.merchant_refund_no) is None
            assert await uow.refunds.asked(refund.merchant_id, Mode.LIVE, refund.merchant_refund_no) is None
            assert list(await uow.refunds.of_order("ord_none")) == []
            with pytest.raises(NotFound):
                await uow.refunds.get("ref_none")
            with pytest.raises(NotFound):
                await uow.refunds.lock("ref_none")

    async def test_a_saved_refund_comes_back_with_every_field(self, stage: Stage) -> None:
        item, payment = await stage.item()
        refund = await stage.refund(
            payment, item_id=item.id, draws=Draws(), share=Money(0), debit=item.amount, amount=payment.total
        )
        changed = replace(
            refund,
            status=RefundStatus.SUCCEEDED,
            channel_id="50000000382019052709732678859",
            failure="—",
            evidence="notice:1",
            accepted_at=NOW,
            succeeded_at=NOW + timedelta(days=1),
            next_at=NOW + timedelta(hours=1),
            polls=3,
            revision=4,
            destination=Destination.PAYER_CARD,
            redirection=Redirection(Destination.MERCHANT_ACCOUNT, b"\x00sealed", approved=True),
        )
        assert_every_field_is_filled(changed, but=frozenset({"events", "draws", "share"}))
        async with stage.unit_of_work() as uow:
            await uow.refunds.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.refunds.get(refund.id) == changed

    async def test_every_balance_it_was_drawn_from_comes_back(self, stage: Stage) -> None:
        refund = await stage.refund(
            draws=Draws(pending=Money(1_000), available=Money(2_000), debt=Money(936)),
            origin=RefundOrigin.CONSOLE,
            merchant_refund_no=None,
            notify_url=None,
        )
        async with stage.unit_of_work() as uow:
            assert await uow.refunds.get(refund.id) == refund

    async def test_a_refunds_events_are_stored_with_it(self, stage: Stage) -> None:
        refund = stage.new_refund(await stage.payment()).created(NOW)
        async with stage.unit_of_work() as uow:
            await uow.refunds.add(refund)
            submitted = replace(refund, events=()).submitted(NOW)
            await uow.refunds.save(submitted)
        async with stage.unit_of_work() as uow:
            assert await uow.events.get(refund.events[0].id) == refund.events[0]
            assert await uow.events.get(submitted.events[0].id) == submitted.events[0]
            assert list(await uow.events.about([refund.id, "ref_none"])) == [refund.events[0], submitted.events[0]]
            assert list(await uow.events.about([])) == []

    async def test_a_merchants_number_stands_for_one_refund(self, stage: Stage) -> None:
        payment = await stage.payment()
        await stage.refund(payment, merchant_refund_no="R-1")
        with pytest.raises(AlreadyExists) as caught:
            await stage.refund(payment, merchant_refund_no="R-1")
        assert caught.value.constraint == "uq_refund_merchant_refund_no"
        await stage.refund(payment, merchant_refund_no=None)
        await stage.refund(payment, merchant_refund_no=None)

    async def test_a_channels_number_stands_for_one_refund_of_its_account(self, stage: Stage) -> None:
        refund = await stage.refund()
        with pytest.raises(AlreadyExists) as caught:
            await stage.refund(number=refund.number)
        assert caught.value.constraint == "uq_refund_number"

    async def test_of_an_item_one_refund_stands(self, stage: Stage) -> None:
        item, payment = await stage.item()
        whole = {"item_id": item.id, "draws": Draws(), "share": Money(0), "origin": RefundOrigin.SUSPENSE}
        failed = await stage.refund(payment, status=RefundStatus.FAILED, **whole)
        await stage.refund(payment, **whole)
        with pytest.raises(AlreadyExists) as caught:
            await stage.refund(payment, **whole)
        assert caught.value.constraint == "uq_refund_item"
        assert failed.item_id == item.id
        parts = [await stage.refund(payment, **whole | {"origin": RefundOrigin.CONSOLE}) for _ in range(2)]
        async with stage.unit_of_work() as uow:
            of_payment = await uow.refunds.of_payment(payment.id)
            assert [each.id for each in of_payment][-2:] == [part.id for part in parts]
            assert len(of_payment) == 4
            assert list(await uow.refunds.of_payment("pay_none")) == []

    async def test_refunds_of_an_order_are_listed_oldest_first(self, stage: Stage) -> None:
        payment = await stage.payment()
        second = await stage.refund(payment, created_at=NOW + timedelta(seconds=1))
        first = await stage.refund(payment)
        await stage.refund()
        async with stage.unit_of_work() as uow:
            assert payment.order_id is not None
            assert list(await uow.refunds.of_order(payment.order_id)) == [first, second]

    async def test_due_refunds_are_claimed_oldest_first_one_rung_up_the_ladder(self, stage: Stage) -> None:
        payment = await stage.payment()
        second = await stage.refund(payment, next_at=NOW)
        first = await stage.refund(payment, next_at=NOW - timedelta(seconds=1), status=RefundStatus.UNKNOWN)
        await stage.refund(payment, next_at=NOW + timedelta(microseconds=1))
        async with stage.unit_of_work() as uow:
            assert list(await uow.refunds.claim_due(NOW, limit=1)) == [first.polled(NOW)]
        async with stage.unit_of_work() as uow:
            assert list(await uow.refunds.claim_due(NOW, limit=10)) == [second.polled(NOW)]
        async with stage.unit_of_work() as uow:
            assert list(await uow.refunds.claim_due(NOW, limit=10)) == []
            assert await uow.refunds.get(first.id) == first.polled(NOW)

    @pytest.mark.parametrize("status", list(RefundStatus))
    async def test_only_what_is_pursued_is_ever_due(self, stage: Stage, status: RefundStatus) -> None:
        await stage.refund(status=status, next_at=NOW)
        async with stage.unit_of_work() as uow:
            assert len(await uow.refunds.claim_due(NOW, limit=10)) == (status in PURSUED)
