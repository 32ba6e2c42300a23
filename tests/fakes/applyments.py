"""Merchants' applications in memory."""

from collections.abc import Sequence
from datetime import datetime

from domain.applyments import Applyment
from domain.errors import NotFound
from tests.fakes.rows import Tables
from tests.fakes.storage import Transaction


class FakeApplyments:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, applyment_id: str) -> Applyment:
        await self._transaction.statement("applyments.get")
        return _found(self._transaction.get(self._tables.applyments, applyment_id))

    async def lock(self, applyment_id: str) -> Applyment:
        await self._transaction.statement("applyments.lock")
        found = await self._transaction.lock(self._tables.applyments, applyment_id)
        return _found(found)

    async def of_merchant(self, merchant_id: str) -> Sequence[Applyment]:
        await self._transaction.statement("applyments.of_merchant")
        rows = self._transaction.rows(self._tables.applyments)
        return sorted((row for row in rows if row.merchant_id == merchant_id), key=lambda row: row.id, reverse=True)

    async def add(self, applyment: Applyment) -> None:
        await self._transaction.statement("applyments.add")
        await self._transaction.insert(self._tables.applyments, applyment)

    async def save(self, applyment: Applyment) -> None:
        await self._transaction.statement("applyments.save")
        await self._transaction.update(self._tables.applyments, applyment)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Applyment]:
        await self._transaction.statement("applyments.claim_due")
        claimed: list[Applyment] = []
        rows = self._transaction.rows(self._tables.applyments)
        due = [(row.next_at, row.id, row) for row in rows if row.next_at is not None and row.next_at <= now]
        for _, _, row in sorted(due, key=lambda each: each[:2])[:limit]:
            if self._transaction.take(self._tables.applyments, row.id):
                claimed.append(row.polled(now))
                await self._transaction.update(self._tables.applyments, claimed[-1])
        return claimed


def _found(applyment: Applyment | None) -> Applyment:
    if applyment is None:
        raise NotFound("no such application")
    return applyment
