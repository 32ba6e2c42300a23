"""Merchants' own statements in memory. What is posted is posted on the channel's day: the fake ledger has no other."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import IO

from domain.channels import FundMode, Mode
from domain.ledger import Account
from domain.merchant_statements import BALANCES, OWED, Entry, MerchantStatement
from domain.money import CNY
from tests.fakes.rows import DueStatement, FrozenStatement, Tables, TransferRow
from tests.fakes.storage import Transaction

PIECE = 1 << 20
_GIVEN = {"refund_accepted": -1, "refund_unasked": -1, "refund_closed": 1}
_TAKEN = {"payment": 1, "payment_held": 1, "payment_reversed": -1}
_BATCH = 2


class FakeMerchantStatements:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def unopened(self, until: date) -> Sequence[MerchantStatement]:
        await self._transaction.statement("merchant_statements.unopened")
        kinds, known = set(BALANCES.values()), self._known()
        newest = max((day for _, _, day in known), default=date.min)
        days = {
            (account.owner, account.mode, row.transfer.channel_date)
            for row in self._transaction.rows(self._tables.transfers)
            for account in (row.transfer.debit, row.transfer.credit)
            if account.kind in kinds and newest <= row.transfer.channel_date <= until
        }
        wanted = sorted(days - known, key=lambda key: (key[2], key[0], key[1]))
        return [MerchantStatement(merchant_id=owner, mode=mode, day=day) for owner, mode, day in wanted]

    async def open(self, statement: MerchantStatement, *, next_at: datetime) -> None:
        await self._transaction.statement("merchant_statements.open")
        row = DueStatement(statement, next_at)
        await self._transaction.insert(self._tables.statements_due, row, ignoring="pk_merchant_statement_due")

    async def claim_due(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[MerchantStatement]:
        await self._transaction.statement("merchant_statements.claim_due")
        due = [row for row in self._transaction.rows(self._tables.statements_due) if row.next_at <= now]
        claimed: list[MerchantStatement] = []
        for row in sorted(due, key=lambda row: (row.next_at, row.statement.day)):
            if len(claimed) < limit and self._transaction.take(self._tables.statements_due, row.key):
                claimed.append(row.statement)
                await self._transaction.update(self._tables.statements_due, DueStatement(row.statement, retry_at))
        return sorted(claimed, key=lambda one: (one.day, one.merchant_id, one.mode))

    async def waits_for(self, statement: MerchantStatement) -> int:
        await self._transaction.statement("merchant_statements.waits_for")
        days = {(entry.account_id, entry.channel_date) for entry in self._entries(statement) if entry.account_id}
        standing = {(row.account_id, row.day): row for row in self._transaction.rows(self._tables.days)}
        return sum(1 for account_id, day in days if not (day and (account_id, day) in standing
                                                         and standing[account_id, day].closed))  # fmt: skip

    async def entries(self, statement: MerchantStatement) -> AsyncIterator[Sequence[Entry]]:
        await self._transaction.statement("merchant_statements.entries")
        every = [self._opening(statement), *self._entries(statement)]
        for n in range(0, len(every), _BATCH):
            yield every[n : n + _BATCH]

    async def freeze(self, statement: MerchantStatement, source: IO[bytes]) -> None:
        await self._transaction.statement("merchant_statements.freeze")
        source.seek(0)
        await self._transaction.insert(self._tables.statements, FrozenStatement(statement, source.read()))
        key = (statement.merchant_id, statement.mode, statement.day)
        if self._transaction.get(self._tables.statements_due, key) is not None:
            await self._transaction.delete(self._tables.statements_due, key)

    async def frozen(self, merchant_id: str, mode: Mode, day: date) -> MerchantStatement | None:
        await self._transaction.statement("merchant_statements.frozen")
        found = self._transaction.get(self._tables.statements, (merchant_id, mode, day))
        return found.statement if found else None

    async def piece(self, statement: MerchantStatement, n: int) -> bytes | None:
        await self._transaction.statement("merchant_statements.piece")
        found = self._transaction.get(self._tables.statements, (statement.merchant_id, statement.mode, statement.day))
        return (found.content[n * PIECE : (n + 1) * PIECE] or None) if found else None

    async def listed(
        self, merchant_id: str, mode: Mode, *, before: date | None, limit: int
    ) -> Sequence[MerchantStatement]:
        await self._transaction.statement("merchant_statements.listed")
        rows = self._transaction.rows(self._tables.statements), self._transaction.rows(self._tables.statements_due)
        both = [row.statement for row in rows[0]] + [row.statement for row in rows[1]]
        wanted = [
            one for one in both if (one.merchant_id, one.mode) == (merchant_id, mode) and one.day < (before or date.max)
        ]
        return sorted(wanted, key=lambda one: one.day, reverse=True)[:limit]

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _known(self) -> set[tuple[str, Mode, date]]:
        rows = [row.statement for row in self._transaction.rows(self._tables.statements)]
        rows += [row.statement for row in self._transaction.rows(self._tables.statements_due)]
        return {(one.merchant_id, one.mode, one.day) for one in rows}

    def _opening(self, statement: MerchantStatement) -> Entry:
        before = [row for row in self._transfers() if row.transfer.channel_date < statement.day]
        return Entry(type="opening", balances=self._moved(statement, before))

    def _entries(self, statement: MerchantStatement) -> Iterator[Entry]:
        facts: dict[tuple[str, str], list[TransferRow]] = {}
        for row in self._transfers():
            ends = (row.transfer.debit, row.transfer.credit)
            if row.transfer.channel_date == statement.day and any(_is_in(statement, end) for end in ends):
                facts.setdefault((row.transfer.about, row.transfer.fact), []).append(row)
        for (about, fact), rows in facts.items():
            yield self._entry(statement, about, fact, rows)

    def _entry(self, statement: MerchantStatement, about: str, fact: str, rows: list[TransferRow]) -> Entry:
        refund = self._transaction.get(self._tables.refunds, about)
        item = self._transaction.get(self._tables.suspense, about)
        payment_id = refund.payment_id if refund else item.payment_id if item else about
        payment = self._transaction.get(self._tables.payments, payment_id)
        attempt = self._transaction.get(self._tables.attempts, payment.attempt_id) if payment else None
        amount: int | None = None
        fee: int | None = None
        if refund and fact in _GIVEN:
            amount, fee = _GIVEN[fact] * refund.debit.minor, _GIVEN[fact] * refund.share.minor
        elif item and payment and fact == "item_attributed":
            amount, fee = (0 if payment.fund_mode is FundMode.DIRECT else item.amount.minor), item.fee.minor
        elif payment and fact in _TAKEN:
            amount, fee = _TAKEN[fact] * payment.received.minor, payment.fee.minor if fact == "payment" else 0
        order_id = (refund and refund.order_id) or (item and item.order_id) or (payment and payment.order_id) or ""
        order = self._transaction.get(self._tables.orders, order_id)
        return Entry(
            type=fact,
            balances=self._moved(statement, rows),
            at=datetime.combine(rows[0].transfer.channel_date, time(), UTC) - timedelta(hours=8),
            object_id=about,
            order_id=order_id,
            merchant_order_no=order.order.request.merchant_order_no if order else "",
            merchant_refund_no=(refund.merchant_refund_no or "") if refund else "",
            method=attempt.method if attempt else "",
            transaction_id=(refund.channel_id or "") if refund else payment.transaction_id if payment else "",
            channel_time=refund.accepted_at if refund else payment.paid_at if payment else None,
            amount=amount,
            fee=fee,
            account_id=payment.account_id if payment else "",
            channel_date=rows[0].transfer.channel_date,
        )

    def _transfers(self) -> list[TransferRow]:
        return sorted(self._transaction.rows(self._tables.transfers), key=lambda row: row.row)

    def _moved(self, statement: MerchantStatement, rows: Sequence[TransferRow]) -> tuple[int, ...]:
        moved = dict.fromkeys(BALANCES.values(), 0)
        for row in rows:
            for end, sign in ((row.transfer.debit, -1), (row.transfer.credit, 1)):
                if _is_in(statement, end):
                    moved[end.kind] += (-sign if end.kind in OWED else sign) * row.transfer.amount.minor
        return tuple(moved.values())


def _is_in(statement: MerchantStatement, account: Account) -> bool:
    of = (account.owner, account.mode, account.currency)
    return account.kind in set(BALANCES.values()) and of == (statement.merchant_id, statement.mode, CNY)
