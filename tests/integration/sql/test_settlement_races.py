"""Release and settlement by many at once on PostgreSQL: nothing released or settled twice, no balance below zero."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from itertools import cycle
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql import SqlDatabase
from adapters.outbound.sql.promises import SqlPromises
from application.book_entries import EntryWish, KeepBooks
from application.open_merchant import OpenedMerchant
from domain.account_entries import AccountEntry, EntryKind
from domain.actors import SYSTEM
from domain.channels import Mode
from domain.errors import Conflict
from domain.ledger import Account, AccountKind
from domain.money import Money
from domain.orders import Order
from domain.refunds import Refund, RefundWish
from domain.settlement_rules import Cycle
from domain.settlements import Settlement, SettlementStatus
from tests.contracts.stage import DEADLINE_SECONDS, end
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.house import House, caller
from tests.fakes.treasury import Treasury

Call = Callable[[], Awaitable[object]]
Owner = Any  # asyncpg's connection, generic only in its stubs

ROUNDS = 12


@pytest.fixture
async def house(engine: AsyncEngine) -> House:
    return House(clock=FakeClock(datetime.now(UTC)), database=cast("FakeDatabase", SqlDatabase(engine)))


async def closed_day(house: House, treasury: Treasury, merchant: OpenedMerchant, count: int) -> list[Order]:
    """So many paid orders, whose day is closed and whose risk days are past; none is released yet."""
    await treasury.rule(merchant, risk_days=0)
    orders = [await house.paid(merchant, no=f"A-{n}") for n in range(count)]
    (payment, *_) = await house.payments(orders[0])
    assert isinstance(house.clock, FakeClock)
    house.clock.advance(86_400)
    await treasury.close_one(payment.account_id, payment.mode, payment.channel_date)
    while await treasury.schedule():
        pass
    return orders


async def met(barrier: asyncio.Barrier, call: Call) -> object:
    await barrier.wait()
    return await call()


async def at_once(*calls: Call) -> list[Any]:
    """All of them from one barrier; refusals are answers, too."""
    barrier = asyncio.Barrier(len(calls))
    return answered(await end(*(asyncio.create_task(met(barrier, call)) for call in calls)))


def answered(answers: list[Any]) -> list[Any]:
    strange = [each for each in answers if isinstance(each, BaseException) and not isinstance(each, Conflict)]
    assert strange == []
    return answers


async def money_is_right(engine: AsyncEngine) -> None:
    breaches = await SqlPromises(engine).broken()
    assert [each for each in breaches if each.promise.startswith(("M", "R"))] == []


async def test_a_refund_beside_its_payments_release_takes_pending_or_available_money_never_both(
    house: House, engine: AsyncEngine
) -> None:
    merchant, treasury = await house.merchant(), Treasury(house)
    orders = await closed_day(house, treasury, merchant, ROUNDS)
    drawn: set[str] = set()
    for n, order in enumerate(orders):
        (payment,) = await house.payments(order)
        async with house.database.unit_of_work() as uow:
            release = await uow.releases.of_payment(payment.id)
        assert release is not None
        wish = RefundWish(merchant_refund_no=f"R-{n}", order_id=order.id, amount=Money(4_000))
        _, refund, _ = await at_once(
            lambda release=release: treasury.release(release),  # type: ignore[misc]
            lambda wish=wish: house.request_refund(caller(merchant), wish),  # type: ignore[misc]
            lambda release=release: treasury.release(release),  # type: ignore[misc]
        )
        amounts = (refund.draws.pending.minor, refund.draws.available.minor)
        assert sorted(amounts) == [0, 3_976]
        drawn.add("pending" if amounts[0] else "available")
    print(f"refunds drew {sorted(drawn)}")
    assert await house.balance(AccountKind.MERCHANT_PENDING, merchant.merchant.id) == 0
    assert await house.balance(AccountKind.MERCHANT_AVAILABLE, merchant.merchant.id) == ROUNDS * (9_940 - 3_976)
    await money_is_right(engine)


# Who takes first of 99.40, and what that leaves to be settled (all of it, where a settlement is first).
LEAVES: dict[type, int] = {Settlement: 9_940, Refund: 4_970, AccountEntry: 2_940}


async def in_line(owner: Owner, guard: AbstractAsyncContextManager[object], *calls: Call) -> list[Any]:
    """All of them meet behind a guard that somebody else holds: the first stands first, the others come at once."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    tasks: list[asyncio.Task[Any]] = []

    async def stand(count: int) -> None:
        while await owner.fetchval("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted") < count:
            assert asyncio.get_running_loop().time() < deadline, f"{count} were to stand in line"
            await asyncio.sleep(0.005)

    async with guard:
        first, others = asyncio.Barrier(1), asyncio.Barrier(len(calls) - 1)
        tasks.append(asyncio.create_task(met(first, calls[0])))
        await stand(1)
        tasks.extend(asyncio.create_task(met(others, call)) for call in calls[1:])
        await stand(len(calls))
    return answered(await end(*tasks))


async def test_settlement_against_refund_against_adjustment_on_one_merchant(
    house: House, engine: AsyncEngine, owner: Owner
) -> None:
    """Each round 99.40 is available, of which two settlements, a refund and an adjustment want to take at once, and
    each of the three comes first in turn: whoever is late finds less, or nothing."""
    merchant, treasury = await house.merchant(), Treasury(house)
    orders = await closed_day(house, treasury, merchant, ROUNDS)
    books, whose = KeepBooks(house.clock, house.ids), merchant.merchant.id
    available = Account(AccountKind.MERCHANT_AVAILABLE, whose, Mode.TEST, "CNY")

    async def adjust() -> AccountEntry:
        wish = EntryWish(kind=EntryKind.DEBIT, mode=Mode.TEST, amount=Money(7_000), reason="penalty", merchant_id=whose)
        async with house.database.unit_of_work() as uow:
            return await books.book(uow, SYSTEM, wish)

    @asynccontextmanager
    async def guard() -> AsyncIterator[None]:
        async with house.database.unit_of_work() as uow:
            await uow.ledger.guard(available)
            yield

    async with guard():
        pass  # its row is there from now on: whoever comes waits for the one who holds it
    for n, (order, first) in enumerate(zip(orders, cycle(LEAVES), strict=False)):
        (payment,) = await house.payments(order)
        async with house.database.unit_of_work() as uow:
            release = await uow.releases.of_payment(payment.id)
        assert release is not None
        await treasury.release(release)
        wish = RefundWish(merchant_refund_no=f"R-{n}", order_id=order.id, amount=Money(5_000))
        calls: dict[type, Call] = {
            Settlement: lambda: treasury.settled(merchant),
            Refund: lambda wish=wish: house.request_refund(caller(merchant), wish),  # type: ignore[misc]
            AccountEntry: adjust,
        }
        others = [calls[kind] for kind in LEAVES if kind is not first]
        answers = await in_line(owner, guard(), calls[first], *others, calls[Settlement])
        assert isinstance(answers[0], first), f"round {n}: {answers}"
        # What the first one took is gone for all. One settlement takes the rest whole; two of the others are too late.
        assert {type(each) for each in answers} - {Conflict} == {first, Settlement}, f"round {n}: {answers}"
        assert [each.swept.minor for each in answers if isinstance(each, Settlement)] == [LEAVES[first]]
        assert await house.balance(AccountKind.MERCHANT_AVAILABLE, whose) == 0
    settled = await owner.fetchval("SELECT coalesce(sum(amount), 0) FROM settlement")
    refunded = await owner.fetchval("SELECT coalesce(sum(from_available), 0) FROM refund")
    adjusted = await owner.fetchval("SELECT coalesce(sum(amount), 0) FROM account_entry")
    assert (refunded, adjusted) == (ROUNDS // 3 * 4_970, ROUNDS // 3 * 7_000), "each was first in a third of the rounds"
    assert settled + refunded + adjusted == ROUNDS * 9_940
    await money_is_right(engine)


async def test_of_many_schedulers_one_settles_and_of_many_sweeps_each_payment_is_released_once(
    house: House, engine: AsyncEngine, owner: Owner
) -> None:
    merchant, treasury = await house.merchant(), Treasury(house)
    await closed_day(house, treasury, merchant, ROUNDS)
    released = await at_once(*[treasury.release_due] * 4)
    assert sum(released) == ROUNDS
    await treasury.rule(merchant, cycle=Cycle.DAILY, risk_days=0)
    assert isinstance(house.clock, FakeClock)
    house.clock.advance(7 * 86_400)
    assert sorted(await at_once(*[treasury.settle_due] * 4)) == [0, 0, 0, 1]
    assert await owner.fetchval("SELECT array_agg(amount) FROM settlement") == [ROUNDS * 9_940]
    await money_is_right(engine)


async def test_of_two_approvals_and_a_rejection_one_decides(house: House, engine: AsyncEngine, owner: Owner) -> None:
    merchant, treasury = await house.merchant(), Treasury(house)
    await closed_day(house, treasury, merchant, 1)
    await treasury.sweep()
    await treasury.payee(merchant)
    settlement = await treasury.settled(merchant)
    asked = str(await owner.fetchval("SELECT id FROM proposal"))
    answers = await at_once(
        lambda: treasury.decide.approve(treasury.chen, asked),
        lambda: treasury.decide.approve(treasury.chen, asked),
        lambda: treasury.decide.reject(treasury.chen, asked, "no"),
    )
    assert sum(isinstance(each, Conflict) for each in answers) == 2
    status = (await treasury.now(settlement)).status
    assert status in (SettlementStatus.APPROVED, SettlementStatus.REJECTED)
    back = 9_940 if status is SettlementStatus.REJECTED else 0
    assert await house.balance(AccountKind.MERCHANT_AVAILABLE, merchant.merchant.id) == back
    await money_is_right(engine)
