"""Contract of orders, attempts, payments and their events."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.ports.storage import AlreadyExists
from domain.attempts import AttemptStatus
from domain.channels import ActionType, Method, Mode, PayerAction
from domain.errors import NotFound
from domain.money import Money
from domain.orders import OrderStatus
from domain.payments import Unattributed
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled


class OrdersContract(OnStage):
    async def test_a_new_order_is_found_by_id_by_number_and_by_token(self, stage: Stage) -> None:
        placed = await stage.order()
        async with stage.unit_of_work() as uow:
            assert await uow.orders.get(placed.id) == placed
            assert await uow.orders.lock(placed.id) == placed
            assert await uow.orders.placed(stage.merchant.id, Mode.TEST, placed.request.merchant_order_no) == placed
            assert await uow.orders.by_token(placed.cashier_token) == placed

    async def test_an_order_without_its_optional_parts_comes_back_too(self, stage: Stage) -> None:
        bare: dict[str, Any] = {
            "method": None,
            "return_url": None,
            "notify_url": None,
            "payer_ip": None,
            "locale": None,
            "metadata": {},
        }
        placed = await stage.order(**bare)
        async with stage.unit_of_work() as uow:
            assert await uow.orders.get(placed.id) == placed

    async def test_a_saved_order_comes_back_with_every_field(self, stage: Stage) -> None:
        placed = await stage.order()
        changed = replace(
            placed,
            status=OrderStatus.PAID,
            paid=Money(10_000),
            refunded=Money(300),
            refunding=Money(200),
            paid_method=Method.WECHAT_NATIVE,
            paid_at=NOW,
            closed_at=NOW + timedelta(microseconds=1),
            close_reason="expired",
            revision=4,
        )
        assert_every_field_is_filled(changed)
        assert_every_field_is_filled(changed.request)
        async with stage.unit_of_work() as uow:
            await uow.orders.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.orders.get(placed.id) == changed

    async def test_a_unit_of_work_sees_its_own_writes(self, stage: Stage) -> None:
        order = stage.new_order()
        async with stage.unit_of_work() as uow:
            await uow.orders.add(order)
            assert await uow.orders.get(order.id) == replace(order, events=())
            closed = order.close("merchant", now=NOW)
            await uow.orders.save(closed)
            assert await uow.orders.lock(order.id) == replace(closed, events=())

    async def test_unknown_orders_are_not_found_by_anything(self, stage: Stage) -> None:
        placed = await stage.order("A-1")
        async with stage.unit_of_work() as uow:
            with pytest.raises(NotFound):
                await uow.orders.get("ord_00000000000000000000000000")
            with pytest.raises(NotFound):
                await uow.orders.lock("ord_00000000000000000000000000")
            with pytest.raises(NotFound):
                await uow.orders.placed(stage.merchant.id, Mode.LIVE, "A-1")
            with pytest.raises(NotFound):
                await uow.orders.placed("mch_nobody", Mode.TEST, "A-1")
            with pytest.raises(NotFound):
                await uow.orders.by_token(placed.cashier_token.swapcase())

    async def test_a_merchants_number_is_taken_once_in_each_mode(self, stage: Stage) -> None:
        first = await stage.order("A-1")
        await stage.order("A-1", mode=Mode.LIVE)
        second = stage.new_order("A-1")
        with pytest.raises(AlreadyExists) as caught:
            async with stage.unit_of_work() as uow:
                await uow.orders.add(second)
        assert caught.value.constraint == "uq_order_merchant_order_no"
        async with stage.unit_of_work() as uow:
            assert await uow.orders.placed(stage.merchant.id, Mode.TEST, "A-1") == first
            with pytest.raises(NotFound):
                await uow.orders.get(second.id)

    async def test_an_exception_leaves_nothing_of_a_unit_of_work(self, stage: Stage) -> None:
        kept, gone = await stage.order(), stage.new_order()
        closed = kept.close("merchant", now=NOW)
        with pytest.raises(KeyError):
            async with stage.unit_of_work() as uow:
                await uow.orders.add(gone)
                await uow.orders.save(closed)
                await uow.orders.get(gone.id)
                raise KeyError
        async with stage.unit_of_work() as uow:
            assert await uow.orders.get(kept.id) == kept
            assert await uow.outbox.claim(limit=10) == []
            with pytest.raises(NotFound):
                await uow.orders.get(gone.id)
            with pytest.raises(NotFound):
                await uow.events.get(closed.events[0].id)

    async def test_an_event_is_stored_whole_with_its_order(self, stage: Stage) -> None:
        placed = await stage.order()
        closed = placed.close("merchant", now=NOW)
        async with stage.unit_of_work() as uow:
            await uow.orders.save(closed)
        (event,) = closed.events
        async with stage.unit_of_work() as uow:
            assert await uow.events.get(event.id) == event
            assert list(await uow.outbox.claim(limit=10)) == [event]

    async def test_an_event_that_is_not_announced_is_kept_but_goes_to_nobody(self, stage: Stage) -> None:
        order = stage.new_order()
        (created,) = order.events
        assert not created.announced
        async with stage.unit_of_work() as uow:
            await uow.orders.add(order)
        async with stage.unit_of_work() as uow:
            assert await uow.events.get(created.id) == created
            assert list(await uow.outbox.claim(limit=10)) == []

    async def test_saving_an_order_twice_publishes_its_events_once(self, stage: Stage) -> None:
        closed = (await stage.order()).close("merchant", now=NOW)
        async with stage.unit_of_work() as uow:
            await uow.orders.save(closed)
            await uow.orders.save(closed)
        async with stage.unit_of_work() as uow:
            claimed = await uow.outbox.claim(limit=10)
            assert [event.id for event in claimed] == [closed.events[0].id]
            await uow.outbox.done(claimed)
        async with stage.unit_of_work() as uow:
            await uow.orders.save(closed)
        async with stage.unit_of_work() as uow:
            assert list(await uow.outbox.claim(limit=10)) == []

    async def test_saving_an_order_that_has_moved_on_is_a_bug_and_changes_nothing(self, stage: Stage) -> None:
        placed = await stage.order()
        await stage.event(placed)
        with pytest.raises(AssertionError):
            async with stage.unit_of_work() as uow:
                await uow.orders.save(placed)
        async with stage.unit_of_work() as uow:
            assert (await uow.orders.get(placed.id)).status is OrderStatus.CLOSED

    async def test_saving_an_order_that_was_never_added_is_a_bug(self, stage: Stage) -> None:
        with pytest.raises(AssertionError):
            async with stage.unit_of_work() as uow:
                await uow.orders.save(stage.new_order())

    async def test_expired_orders_are_claimed_once_until_their_retry(self, stage: Stage) -> None:
        late = await stage.order(now=NOW + timedelta(seconds=1))
        early = await stage.order()
        due, retry_at = late.expires_at, late.expires_at + timedelta(seconds=60)
        async with stage.unit_of_work() as uow:
            before = early.expires_at - timedelta(microseconds=1)
            assert list(await uow.orders.claim_expired(before, retry_at=retry_at, limit=10)) == []
        async with stage.unit_of_work() as uow:
            assert list(await uow.orders.claim_expired(due, retry_at=retry_at, limit=1)) == [early.id]
        async with stage.unit_of_work() as uow:
            assert list(await uow.orders.claim_expired(due, retry_at=retry_at, limit=10)) == [late.id]
        async with stage.unit_of_work() as uow:
            assert list(await uow.orders.claim_expired(due, retry_at=retry_at, limit=10)) == []
            again = await uow.orders.claim_expired(retry_at, retry_at=retry_at + timedelta(seconds=60), limit=10)
            assert sorted(again) == sorted([early.id, late.id])

    async def test_of_orders_that_expire_together_the_first_placed_is_claimed_first(self, stage: Stage) -> None:
        together = [stage.new_order() for _ in range(6)]
        for order in reversed(together):
            async with stage.unit_of_work() as uow:
                await uow.orders.add(order)
        now, retry_at = together[0].expires_at, together[0].expires_at + timedelta(seconds=60)
        for order in together:
            async with stage.unit_of_work() as uow:
                assert list(await uow.orders.claim_expired(now, retry_at=retry_at, limit=1)) == [order.id]

    async def test_only_pending_orders_expire(self, stage: Stage) -> None:
        order = await stage.order()
        await stage.event(order)
        async with stage.unit_of_work() as uow:
            assert list(await uow.orders.claim_expired(order.expires_at, retry_at=NOW, limit=10)) == []


class AttemptsContract(OnStage):
    async def test_a_new_attempt_is_found_by_id_by_number_and_by_order(self, stage: Stage) -> None:
        order = await stage.order()
        attempt = await stage.attempt(order)
        async with stage.unit_of_work() as uow:
            assert await uow.attempts.get(attempt.id) == attempt
            assert await uow.attempts.lock(attempt.id) == attempt
            assert await uow.attempts.lock_numbered(attempt.number) == (order, attempt)
            assert list(await uow.attempts.of_order(order.id)) == [attempt]

    async def test_a_saved_attempt_comes_back_with_every_field(self, stage: Stage) -> None:
        attempt = await stage.attempt(await stage.order(), counted_on=NOW.date())
        changed = replace(
            attempt,
            status=AttemptStatus.UNKNOWN,
            action=PayerAction(ActionType.FORM, "https://gateway.example/一", {"biz_content": '{"a": "火龙果"}'}),
            failure="SYSTEM_ERROR",
            next_at=NOW + timedelta(hours=1),
            polls=3,
            revision=2,
        )
        assert_every_field_is_filled(changed)
        async with stage.unit_of_work() as uow:
            await uow.attempts.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.attempts.get(attempt.id) == changed

    async def test_unknown_attempts_are_not_found(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            assert await uow.attempts.lock_numbered("PTY0") is None
            assert list(await uow.attempts.of_order("ord_00000000000000000000000000")) == []
            with pytest.raises(NotFound):
                await uow.attempts.get("att_00000000000000000000000000")
            with pytest.raises(NotFound):
                await uow.attempts.lock("att_00000000000000000000000000")

    async def test_attempts_of_an_order_are_listed_oldest_first(self, stage: Stage) -> None:
        order = await stage.order()
        second = await stage.attempt(order, created_at=NOW + timedelta(seconds=1), method=Method.ALIPAY_WAP)
        first = await stage.attempt(order)
        await stage.attempt(await stage.order())
        async with stage.unit_of_work() as uow:
            assert list(await uow.attempts.of_order(order.id)) == [first, second]

    async def test_an_attempts_events_are_stored_with_it(self, stage: Stage) -> None:
        attempt = await stage.attempt(await stage.order())
        failed = attempt.failed("no", NOW)
        async with stage.unit_of_work() as uow:
            await uow.attempts.save(failed)
        async with stage.unit_of_work() as uow:
            assert await uow.events.get(failed.events[0].id) == failed.events[0]

    async def test_due_attempts_are_claimed_oldest_first_one_rung_up_the_ladder(self, stage: Stage) -> None:
        order = await stage.order()
        second = await stage.attempt(order, next_at=NOW, method=Method.ALIPAY_WAP)
        first = await stage.attempt(order, next_at=NOW - timedelta(seconds=1))
        await stage.attempt(order, next_at=NOW + timedelta(microseconds=1), method=Method.ALIPAY_PAGE)
        async with stage.unit_of_work() as uow:
            assert list(await uow.attempts.claim_due(NOW, limit=1)) == [first.polled(NOW)]
        async with stage.unit_of_work() as uow:
            assert list(await uow.attempts.claim_due(NOW, limit=10)) == [second.polled(NOW)]
        async with stage.unit_of_work() as uow:
            assert list(await uow.attempts.claim_due(NOW, limit=10)) == []
            assert await uow.attempts.get(first.id) == first.polled(NOW)

    async def test_the_last_poll_of_an_attempt_is_its_last(self, stage: Stage) -> None:
        order = await stage.order()
        attempt = await stage.attempt(order, expires_at=NOW - timedelta(days=1, seconds=1), next_at=NOW)
        async with stage.unit_of_work() as uow:
            (claimed,) = await uow.attempts.claim_due(NOW, limit=10)
        assert claimed.next_at is None
        async with stage.unit_of_work() as uow:
            assert await uow.attempts.get(attempt.id) == claimed
            assert list(await uow.attempts.claim_due(NOW + timedelta(days=9), limit=10)) == []

    @pytest.mark.parametrize("status", [AttemptStatus.SUCCEEDED, AttemptStatus.CLOSED, AttemptStatus.FAILED])
    async def test_attempts_that_have_ended_are_never_due(self, stage: Stage, status: AttemptStatus) -> None:
        await stage.attempt(await stage.order(), status=status, next_at=NOW)
        async with stage.unit_of_work() as uow:
            assert list(await uow.attempts.claim_due(NOW, limit=10)) == []


class PaymentsContract(OnStage):
    @pytest.mark.parametrize("unattributed", [None, Unattributed.SECOND])
    async def test_a_payment_comes_back_as_it_was_recorded(
        self, stage: Stage, unattributed: Unattributed | None
    ) -> None:
        order = await stage.order()
        payment = stage.new_payment(order, await stage.attempt(order), unattributed=unattributed)
        assert_every_field_is_filled(payment, but=frozenset({"unattributed", "fee", "events"}))
        async with stage.unit_of_work() as uow:
            await uow.payments.add(payment)
        async with stage.unit_of_work() as uow:
            assert await uow.payments.find(payment.account_id, payment.transaction_id) == payment
            assert await uow.payments.find(payment.account_id, "another") is None
            assert await uow.payments.find("cha_another", payment.transaction_id) is None
            assert list(await uow.payments.of_order(order.id)) == [payment]

    async def test_money_of_an_unknown_number_has_no_order_and_no_merchant(self, stage: Stage) -> None:
        order = await stage.order()
        known = stage.new_payment(order, await stage.attempt(order))
        payment = replace(
            known,
            unattributed=Unattributed.UNKNOWN_NUMBER,
            fee=Money(0),
            attempt_id=None,
            order_id=None,
            merchant_id=None,
        )
        async with stage.unit_of_work() as uow:
            await uow.payments.add(payment)
        async with stage.unit_of_work() as uow:
            assert await uow.payments.find(payment.account_id, payment.transaction_id) == payment
            assert list(await uow.payments.of_order(order.id)) == []

    async def test_a_transaction_of_an_account_is_recorded_once(self, stage: Stage) -> None:
        order = await stage.order()
        attempt = await stage.attempt(order)
        async with stage.unit_of_work() as uow:
            await uow.payments.add(stage.new_payment(order, attempt, "T-1"))
        with pytest.raises(AlreadyExists) as caught:
            async with stage.unit_of_work() as uow:
                await uow.payments.add(stage.new_payment(order, attempt, "T-1", Unattributed.SECOND))
        assert caught.value.constraint == "uq_channel_payment_transaction"

    async def test_an_order_has_one_effective_payment_and_any_number_that_are_held(self, stage: Stage) -> None:
        order = await stage.order()
        attempt = await stage.attempt(order)
        async with stage.unit_of_work() as uow:
            await uow.payments.add(stage.new_payment(order, attempt, "T-1"))
            await uow.payments.add(stage.new_payment(order, attempt, "T-2", Unattributed.SECOND))
            await uow.payments.add(stage.new_payment(order, attempt, "T-3", Unattributed.SECOND))
        with pytest.raises(AlreadyExists) as caught:
            async with stage.unit_of_work() as uow:
                await uow.payments.add(stage.new_payment(order, attempt, "T-4"))
        assert caught.value.constraint == "uq_channel_payment_effective"
        async with stage.unit_of_work() as uow:
            assert len(await uow.payments.of_order(order.id)) == 3
