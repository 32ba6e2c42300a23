"""Fake repositories of orders and attempts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.attempts import Attempt
from domain.channels import Mode
from domain.errors import NotFound
from domain.orders import Order, OrderStatus
from tests.fakes.pricing import follow
from tests.fakes.rows import OrderRow, Tables, publish
from tests.fakes.storage import Transaction


class FakeOrders:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, order_id: str) -> Order:
        await self._transaction.statement("orders.get")
        return _there(self._transaction.get(self._tables.orders, order_id)).order

    async def placed(self, merchant_id: str, mode: Mode, merchant_order_no: str) -> Order:
        await self._transaction.statement("orders.placed")
        key = (merchant_id, mode, merchant_order_no)
        return _there(self._transaction.find(self._tables.orders, "uq_order_merchant_order_no", key)).order

    async def by_token(self, cashier_token: str) -> Order:
        await self._transaction.statement("orders.by_token")
        return _there(self._transaction.find(self._tables.orders, "uq_order_cashier_token", cashier_token)).order

    async def lock(self, order_id: str) -> Order:
        await self._transaction.statement("orders.lock")
        row = await self._transaction.lock(self._tables.orders, order_id)
        return _there(row).order

    async def add(self, order: Order) -> None:
        await self._transaction.statement("orders.add")
        row = OrderRow(replace(order, events=()), due_at=order.expires_at)
        await self._transaction.insert(self._tables.orders, row)
        await publish(self._tables, self._transaction, order.events)

    async def save(self, order: Order) -> None:
        await self._transaction.statement("orders.save")
        row = await self._transaction.lock(self._tables.orders, order.id)
        assert row is not None, f"there is no order {order.id} to save"
        assert row.order.revision <= order.revision, "the order has moved on: it was saved without a lock"
        await self._transaction.update(self._tables.orders, replace(row, order=replace(order, events=())))
        await publish(self._tables, self._transaction, order.events)

    async def claim_expired(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[str]:
        await self._transaction.statement("orders.claim_expired")
        claimed: list[str] = []
        due = [row for row in self._transaction.rows(self._tables.orders) if row.due_at <= now]
        for row in sorted(due, key=lambda row: (row.due_at, row.order.id)):
            if len(claimed) == limit:
                break
            if row.order.status is OrderStatus.PENDING and self._transaction.take(self._tables.orders, row.order.id):
                await self._transaction.update(self._tables.orders, replace(row, due_at=retry_at))
                claimed.append(row.order.id)
        return claimed


class FakeAttempts:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, attempt_id: str) -> Attempt:
        await self._transaction.statement("attempts.get")
        return _the_attempt(self._transaction.get(self._tables.attempts, attempt_id))

    async def lock(self, attempt_id: str) -> Attempt:
        await self._transaction.statement("attempts.lock")
        attempt = await self._transaction.lock(self._tables.attempts, attempt_id)
        return _the_attempt(attempt)

    async def lock_numbered(self, number: str) -> tuple[Order, Attempt] | None:
        await self._transaction.statement("attempts.lock_numbered")
        found = self._transaction.find(self._tables.attempts, "uq_attempt_number", number)
        if found is None:
            return None
        row = await self._transaction.lock(self._tables.orders, found.order_id)
        attempt = await self._transaction.lock(self._tables.attempts, found.id)
        return _there(row).order, _the_attempt(attempt)

    async def watch_numbered(self, number: str) -> tuple[Order, Attempt] | None:
        await self._transaction.statement("attempts.watch_numbered")
        attempt = self._transaction.find(self._tables.attempts, "uq_attempt_number", number)
        if attempt is None:
            return None
        row = _there(self._transaction.get(self._tables.orders, attempt.order_id))
        self._transaction.watch(
            (self._tables.orders, attempt.order_id, row), (self._tables.attempts, attempt.id, attempt)
        )
        return row.order, attempt

    async def of_order(self, order_id: str) -> Sequence[Attempt]:
        await self._transaction.statement("attempts.of_order")
        of_it = [attempt for attempt in self._transaction.rows(self._tables.attempts) if attempt.order_id == order_id]
        return sorted(of_it, key=lambda attempt: (attempt.created_at, attempt.id))

    async def add(self, attempt: Attempt) -> None:
        await self._transaction.statement("attempts.add")
        await self._transaction.insert(self._tables.attempts, replace(attempt, events=()))
        await publish(self._tables, self._transaction, attempt.events)

    async def save(self, attempt: Attempt) -> None:
        await self._transaction.statement("attempts.save")
        stored = await self._transaction.lock(self._tables.attempts, attempt.id)
        assert stored is not None, f"there is no attempt {attempt.id} to save"
        assert stored.revision <= attempt.revision, "the attempt has moved on: it was saved without a lock"
        await self._transaction.update(self._tables.attempts, replace(attempt, events=()))
        await follow(self._tables, self._transaction, stored, attempt)
        await publish(self._tables, self._transaction, attempt.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Attempt]:
        await self._transaction.statement("attempts.claim_due")
        claimed: list[Attempt] = []
        due = [
            (attempt.next_at, attempt.id, attempt)
            for attempt in self._transaction.rows(self._tables.attempts)
            if attempt.live and attempt.next_at is not None and attempt.next_at <= now
        ]
        for _, _, attempt in sorted(due, key=lambda each: each[:2]):
            if len(claimed) == limit:
                break
            if self._transaction.take(self._tables.attempts, attempt.id):
                claimed.append(attempt.polled(now))
                await self._transaction.update(self._tables.attempts, claimed[-1])
        return claimed


def _there(row: OrderRow | None) -> OrderRow:
    if row is None:
        raise NotFound("no such order")
    return row


def _the_attempt(attempt: Attempt | None) -> Attempt:
    if attempt is None:
        raise NotFound("no such attempt")
    return attempt
