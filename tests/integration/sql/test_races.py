"""Many at once, met at a barrier: what is claimed is claimed once, what is paid is paid once, nothing is overlooked."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from application.confirm_attempt import ConfirmAttempt, Outcome
from application.ports.storage import UnitOfWork
from domain.channels import Access, ChannelReport, ChannelState, Mode, Receipt
from domain.ledger import PLATFORM, Account, AccountKind
from domain.money import Money
from domain.notifications import LEASE
from tests.contracts.stage import NOW, Stage, end, soon
from tests.fakes.clock import FakeClock

Owner = Any  # asyncpg's connection, generic only in its stubs

LATER = NOW + timedelta(hours=1)
WORKERS = 8
ROWS = 40

Claim = Callable[[UnitOfWork], Awaitable[list[str]]]


async def expired_orders(uow: UnitOfWork) -> list[str]:
    return list(await uow.orders.claim_expired(LATER, retry_at=LATER + timedelta(hours=1), limit=3))


async def due_attempts(uow: UnitOfWork) -> list[str]:
    return [attempt.id for attempt in await uow.attempts.claim_due(LATER, limit=3)]


async def due_deliveries(uow: UnitOfWork) -> list[str]:
    return [delivery.id for delivery in await uow.deliveries.claim_due(LATER, limit=3, per_endpoint=1_000)]


async def outbox(uow: UnitOfWork) -> list[str]:
    events = await uow.outbox.claim(limit=3)
    await uow.outbox.done(events)
    return [event.id for event in events]


async def fill(stage: Stage) -> dict[Claim, set[str]]:
    """Work of every kind, and who shall find it."""
    orders, attempts, events = [await stage.order() for _ in range(ROWS)], [], []
    endpoints = [await stage.endpoint(f"https://shop.example/{n}") for n in range(4)]
    async with stage.unit_of_work() as uow:
        for order in orders:
            attempts.append(stage.new_attempt(order))
            await uow.attempts.add(attempts[-1])
    closed = [await stage.event(await stage.order()) for _ in range(ROWS // 4)]
    async with stage.unit_of_work() as uow:
        for event in closed:
            events.append(event.id)
            for endpoint in endpoints:
                await uow.deliveries.add(stage.new_delivery(event, endpoint))
    return {
        expired_orders: {order.id for order in orders},
        due_attempts: {attempt.id for attempt in attempts},
        outbox: set(events),
    }


@pytest.mark.parametrize("claim", [expired_orders, due_attempts, due_deliveries, outbox])
async def test_workers_share_the_work_and_do_none_of_it_twice(stage: Stage, owner: Owner, claim: Claim) -> None:
    there = await fill(stage)
    expected = there.get(claim) or {row["id"] for row in await owner.fetch("SELECT id FROM delivery")}
    barrier = asyncio.Barrier(WORKERS)

    async def work() -> list[str]:
        mine: list[str] = []
        empty = 0
        await barrier.wait()
        while empty < 3:  # others may have held the rest for a moment
            async with stage.unit_of_work() as uow:
                got = await claim(uow)
            mine += got
            empty = 0 if got else empty + 1
        return mine

    shares = await end(*(asyncio.create_task(work()) for _ in range(WORKERS)))
    found = [each for share in shares for each in share]
    assert len(found) == len(set(found))
    assert set(found) == expected


async def test_a_delivery_leased_while_another_worker_looks_for_work_is_not_claimed_by_that_one(
    stage: Stage, owner: Owner
) -> None:
    """The look has begun, and its snapshot shows the row due; before it locks the row, the lease is committed.

    A row security policy makes the look wait in between: the owner, to whom no policy applies, decides when it goes on.
    """
    event, endpoint = await stage.event(await stage.order()), await stage.endpoint()
    async with stage.unit_of_work() as uow:
        await uow.deliveries.add(stage.new_delivery(event, endpoint))
    await owner.execute(
        "CREATE FUNCTION wait() RETURNS bool LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN true; END $$;"
        "CREATE POLICY slow ON delivery USING (wait()); ALTER TABLE delivery ENABLE ROW LEVEL SECURITY;"
        "SELECT pg_advisory_lock(1)"
    )

    async def look() -> list[str]:
        async with stage.unit_of_work() as uow:
            return await due_deliveries(uow)

    try:
        looking = asyncio.create_task(look())
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"
        async with asyncio.timeout(5):
            while await owner.fetchval(waiting) == 0:  # noqa: ASYNC110 - polled
                await asyncio.sleep(0.01)
        await owner.execute("UPDATE delivery SET tries = 1, next_at = $1", LATER + LEASE)
        await owner.execute("SELECT pg_advisory_unlock(1)")
        assert await soon(looking) == []
    finally:
        await owner.execute(
            "SELECT pg_advisory_unlock_all(); ALTER TABLE delivery DISABLE ROW LEVEL SECURITY;"
            "DROP POLICY slow ON delivery; DROP FUNCTION wait()"
        )


async def test_fifty_reports_of_one_payment_book_it_once(stage: Stage, owner: Owner) -> None:
    order = await stage.order()
    attempt = await stage.attempt(order)
    confirm = ConfirmAttempt(FakeClock(NOW), stage.ids)
    receipt = Receipt(
        number=attempt.number,
        transaction_id="T-1",
        total=order.amount,
        received=order.amount,
        payer_paid=order.amount,
        paid_at=NOW,
        app_id=stage.credential.app_id,
        payee=stage.account.payee,
    )
    report = ChannelReport(attempt.number, ChannelState.PAID, receipt)
    barrier = asyncio.Barrier(50)

    async def hear() -> Outcome:
        await barrier.wait()
        async with stage.unit_of_work() as uow:
            access = Access(stage.account, stage.credential)
            return (await confirm(uow, access, report, evidence="notice:1")).outcome

    outcomes = await end(*(asyncio.create_task(hear()) for _ in range(50)))
    assert sorted(outcomes) == [Outcome.CONFIRMED] + [Outcome.KNOWN] * 49
    counts = "SELECT (SELECT count(*) FROM channel_payment), (SELECT count(*) FROM transfer)"
    assert tuple(await owner.fetchrow(counts)) == (1, 2)
    async with stage.unit_of_work() as uow:
        assert await uow.ledger.balance(Account(AccountKind.FEE_INCOME, PLATFORM, Mode.TEST, "CNY")) == 60
        assert (await uow.orders.get(order.id)).paid == order.amount


async def test_two_payments_of_one_order_make_one_effective_and_one_held(stage: Stage, owner: Owner) -> None:
    order = await stage.order()
    attempts = [await stage.attempt(order) for _ in range(8)]
    confirm = ConfirmAttempt(FakeClock(NOW), stage.ids)
    barrier = asyncio.Barrier(len(attempts))

    async def hear(n: int) -> Outcome:
        receipt = Receipt(
            number=attempts[n].number,
            transaction_id=f"T-{n}",
            total=order.amount,
            received=order.amount,
            payer_paid=order.amount,
            paid_at=NOW,
            app_id=stage.credential.app_id,
            payee=stage.account.payee,
        )
        report = ChannelReport(attempts[n].number, ChannelState.PAID, receipt)
        await barrier.wait()
        async with stage.unit_of_work() as uow:
            access = Access(stage.account, stage.credential)
            return (await confirm(uow, access, report, evidence="notice:1")).outcome

    outcomes = await end(*(asyncio.create_task(hear(n)) for n in range(len(attempts))))
    assert sorted(outcomes) == [Outcome.CONFIRMED] + [Outcome.HELD] * 7
    held = Account(AccountKind.SUSPENSE, stage.account.id, Mode.TEST, "CNY")
    async with stage.unit_of_work() as uow:
        assert await uow.ledger.balance(held) == Money(7 * order.amount.minor).minor
    assert await owner.fetchval("SELECT count(*) FROM suspense_item WHERE status = 'refunding'") == 7


async def test_a_reader_of_events_overlooks_none_while_many_write(stage: Stage) -> None:
    """Transactions that begin early and commit late: a cursor over ids or times would pass them by."""
    writers, each = 6, 12
    running = writers
    written: list[str] = []

    async def write(n: int) -> None:
        nonlocal running
        for i in range(each):
            orders = [stage.new_order() for _ in range(2)]
            async with stage.unit_of_work() as uow:
                await uow.orders.add(orders[0])
                await uow.orders.get(orders[0].id)  # written now, seen by others only at the end
                for _ in range((n + i) % 4):
                    await uow.merchants.get(stage.merchant.id)
                await uow.orders.add(orders[1])
            written.extend(order.events[0].id for order in orders)
        running -= 1

    async def read() -> list[str]:
        seen: list[str] = []
        cursor, last = None, False
        while not last:
            last = running == 0
            page = await stage.queries.events(stage.merchant.id, Mode.TEST, cursor=cursor, limit=100)
            seen += [row["id"] for row in page.rows]
            cursor = page.next_cursor
        return seen

    *_, seen = await end(*(asyncio.create_task(write(n)) for n in range(writers)), asyncio.create_task(read()))
    assert len(seen) == len(set(seen))
    assert set(seen) == set(written)
    whole = await stage.queries.events(stage.merchant.id, Mode.TEST, cursor=None, limit=1_000)
    assert [row["id"] for row in whole.rows] == seen
