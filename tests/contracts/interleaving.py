"""Contract of two units of work at once: what one may see, must wait for, and can never take from the other."""

import asyncio
from dataclasses import replace

import pytest

from application.ports.storage import Moved
from domain.attempts import Attempt, AttemptStatus
from domain.errors import DatabaseUnavailable, NotFound
from domain.orders import Order, OrderStatus
from tests.contracts.books import PENDING, transfer
from tests.contracts.stage import NOW, OnStage, Stage, end, soon


class Gate:
    """A unit of work that stops in the middle: ``arrived`` tells when, ``open`` lets it go on."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()

    async def pause(self) -> None:
        self.arrived.set()
        await self.open.wait()


class InterleavingContract(OnStage):
    async def test_a_lock_waits_for_the_holders_end_and_then_sees_its_writes(self, stage: Stage) -> None:
        order, gate = await stage.order(), Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                locked = await uow.orders.lock(order.id)
                await gate.pause()
                await uow.orders.save(locked.close("merchant", now=NOW))

        async def second() -> Order:
            async with stage.unit_of_work() as uow:
                return await uow.orders.lock(order.id)

        holder = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        waiter = asyncio.create_task(second())
        assert await self.waits(waiter)
        gate.open.set()
        await soon(holder)
        assert (await soon(waiter)).status is OrderStatus.CLOSED

    async def test_a_lock_by_number_waits_for_the_order_and_then_sees_both_as_they_are(self, stage: Stage) -> None:
        order, gate = await stage.order(), Gate()
        attempt = await stage.attempt(order)

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                locked = await uow.orders.lock(order.id)
                await gate.pause()
                trying = await uow.attempts.lock(attempt.id)  # free: who waits for the order has not come to it
                await uow.attempts.save(trying.closed(NOW))
                await uow.orders.save(locked.close("merchant", now=NOW))

        async def second() -> tuple[Order, Attempt] | None:
            async with stage.unit_of_work() as uow:
                return await uow.attempts.lock_numbered(attempt.number)

        holder = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        waiter = asyncio.create_task(second())
        assert await self.waits(waiter)
        gate.open.set()
        await soon(holder)
        found = await soon(waiter)
        assert found is not None
        assert (found[0].status, found[1].status) == (OrderStatus.CLOSED, AttemptStatus.CLOSED)

    async def test_a_lock_by_number_holds_the_order_while_it_waits_for_the_attempt(self, stage: Stage) -> None:
        order, gate = await stage.order(), Gate()
        attempt = await stage.attempt(order)

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                trying = await uow.attempts.lock(attempt.id)
                await gate.pause()
                await uow.attempts.save(trying.closed(NOW))

        async def second() -> tuple[Order, Attempt] | None:
            async with stage.unit_of_work() as uow:
                return await uow.attempts.lock_numbered(attempt.number)

        async def third() -> Order:
            async with stage.unit_of_work() as uow:
                return await uow.orders.lock(order.id)

        holder = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        by_number = asyncio.create_task(second())
        assert await self.waits(by_number)
        of_order = asyncio.create_task(third())
        assert await self.waits(of_order)
        gate.open.set()
        await soon(holder)
        found = await soon(by_number)
        assert found is not None
        assert (found[0], found[1].status) == (order, AttemptStatus.CLOSED)
        assert await soon(of_order) == order

    async def test_what_is_watched_is_read_without_waiting_and_has_moved_when_somebody_changed_it(
        self, stage: Stage
    ) -> None:
        order, gate = await stage.order(), Gate()
        attempt = await stage.attempt(order)
        payment = stage.new_payment(order, attempt)

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                locked = await uow.orders.lock(order.id)
                await gate.pause()
                await uow.orders.save(locked.close("merchant", now=NOW))

        async def second() -> None:
            async with stage.unit_of_work() as uow:
                found = await uow.attempts.watch_numbered(attempt.number)
                assert found == (order, attempt)
                seen.set()
                await uow.payments.add(payment)
                await uow.attempts.save(attempt.succeeded(NOW))
                await uow.orders.save(order.pay(payment.total, method=attempt.method, paid_at=NOW, now=NOW))

        seen = asyncio.Event()
        holder = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        watcher = asyncio.create_task(second())
        await soon(seen.wait())
        assert await self.waits(watcher)
        gate.open.set()
        held, moved = await end(holder, watcher)
        assert held is None
        assert isinstance(moved, Moved)
        async with stage.unit_of_work() as uow:
            assert (await uow.orders.get(order.id)).status is OrderStatus.CLOSED
            assert await uow.attempts.get(attempt.id) == attempt
            assert await uow.payments.find(payment.account_id, payment.transaction_id) is None

    @pytest.mark.parametrize("moved_on", ["order", "attempt", "nothing"])
    async def test_what_is_watched_is_held_from_the_next_reading_on(self, stage: Stage, moved_on: str) -> None:
        order, gate = await stage.order(), Gate()
        attempt = await stage.attempt(order)

        async def watch() -> None:
            async with stage.unit_of_work() as uow:
                await uow.attempts.watch_numbered(attempt.number)
                await gate.pause()
                await uow.attempts.save(attempt.succeeded(NOW))
                assert await uow.payments.find(stage.account.id, "T-0") is None

        watcher = asyncio.create_task(watch())
        await soon(gate.arrived.wait())
        async with stage.unit_of_work() as uow:
            if moved_on == "order":
                await uow.orders.save((await uow.orders.lock(order.id)).close("merchant", now=NOW))
            elif moved_on == "attempt":
                await uow.attempts.save((await uow.attempts.lock(attempt.id)).hastened(NOW))  # no new revision
        gate.open.set()
        (ended,) = await end(watcher)
        async with stage.unit_of_work() as uow:
            after = (await uow.attempts.get(attempt.id)).status
        if moved_on == "nothing":
            assert (ended, after) == (None, AttemptStatus.SUCCEEDED)
        else:
            assert isinstance(ended, Moved)
            assert after is attempt.status

    async def test_a_lock_is_free_again_after_a_rollback_and_nothing_was_changed(self, stage: Stage) -> None:
        order, gate = await stage.order(), Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                locked = await uow.orders.lock(order.id)
                await uow.orders.save(locked.close("merchant", now=NOW))
                await gate.pause()
                raise KeyError

        async def second() -> Order:
            async with stage.unit_of_work() as uow:
                return await uow.orders.lock(order.id)

        holder = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        waiter = asyncio.create_task(second())
        gate.open.set()
        failed, seen = await end(holder, waiter)
        assert isinstance(failed, KeyError)
        assert seen == order

    async def test_reading_waits_for_no_lock(self, stage: Stage) -> None:
        order, gate = await stage.order(), Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                locked = await uow.orders.lock(order.id)
                await uow.orders.save(locked.close("merchant", now=NOW))
                await uow.orders.get(order.id)
                await gate.pause()

        holder = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        async with stage.unit_of_work() as uow:
            assert await soon(uow.orders.get(order.id)) == order
        gate.open.set()
        await soon(holder)

    async def test_what_is_not_committed_is_visible_to_its_own_unit_of_work_alone(self, stage: Stage) -> None:
        order, gate = stage.new_order(), Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                await uow.orders.add(order)
                await uow.ledger.post([transfer("a")])
                await uow.orders.get(order.id)
                await gate.pause()

        writer = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(PENDING) == 0
            with pytest.raises(NotFound):
                await uow.orders.get(order.id)
        gate.open.set()
        await soon(writer)
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(PENDING) == 100
            assert await uow.orders.get(order.id) == replace(order, events=())

    async def test_each_statement_sees_what_was_committed_by_then(self, stage: Stage) -> None:
        order, gate = await stage.order(), Gate()

        async def first() -> list[OrderStatus]:
            async with stage.unit_of_work() as uow:
                before = (await uow.orders.get(order.id)).status
                await gate.pause()
                return [before, (await uow.orders.get(order.id)).status]

        reader = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        await stage.event(order)
        gate.open.set()
        assert await soon(reader) == [OrderStatus.PENDING, OrderStatus.CLOSED]

    async def test_a_rollback_takes_nothing_from_a_unit_of_work_that_ran_beside_it(self, stage: Stage) -> None:
        lost, kept, gate = stage.new_order(), stage.new_order(), Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                await uow.orders.add(lost)
                await uow.orders.get(lost.id)
                await gate.pause()
                raise KeyError

        failing = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        async with stage.unit_of_work() as uow:
            await uow.orders.add(kept)
        gate.open.set()
        await end(failing)
        async with stage.unit_of_work() as uow:
            assert await uow.orders.get(kept.id) == replace(kept, events=())
            with pytest.raises(NotFound):
                await uow.orders.get(lost.id)

    async def test_a_cancelled_unit_of_work_is_rolled_back_and_holds_no_lock(self, stage: Stage) -> None:
        order, gate = await stage.order(), Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                locked = await uow.orders.lock(order.id)
                await uow.orders.save(locked.close("merchant", now=NOW))
                await uow.orders.get(order.id)
                await gate.pause()

        doomed = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        doomed.cancel()
        await end(doomed)
        async with stage.unit_of_work() as uow:
            assert await soon(uow.orders.lock(order.id)) == order

    async def test_one_who_is_cancelled_while_it_waits_for_a_lock_leaves_the_queue(self, stage: Stage) -> None:
        order, gate = await stage.order(), Gate()

        async def hold() -> None:
            async with stage.unit_of_work() as uow:
                await uow.orders.lock(order.id)
                await gate.pause()

        async def want() -> Order:
            async with stage.unit_of_work() as uow:
                return await uow.orders.lock(order.id)

        holder = asyncio.create_task(hold())
        await soon(gate.arrived.wait())
        doomed, patient = asyncio.create_task(want()), asyncio.create_task(want())
        assert await self.waits(patient)
        doomed.cancel()
        await end(doomed)
        gate.open.set()
        assert await soon(patient) == order
        await soon(holder)

    async def test_two_who_wait_for_each_other_do_not_wait_for_ever(self, stage: Stage) -> None:
        orders = [await stage.order(), await stage.order()]
        gates = [Gate(), Gate()]

        async def cross(first: int, second: int) -> None:
            async with stage.unit_of_work() as uow:
                await uow.orders.lock(orders[first].id)
                await gates[first].pause()
                await uow.orders.lock(orders[second].id)

        tasks = [asyncio.create_task(cross(0, 1)), asyncio.create_task(cross(1, 0))]
        for gate in gates:
            await soon(gate.arrived.wait())
        for gate in gates:
            gate.open.set()
        outcomes = await end(*tasks)
        refused = [outcome for outcome in outcomes if outcome is not None]
        assert refused
        assert all(isinstance(outcome, DatabaseUnavailable) for outcome in refused)
        async with stage.unit_of_work() as uow:
            assert await soon(uow.orders.lock(orders[0].id)) == orders[0]
