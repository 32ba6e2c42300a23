"""Contract of many at once: of equal writes one counts, and of equal work each piece is done by one."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.ports.storage import AlreadyExists, UnitOfWork
from domain.channels import ChannelNotice, Method, Mode
from domain.errors import NotFound
from domain.idempotency import RUNNING, IdempotencyKey, IdempotentCall
from domain.money import Money
from domain.orders import Order
from domain.payments import Unattributed
from tests.contracts.books import PENDING, transfer
from tests.contracts.interleaving import Gate
from tests.contracts.stage import NOW, OnStage, Stage, end, soon

Work = Callable[[UnitOfWork], Coroutine[Any, Any, object]]


class RacesContract(OnStage):
    async def test_of_two_who_place_the_same_order_at_once_exactly_one_wins(self, stage: Stage) -> None:
        orders = [stage.new_order("A-1") for _ in range(4)]

        async def place(order: Order) -> None:
            async with stage.unit_of_work() as uow:
                await uow.orders.add(order)

        outcomes = await end(*(asyncio.create_task(place(order)) for order in orders))
        winners = [order for order, outcome in zip(orders, outcomes, strict=True) if outcome is None]
        assert len(winners) == 1
        losses = [outcome.constraint for outcome in outcomes if isinstance(outcome, AlreadyExists)]
        assert losses == ["uq_order_merchant_order_no"] * 3
        async with stage.unit_of_work() as uow:
            assert await uow.orders.placed(stage.merchant.id, Mode.TEST, "A-1") == replace(winners[0], events=())
            for order in orders:
                if order not in winners:
                    with pytest.raises(NotFound):
                        await uow.events.get(order.events[0].id)

    @pytest.mark.parametrize("commits", [True, False])
    async def test_a_key_that_another_is_writing_is_decided_by_that_ones_end(self, stage: Stage, commits: bool) -> None:
        first_order, second_order, gate = stage.new_order("A-1"), stage.new_order("A-1"), Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                await uow.orders.add(first_order)
                await uow.orders.get(first_order.id)
                await gate.pause()
                if not commits:
                    raise KeyError

        async def second() -> None:
            async with stage.unit_of_work() as uow:
                await uow.orders.add(second_order)

        writer = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        waiter = asyncio.create_task(second())
        assert await self.waits(waiter)
        gate.open.set()
        _, outcome = await end(writer, waiter)
        assert isinstance(outcome, AlreadyExists) if commits else outcome is None
        async with stage.unit_of_work() as uow:
            stored = await uow.orders.placed(stage.merchant.id, Mode.TEST, "A-1")
            assert stored.id == (first_order if commits else second_order).id

    async def test_an_order_gets_one_effective_payment_however_many_arrive_at_once(self, stage: Stage) -> None:
        order = await stage.order()
        attempt = await stage.attempt(order)

        async def confirm(transaction: str) -> None:
            async with stage.unit_of_work() as uow:
                await uow.payments.add(stage.new_payment(order, attempt, transaction))

        outcomes = await end(*(asyncio.create_task(confirm(f"T-{n}")) for n in range(3)))
        assert outcomes.count(None) == 1
        constraints = {outcome.constraint for outcome in outcomes if isinstance(outcome, AlreadyExists)}
        assert constraints == {"uq_channel_payment_effective"}

    async def test_the_same_transaction_at_once_is_recorded_once(self, stage: Stage) -> None:
        order = await stage.order()
        attempt = await stage.attempt(order)

        async def record(_: int) -> None:
            async with stage.unit_of_work() as uow:
                await uow.payments.add(stage.new_payment(order, attempt, "T-1", Unattributed.SECOND))

        outcomes = await end(*(asyncio.create_task(record(n)) for n in range(3)))
        assert outcomes.count(None) == 1
        async with stage.unit_of_work() as uow:
            assert len(await uow.payments.of_order(order.id)) == 1

    async def test_the_same_transfer_at_once_is_posted_once_and_nobody_fails(self, stage: Stage) -> None:
        async def post() -> None:
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([transfer("a"), transfer("b")])

        assert await end(*(asyncio.create_task(post()) for _ in range(3))) == [None] * 3
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(PENDING) == 200

    async def test_posting_what_is_posted_already_holds_up_nobody(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("a")])
        gate = Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([transfer("a")])
                await uow.ledger.balance(PENDING)
                await gate.pause()

        async def second() -> None:
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([transfer("a")])

        slow = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        await soon(second())
        gate.open.set()
        await soon(slow)

    async def test_the_same_notice_at_once_is_stored_once_and_nobody_fails(self, stage: Stage) -> None:
        notice = ChannelNotice("n-1", "payment", None)

        async def take() -> None:
            async with stage.unit_of_work() as uow:
                await uow.notices.add(stage.account.id, notice, body=b"x", outcome="held", received_at=NOW)

        assert await end(*(asyncio.create_task(take()) for _ in range(3))) == [None] * 3
        assert await stage.notices() == [(stage.account.id, "n-1", "held")]

    async def test_the_same_delivery_at_once_is_stored_once_and_nobody_fails(self, stage: Stage) -> None:
        event, endpoint = await stage.event(await stage.order()), await stage.endpoint()

        async def fan_out() -> None:
            async with stage.unit_of_work() as uow:
                await uow.deliveries.add(stage.new_delivery(event, endpoint))

        assert await end(*(asyncio.create_task(fan_out()) for _ in range(3))) == [None] * 3
        async with stage.unit_of_work() as uow:
            assert len(await uow.deliveries.claim_due(NOW, limit=9, per_endpoint=9)) == 1

    @pytest.mark.parametrize("abandoned", [False, True])
    async def test_one_of_many_gets_an_idempotency_key(self, stage: Stage, abandoned: bool) -> None:
        key = IdempotencyKey(merchant_id=stage.merchant.id, mode=Mode.TEST, key="k", fingerprint=b"1")
        now = NOW + RUNNING * 2
        if abandoned:
            async with stage.unit_of_work() as uow:
                await uow.idempotency.claim(key, now=NOW)

        async def claim() -> IdempotentCall | None:
            async with stage.unit_of_work() as uow:
                return await uow.idempotency.claim(key, now=now)

        outcomes = await end(*(asyncio.create_task(claim()) for _ in range(4)))
        assert outcomes.count(None) == 1
        assert [outcome.locked_until for outcome in outcomes if outcome is not None] == [now + RUNNING] * 3

    @pytest.mark.parametrize("commits", [True, False])
    async def test_a_duplicate_call_waits_for_the_first_and_gets_its_answer(self, stage: Stage, commits: bool) -> None:
        key = IdempotencyKey(merchant_id=stage.merchant.id, mode=Mode.TEST, key="k", fingerprint=b"1")
        gate = Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                await uow.idempotency.claim(key, now=NOW)
                await gate.pause()
                await uow.idempotency.answer(key, 201, b"{}")
                if not commits:
                    raise KeyError

        async def second() -> IdempotentCall | None:
            async with stage.unit_of_work() as uow:
                return await uow.idempotency.claim(key, now=NOW)

        runner = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        duplicate = asyncio.create_task(second())
        assert await self.waits(duplicate)
        gate.open.set()
        _, standing = await end(runner, duplicate)
        assert standing.body == b"{}" if commits else standing is None


class ClaimsContract(OnStage):
    """Claims take what nobody holds, wait for nobody, and give back what was rolled back."""

    async def _beside(self, stage: Stage, hold: Work, claim: Work) -> object:
        """What ``claim`` gets while another unit of work is still open in which ``hold`` has run."""
        gate = Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                await hold(uow)
                await gate.pause()

        holder = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        async with stage.unit_of_work() as uow:
            got = await soon(claim(uow))
        gate.open.set()
        await soon(holder)
        return got

    async def test_expired_orders_that_others_hold_are_skipped(self, stage: Stage) -> None:
        held, free = await stage.order(), await stage.order()
        due, retry_at = free.expires_at, free.expires_at + timedelta(minutes=1)

        async def claim(uow: UnitOfWork) -> list[str]:
            return list(await uow.orders.claim_expired(due, retry_at=retry_at, limit=1))

        assert await self._beside(stage, lambda uow: uow.orders.lock(held.id), claim) == [free.id]
        async with stage.unit_of_work() as uow:
            assert await claim(uow) == [held.id]

    async def test_due_attempts_that_others_hold_are_skipped(self, stage: Stage) -> None:
        order = await stage.order()
        held = await stage.attempt(order, next_at=NOW)
        free = await stage.attempt(order, next_at=NOW, method=Method.ALIPAY_WAP)

        async def claim(uow: UnitOfWork) -> list[str]:
            return [attempt.id for attempt in await uow.attempts.claim_due(NOW, limit=1)]

        assert await self._beside(stage, lambda uow: uow.attempts.lock(held.id), claim) == [free.id]
        assert await self._beside(stage, claim, claim) == []
        async with stage.unit_of_work() as uow:
            assert (await uow.attempts.get(held.id)).polls == 1

    async def test_deliveries_that_others_hold_are_skipped(self, stage: Stage) -> None:
        event = await stage.event(await stage.order())
        endpoints = [await stage.endpoint(f"https://shop.example/{n}") for n in range(2)]
        held, free = (stage.new_delivery(event, endpoint) for endpoint in endpoints)
        async with stage.unit_of_work() as uow:
            await uow.deliveries.add(held)
            await uow.deliveries.add(free)

        async def claim(uow: UnitOfWork) -> list[str]:
            return [delivery.id for delivery in await uow.deliveries.claim_due(NOW, limit=9, per_endpoint=9)]

        assert await self._beside(stage, lambda uow: uow.deliveries.lock([held.id]), claim) == [free.id]

    async def test_two_workers_never_fan_out_the_same_event(self, stage: Stage) -> None:
        events = [await stage.event(await stage.order()) for _ in range(2)]

        async def claim(uow: UnitOfWork) -> list[str]:
            return [event.id for event in await uow.outbox.claim(limit=1)]

        assert await self._beside(stage, claim, claim) == [events[1].id]

    async def test_many_workers_share_the_work_without_doing_any_twice(self, stage: Stage) -> None:
        orders = [await stage.order() for _ in range(6)]
        due, retry_at = orders[0].expires_at, orders[0].expires_at + timedelta(minutes=1)

        async def claim() -> list[str]:
            async with stage.unit_of_work() as uow:
                return list(await uow.orders.claim_expired(due, retry_at=retry_at, limit=2))

        shares = await end(*(asyncio.create_task(claim()) for _ in range(4)))
        claimed = [order_id for share in shares for order_id in share]
        assert len(claimed) == len(set(claimed))
        async with stage.unit_of_work() as uow:
            rest = await uow.orders.claim_expired(due, retry_at=retry_at, limit=9)
        assert sorted([*claimed, *rest]) == sorted(order.id for order in orders)

    async def test_a_claim_that_was_rolled_back_can_be_claimed_again(self, stage: Stage) -> None:
        order = await stage.order()
        attempt = await stage.attempt(order, next_at=NOW, amount=Money(1))
        with pytest.raises(KeyError):
            async with stage.unit_of_work() as uow:
                assert await uow.attempts.claim_due(NOW, limit=1)
                raise KeyError
        async with stage.unit_of_work() as uow:
            assert list(await uow.attempts.claim_due(NOW, limit=1)) == [attempt.polled(NOW)]
