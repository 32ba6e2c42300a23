"""Fake repositories of payments, held money, refunds and the ledger."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from domain.account_entries import AccountEntry
from domain.channels import Mode
from domain.errors import NotFound
from domain.ledger import GUARDED, Account, Transfer
from domain.payments import ChannelPayment, SuspenseItem
from domain.refunds import PURSUED, Refund
from domain.settlement_postings import available_line
from tests.fakes.rows import BalanceCursor, SnapshotRow, Tables, TransferRow, publish
from tests.fakes.storage import Transaction


class FakePayments:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def find(self, account_id: str, transaction_id: str) -> ChannelPayment | None:
        await self._transaction.statement("payments.find")
        key = (account_id, transaction_id)
        return self._transaction.find(self._tables.payments, "uq_channel_payment_transaction", key)

    async def unknown(self, account_id: str, number: str) -> ChannelPayment | None:
        await self._transaction.statement("payments.unknown")
        found = [
            each
            for each in self._transaction.rows(self._tables.payments)
            if (each.account_id, each.number, each.order_id) == (account_id, number, None)
        ]
        return min(found, key=lambda payment: (payment.recorded_at, payment.id), default=None)

    async def add(self, payment: ChannelPayment) -> None:
        await self._transaction.statement("payments.add")
        await self._transaction.insert(self._tables.payments, replace(payment, events=()))
        await publish(self._tables, self._transaction, payment.events)

    async def of_order(self, order_id: str) -> Sequence[ChannelPayment]:
        await self._transaction.statement("payments.of_order")
        of_it = [each for each in self._transaction.rows(self._tables.payments) if each.order_id == order_id]
        return sorted(of_it, key=lambda payment: (payment.recorded_at, payment.id))

    async def paying(self, order_id: str) -> ChannelPayment | None:
        await self._transaction.statement("payments.paying")
        item = self._transaction.find(self._tables.suspense, "uq_suspense_item_attributed", order_id)
        if item is not None:
            payment = self._transaction.get(self._tables.payments, item.payment_id)
            return replace(payment, fee=item.fee) if payment else None
        return self._transaction.find(self._tables.payments, "uq_channel_payment_effective", order_id)


class FakeSuspense:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def of_payment(self, payment_id: str) -> SuspenseItem | None:
        await self._transaction.statement("suspense.of_payment")
        return self._transaction.find(self._tables.suspense, "uq_suspense_item_payment", payment_id)

    async def get(self, item_id: str) -> tuple[SuspenseItem, ChannelPayment]:
        await self._transaction.statement("suspense.get")
        return self._with_payment(self._transaction.get(self._tables.suspense, item_id))

    async def lock(self, item_id: str) -> tuple[SuspenseItem, ChannelPayment]:
        await self._transaction.statement("suspense.lock")
        item = await self._transaction.lock(self._tables.suspense, item_id)
        return self._with_payment(item)

    def _with_payment(self, item: SuspenseItem | None) -> tuple[SuspenseItem, ChannelPayment]:
        if item is None:
            raise NotFound("no such suspense item")
        payment = self._transaction.get(self._tables.payments, item.payment_id)
        assert payment is not None
        return item, payment

    async def add(self, item: SuspenseItem) -> None:
        await self._transaction.statement("suspense.add")
        await self._transaction.insert(self._tables.suspense, item)

    async def save(self, item: SuspenseItem) -> None:
        await self._transaction.statement("suspense.save")
        await self._transaction.update(self._tables.suspense, item)


class FakeRefunds:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, refund_id: str) -> Refund:
        await self._transaction.statement("refunds.get")
        return _the_refund(self._transaction.get(self._tables.refunds, refund_id))

    async def lock(self, refund_id: str) -> Refund:
        await self._transaction.statement("refunds.lock")
        refund = await self._transaction.lock(self._tables.refunds, refund_id)
        return _the_refund(refund)

    async def numbered(self, account_id: str, number: str) -> Refund | None:
        await self._transaction.statement("refunds.numbered")
        return self._transaction.find(self._tables.refunds, "uq_refund_number", (account_id, number))

    async def asked(self, merchant_id: str, mode: Mode, merchant_refund_no: str) -> Refund | None:
        await self._transaction.statement("refunds.asked")
        key = (merchant_id, mode, merchant_refund_no)
        return self._transaction.find(self._tables.refunds, "uq_refund_merchant_refund_no", key)

    async def of_order(self, order_id: str) -> Sequence[Refund]:
        await self._transaction.statement("refunds.of_order")
        of_it = [each for each in self._transaction.rows(self._tables.refunds) if each.order_id == order_id]
        return sorted(of_it, key=lambda refund: (refund.created_at, refund.id))

    async def of_payment(self, payment_id: str) -> Sequence[Refund]:
        await self._transaction.statement("refunds.of_payment")
        of_it = [each for each in self._transaction.rows(self._tables.refunds) if each.payment_id == payment_id]
        return sorted(of_it, key=lambda refund: (refund.created_at, refund.id))

    async def add(self, refund: Refund) -> None:
        await self._transaction.statement("refunds.add")
        await self._transaction.insert(self._tables.refunds, replace(refund, events=()))
        await publish(self._tables, self._transaction, refund.events)

    async def save(self, refund: Refund) -> None:
        await self._transaction.statement("refunds.save")
        stored = await self._transaction.lock(self._tables.refunds, refund.id)
        assert stored is not None, f"there is no refund {refund.id} to save"
        assert stored.revision <= refund.revision, "the refund has moved on: it was saved without a lock"
        await self._transaction.update(self._tables.refunds, replace(refund, events=()))
        await publish(self._tables, self._transaction, refund.events)

    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Refund]:
        await self._transaction.statement("refunds.claim_due")
        claimed: list[Refund] = []
        due = [
            (refund.next_at, refund.id, refund)
            for refund in self._transaction.rows(self._tables.refunds)
            if refund.status in PURSUED and refund.next_at is not None and refund.next_at <= now
        ]
        for _, _, refund in sorted(due, key=lambda each: each[:2]):
            if len(claimed) == limit:
                break
            if self._transaction.take(self._tables.refunds, refund.id):
                claimed.append(refund.polled(now))
                await self._transaction.update(self._tables.refunds, claimed[-1])
        return claimed


class FakeLedger:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def post(self, transfers: Sequence[Transfer]) -> None:
        await self._transaction.statement("ledger.post")
        await self._guard([each.debit for each in transfers if each.debit.kind in GUARDED])
        engine = self._transaction.engine
        for transfer in transfers:
            row = TransferRow(transfer, self._transaction.xid, engine.next_row(), engine.now())
            if not await self._transaction.insert(self._tables.transfers, row, ignoring="pk_transfer"):
                standing = self._transaction.get(self._tables.transfers, transfer.idem_key)
                assert standing is not None
                assert standing.transfer == transfer, f"another transfer stands under {transfer.idem_key}"
            elif (line := available_line(transfer)) is not None:
                await self._transaction.insert(self._tables.available_lines, line)

    async def guard(self, *accounts: Account) -> None:
        await self._transaction.statement("ledger.guard")
        await self._guard(accounts)

    async def about(self, object_id: str) -> Sequence[Transfer]:
        await self._transaction.statement("ledger.about")
        rows = [row for row in self._transaction.rows(self._tables.transfers) if row.transfer.about == object_id]
        return [row.transfer for row in sorted(rows, key=lambda row: row.row)]

    async def balance(self, account: Account) -> int:
        await self._transaction.statement("ledger.balance")
        snapshot = self._transaction.get(self._tables.snapshots, account.id)
        return (snapshot.balance if snapshot else 0) + sum(
            _delta(row.transfer, account)
            for row in self._behind()
            if account in (row.transfer.credit, row.transfer.debit)
        )

    async def roll_up(self, *, limit: int) -> int:
        at, tables = self._transaction, self._tables
        await at.statement("ledger.roll_up")
        await at.hold(("roll_up",))
        ended = sorted(
            (row for row in self._behind() if row.xid < at.engine.horizon()), key=lambda row: (row.xid, row.row)
        )[:limit]
        for account in {end: None for row in ended for end in (row.transfer.debit, row.transfer.credit)}:
            moved = sum(_delta(row.transfer, account) for row in ended)
            old = at.get(tables.snapshots, account.id)
            if old is None:
                await at.insert(tables.snapshots, SnapshotRow(account.id, moved))
            else:
                await at.update(tables.snapshots, SnapshotRow(account.id, old.balance + moved))
        if ended:
            place = BalanceCursor(ended[-1].xid, ended[-1].row)
            if not await at.insert(tables.balance_cursor, place, ignoring="pk_balance_cursor"):
                await at.update(tables.balance_cursor, place)
        return len(ended)

    def _behind(self) -> Iterator[TransferRow]:
        cursor = self._transaction.get(self._tables.balance_cursor, True) or BalanceCursor()
        rows = self._transaction.rows(self._tables.transfers)
        return (row for row in rows if (row.xid, row.row) > (cursor.xid, cursor.row))

    async def _guard(self, accounts: Iterable[Account]) -> None:
        for id_ in sorted({account.id for account in accounts}):
            await self._transaction.hold(("guard", id_))


class FakeAccountEntries:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, entry_id: str) -> AccountEntry:
        await self._transaction.statement("entries.get")
        found = self._transaction.get(self._tables.entries, entry_id)
        if found is None:
            raise NotFound("no such entry")
        return found

    async def referring(self, mode: Mode, reference: str) -> AccountEntry | None:
        await self._transaction.statement("entries.referring")
        return self._transaction.find(self._tables.entries, "uq_account_entry_bank_reference", (mode, reference))

    async def add(self, entry: AccountEntry) -> None:
        await self._transaction.statement("entries.add")
        await self._transaction.insert(self._tables.entries, replace(entry, events=()))
        await publish(self._tables, self._transaction, entry.events)


def _delta(transfer: Transfer, account: Account) -> int:
    return transfer.amount.minor * ((transfer.credit == account) - (transfer.debit == account))


def _the_refund(refund: Refund | None) -> Refund:
    if refund is None:
        raise NotFound("no such refund")
    return refund
