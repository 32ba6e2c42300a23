"""Fake closed days: the twin of what PostgreSQL does by sets."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date

from domain.audit_chain import Root
from domain.closing import Closing, Content, Position
from domain.ledger import Account
from tests.fakes.rows import FigureRow, Tables, TransferRow
from tests.fakes.storage import Transaction


class FakeRoots:
    """Exported roots, in memory."""

    def __init__(self) -> None:
        self.lines: list[Root] = []

    async def read(self) -> Sequence[Root]:
        return list(self.lines)

    async def append(self, root: Root) -> None:
        self.lines.append(root)


class FakeClosings:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def lock(self) -> Closing | None:
        await self._transaction.statement("closings.lock")
        await self._transaction.hold(("close",))
        return max(self._transaction.rows(self._tables.closings), key=lambda row: row.day, default=None)

    async def of(self, day: date) -> Closing | None:
        await self._transaction.statement("closings.of")
        return self._transaction.get(self._tables.closings, day)

    async def after(self, day: date | None, *, limit: int) -> Sequence[Closing]:
        await self._transaction.statement("closings.after")
        found = [row for row in self._transaction.rows(self._tables.closings) if day is None or row.day > day]
        return sorted(found, key=lambda row: row.day)[:limit]

    async def first_day(self) -> date | None:
        await self._transaction.statement("closings.first_day")
        first = min(self._transaction.rows(self._tables.transfers), key=lambda row: row.row, default=None)
        return first.posting_date if first else None

    async def horizon(self) -> int:
        await self._transaction.statement("closings.horizon")
        return self._transaction.engine.horizon()

    async def content(self, day: date, *, before: int, cut: int) -> Content:
        await self._transaction.statement("closings.content")
        rows = sorted(self._rows(day, before, cut), key=lambda row: (row.xid, row.row))
        whole = b"".join(hashlib.sha256(repr(row).encode()).digest() for row in rows)
        return Content(len(rows), hashlib.sha256(whole).digest())

    async def add(self, closing: Closing, *, before: int) -> None:
        await self._transaction.statement("closings.add")
        await self._transaction.insert(self._tables.closings, closing)
        for figure in self._moved(closing, before):
            await self._transaction.insert(self._tables.figures, figure)

    async def amiss(self, closing: Closing, *, before: int) -> Sequence[str]:
        await self._transaction.statement("closings.amiss")
        kept = {row for row in self._transaction.rows(self._tables.figures) if row.day == closing.day}
        return [
            f"{row.account.kind}/{row.account.owner}/{row.account.mode} did not move as it was closed"
            for row in kept ^ set(self._moved(closing, before))
        ]

    async def trial(self, day: date) -> Sequence[Position]:
        await self._transaction.statement("closings.trial")
        sums: dict[tuple[str, str, str], list[int]] = {}
        accounts = {row.account: None for row in self._transaction.rows(self._tables.figures) if row.day <= day}
        for account in accounts:
            last = self._last(account, day)
            assert last is not None
            moved = last.day == day
            figures = (last.opening if moved else last.closing, last.debits * moved, last.credits * moved, last.closing)
            line = sums.setdefault((str(account.mode), account.currency, str(account.kind)), [0, 0, 0, 0])
            line[:] = [old + new for old, new in zip(line, figures, strict=True)]
        return [Position(*key, *figures) for key, figures in sorted(sums.items())]

    def _rows(self, day: date, before: int, cut: int) -> Iterator[TransferRow]:
        for row in self._transaction.rows(self._tables.transfers):
            if row.xid < cut and (row.posting_date == day or (row.posting_date < day and row.xid >= before)):
                yield row

    def _moved(self, closing: Closing, before: int) -> Iterator[FigureRow]:
        sums: dict[Account, tuple[int, int]] = {}
        for row in self._rows(closing.day, before, closing.cut):
            amount = row.transfer.amount.minor
            for account, debit, credit in ((row.transfer.debit, amount, 0), (row.transfer.credit, 0, amount)):
                debits, credits_ = sums.get(account, (0, 0))
                sums[account] = (debits + debit, credits_ + credit)
        for account, (debits, credits_) in sums.items():
            earlier = self._last(account, closing.day, inclusive=False)
            yield FigureRow(account, closing.day, earlier.closing if earlier else 0, debits, credits_)

    def _last(self, account: Account, day: date, *, inclusive: bool = True) -> FigureRow | None:
        rows = [
            row
            for row in self._transaction.rows(self._tables.figures)
            if row.account == account and (row.day < day or (inclusive and row.day == day))
        ]
        return max(rows, key=lambda row: row.day, default=None)
