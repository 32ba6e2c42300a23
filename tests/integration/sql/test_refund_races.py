"""Refunds by many at once on PostgreSQL: never more than was paid, no balance below zero, every share exact."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql import SqlDatabase
from adapters.outbound.sql.promises import SqlPromises
from application.open_merchant import OpenedMerchant
from domain.channels import Method
from domain.errors import Conflict
from domain.ledger import AccountKind
from domain.money import Money
from domain.orders import Order
from domain.payments import SuspenseStatus
from domain.refunds import Refund, RefundStatus, RefundWish
from tests.contracts.stage import end
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.house import House, caller

Owner = Any  # asyncpg's connection, generic only in its stubs

ASKERS = 8
ORDERS = 300


@pytest.fixture
async def house(engine: AsyncEngine) -> House:
    return House(clock=FakeClock(datetime.now(UTC)), database=cast("FakeDatabase", SqlDatabase(engine)))


async def paid(house: House, merchant: OpenedMerchant, count: int, amount: int = 1_000) -> list[Order]:
    """So many paid orders, made a few at a time."""
    turns = asyncio.Semaphore(ASKERS)

    async def make(n: int) -> Order:
        async with turns:
            order = await house.order(merchant, f"A-{n}", amount)
            attempt = await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_QR)
            house.alipay.pay(attempt.number)
            await house.notice(house.alipay, attempt)
            return order

    return await asyncio.gather(*(make(n) for n in range(count)))


async def test_eight_at_once_on_each_of_three_hundred_orders_never_refund_more_than_was_paid(
    house: House, engine: AsyncEngine, owner: Owner
) -> None:
    """Captured 1,000, each asks for 300, all meet at a barrier. Lock-then-read under REPEATABLE READ gave back up to
    2,400 on every one of 300 orders (reliability.md, 4.2)."""
    merchant = await house.merchant()
    orders = await paid(house, merchant, ORDERS)
    barrier = asyncio.Barrier(ASKERS)

    async def ask(asker: int) -> list[Refund | Conflict]:
        outcomes: list[Refund | Conflict] = []
        for n, order in enumerate(orders):
            wish = RefundWish(merchant_refund_no=f"R-{n}-{asker}", order_id=order.id, amount=Money(300))
            await barrier.wait()
            try:
                outcomes.append(await house.request_refund(caller(merchant), wish))
            except Conflict as refusal:
                outcomes.append(refusal)
        return outcomes

    began = time.monotonic()
    every = [outcome for outcomes in await asyncio.gather(*(ask(n) for n in range(ASKERS))) for outcome in outcomes]
    print(f"{len(every)} requests for {ORDERS} orders in {time.monotonic() - began:.1f} s")
    refusals = {each.code for each in every if isinstance(each, Conflict)}
    assert refusals == {"refund_exceeds_paid"}
    assert sum(isinstance(each, Refund) for each in every) == 3 * ORDERS
    sums = await owner.fetchrow(
        "SELECT min(refunding), max(refunding), max(refunded + refunding - paid), count(*) FROM payment_order"
    )
    assert tuple(sums) == (900, 900, -100, ORDERS)
    assert await SqlPromises(engine).broken() == []


async def test_many_refunds_of_many_orders_at_once_leave_every_balance_and_every_share_exact(
    house: House, engine: AsyncEngine
) -> None:
    """Whole orders in odd parts, with what the channel makes of each; at the end nothing is left of fee or balance."""
    merchant = await house.merchant()
    orders = await paid(house, merchant, 24, 9_999)
    parts = (1, 17, 333, 4_999, 4_649)
    assert sum(parts) == 9_999

    turns = asyncio.Semaphore(ASKERS)  # as many as there are connections

    async def give_back(order: Order, part: int) -> Refund:
        wish = RefundWish(merchant_refund_no=f"{order.id}-{part}", order_id=order.id, amount=Money(part))
        async with turns:
            refund = await house.request_refund(caller(merchant), wish)
            return await house.submit_refund(refund.id)

    refunds = await end(*(asyncio.create_task(give_back(order, part)) for order in orders for part in parts))
    assert {refund.status for refund in refunds} == {RefundStatus.SUCCEEDED}
    for kind in (AccountKind.MERCHANT_PENDING, AccountKind.MERCHANT_REFUNDING):
        assert await house.balance(kind, merchant.merchant.id) == 0
    assert await house.balance(AccountKind.FEE_INCOME, "platform") == 0
    assert await SqlPromises(engine).broken() == []


async def test_the_last_of_a_balance_is_given_to_one(house: House, owner: Owner) -> None:
    """Refunds of different orders share one balance and no order's lock: the guard makes them queue."""
    merchant = await house.merchant()
    orders = await paid(house, merchant, ASKERS, 1_000)
    pending = await house.balance(AccountKind.MERCHANT_PENDING, merchant.merchant.id)
    await _drain(owner, merchant.merchant.id, pending - 994)
    barrier = asyncio.Barrier(ASKERS)

    async def ask(order: Order) -> Refund:
        wish = RefundWish(merchant_refund_no=f"R-{order.id}", order_id=order.id, amount=Money(1_000))
        await barrier.wait()
        return await house.request_refund(caller(merchant), wish)

    outcomes = await end(*(asyncio.create_task(ask(order)) for order in orders))
    assert [each.code for each in outcomes if isinstance(each, Conflict)] == ["insufficient_balance"] * (ASKERS - 1)
    assert await house.balance(AccountKind.MERCHANT_PENDING, merchant.merchant.id) == 0


async def _drain(owner: Owner, merchant_id: str, amount: int) -> None:
    """A release that does not exist yet: MP → MA, as the owner of the tables may write it."""
    await owner.execute(
        "INSERT INTO transfer (idem_key, fact, debit_account, credit_account, amount, currency, mode, about,"
        " channel_date) SELECT 'drain', 'release', id, -1, $2, currency, mode, 'test', current_date"
        " FROM ledger_account WHERE kind = 'MP' AND owner = $1",
        merchant_id,
        amount,
    )


async def test_equal_requests_at_once_are_one_refund_and_one_call_of_the_channel(house: House) -> None:
    merchant = await house.merchant()
    (order,) = await paid(house, merchant, 1)
    wish = RefundWish(merchant_refund_no="R-1", order_id=order.id, amount=Money(300))

    async def ask() -> Refund:
        refund = await house.request_refund(caller(merchant), wish)
        return await house.submit_refund(refund.id)

    refunds = await end(*(asyncio.create_task(ask()) for _ in range(ASKERS)))
    assert len({refund.id for refund in refunds}) == 1
    assert len(house.alipay.refunds()) == 1


async def test_notices_queries_and_answers_at_once_move_a_refund_once(house: House, engine: AsyncEngine) -> None:
    merchant = await house.merchant()
    order = await house.paid(merchant, Method.WECHAT_NATIVE)
    refund = await house.refund(merchant, order)
    house.wechat.settle(refund.number)
    hear = [house.refund_notice(house.wechat, refund.number, refund.account_id) for _ in range(ASKERS)]
    ask = [house.check_refund(refund) for _ in range(ASKERS)]
    await asyncio.gather(*hear, *ask)
    (done,) = await house.refunds(order)
    assert done.status is RefundStatus.SUCCEEDED
    assert [event.type for event in done.events] == []
    assert await SqlPromises(engine).broken() == []


async def test_a_held_payment_is_on_its_way_back_once_however_many_reports_come(
    house: House, engine: AsyncEngine, owner: Owner
) -> None:
    merchant = await house.merchant()
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_QR)
    await house.close_order(order.id, "merchant")
    house.alipay.pay(attempt.number)
    await asyncio.gather(*(house.notice(house.alipay, attempt) for _ in range(ASKERS)))
    await asyncio.gather(*(house.check_due_refunds() for _ in range(ASKERS)))
    assert len(house.alipay.refunds()) == 1
    assert await owner.fetchval("SELECT status FROM suspense_item") == SuspenseStatus.REFUNDED
    assert await SqlPromises(engine).broken() == []
