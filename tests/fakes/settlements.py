"""Fake repositories of settlements."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.channels import Mode
from domain.errors import NotFound
from domain.ledger import Account, Transfer
from domain.settlement_postings import AvailableLine, StatementLine
from domain.settlements import UNDER_WAY, Settlement
from tests.fakes.rows import Tables, publish
from tests.fakes.storage import Transaction


class FakeSettlements:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, settlement_id: str) -> Settlement:
        await self._transaction.statement("settlements.get")
        return _the(self._transaction.get(self._tables.settlements, settlement_id))

    async def lock(self, settlement_id: str) -> Settlement:
        await self._transaction.statement("settlements.lock")
        settlement = await self._transaction.lock(self._tables.settlements, settlement_id)
        return _the(settlement)

    async def numbered(self, number: str) -> Settlement | None:
        await self._transaction.statement("settlements.numbered")
        return self._transaction.find(self._tables.settlements, "uq_settlement_number", number)

    async def add(self, settlement: Settlement) -> None:
        await self._transaction.statement("settlements.add")
        await self._transaction.insert(self._tables.settlements, replace(settlement, events=()))
        await publish(self._tables, self._transaction, settlement.events)

    async def save(self, settlement: Settlement) -> None:
        await self._transaction.statement("settlements.save")
        stored = await self._transaction.lock(self._tables.settlements, settlement.id)
        assert stored is not None, f"there is no settlement {settlement.id} to save"
        assert stored.revision <= settlement.revision, "the settlement has moved on: it was saved without a lock"
        await self._transaction.update(self._tables.settlements, replace(settlement, events=()))
        await publish(self._tables, self._transaction, settlement.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Settlement]:
        await self._transaction.statement("settlements.claim_due")
        claimed: list[Settlement] = []
        due = [
            (each.next_at, each.id, each)
            for each in self._transaction.rows(self._tables.settlements)
            if each.status in UNDER_WAY and each.next_at is not None and each.next_at <= now
        ]
        for _, _, settlement in sorted(due, key=lambda each: each[:2]):
            if len(claimed) == limit:
                break
            if self._transaction.take(self._tables.settlements, settlement.id):
                claimed.append(settlement.polled(now))
                await self._transaction.update(self._tables.settlements, claimed[-1])
        return claimed

    async def page(self, merchant_id: str, mode: Mode, *, before: str | None, limit: int) -> Sequence[Settlement]:
        await self._transaction.statement("settlements.page")
        rows = self._transaction.rows(self._tables.settlements)
        own = [each for each in rows if (each.merchant_id, each.mode) == (merchant_id, mode)]
        seen = [each for each in own if before is None or each.id < before]
        return sorted(seen, key=lambda each: each.id, reverse=True)[:limit]


class FakeSweeps:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def available(self, account: Account) -> int:
        await self._transaction.statement("sweeps.available")
        lines = self._transaction.rows(self._tables.available_lines)
        return sum(line.amount for line in lines if line.account == account and line.settlement_id is None)

    async def sweep(self, account: Account, settlement_id: str) -> tuple[int, int]:
        await self._transaction.statement("sweeps.sweep")
        lines = list(self._transaction.rows(self._tables.available_lines))
        open_ = [line for line in lines if line.account == account and line.settlement_id is None]
        for line in open_:
            await self._transaction.update(self._tables.available_lines, replace(line, settlement_id=settlement_id))
        return sum(line.amount for line in open_), len(open_)

    async def inside(self, settlement_id: str) -> Sequence[StatementLine]:
        await self._transaction.statement("sweeps.inside")
        inside: list[tuple[int, StatementLine]] = []
        for line in self._transaction.rows(self._tables.available_lines):
            if line.settlement_id != settlement_id:
                continue
            row = self._transaction.get(self._tables.transfers, line.idem_key)
            assert row is not None
            inside.append((row.row, _statement_line(line, row.transfer)))
        return [line for _, line in sorted(inside, key=lambda each: each[0])]


def _statement_line(line: AvailableLine, transfer: Transfer) -> StatementLine:
    return StatementLine(
        idem_key=line.idem_key,
        fact=transfer.fact,
        about=transfer.about,
        amount=line.amount,
        currency=transfer.amount.currency,
        channel_date=transfer.channel_date,
    )


def _the(settlement: Settlement | None) -> Settlement:
    if settlement is None:
        raise NotFound("no such settlement")
    return settlement
