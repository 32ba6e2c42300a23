"""The fake repository of invoices."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from domain.channels import Mode
from domain.errors import NotFound
from domain.invoices import SETTLING, Due, Invoice, last_day
from domain.ledger import AccountKind
from domain.money import Money
from tests.fakes.rows import Tables, publish
from tests.fakes.storage import Transaction


class FakeInvoices:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, invoice_id: str) -> Invoice:
        await self._transaction.statement("invoices.get")
        return _there(self._transaction.get(self._tables.invoices, invoice_id))

    async def lock(self, invoice_id: str) -> Invoice:
        await self._transaction.statement("invoices.lock")
        found = await self._transaction.lock(self._tables.invoices, invoice_id)
        return _there(found)

    async def of_merchant(self, merchant_id: str, mode: Mode | None = None) -> Sequence[Invoice]:
        await self._transaction.statement("invoices.of_merchant")
        rows = self._transaction.rows(self._tables.invoices)
        own = [each for each in rows if each.merchant_id == merchant_id and mode in (None, each.mode)]
        return sorted(sorted(own, key=lambda each: each.mode), key=lambda each: each.month, reverse=True)

    async def of_month(self, month: date) -> Sequence[Invoice]:
        await self._transaction.statement("invoices.of_month")
        rows = self._transaction.rows(self._tables.invoices)
        return sorted((each for each in rows if each.month == month), key=lambda each: (each.merchant_id, each.mode))

    async def due(self, month: date) -> Sequence[Due]:
        await self._transaction.statement("invoices.due")
        moved: dict[tuple[str, Mode, str], int] = {}
        for transfer in (row.transfer for row in self._transaction.rows(self._tables.transfers)):
            if transfer.channel_date > last_day(month) or transfer.fact in SETTLING:
                continue
            for account, sign in ((transfer.debit, 1), (transfer.credit, -1)):
                if account.kind is AccountKind.SERVICE_FEE_DUE:
                    key = (account.owner, account.mode, account.currency)
                    moved[key] = moved.get(key, 0) + sign * transfer.amount.minor
        found = []
        for (owner, mode, currency), minor in sorted(moved.items()):
            rows = self._transaction.rows(self._tables.invoices)
            own = [each for each in rows if (each.merchant_id, each.mode) == (owner, mode)]
            left = minor - sum(each.amount.minor for each in own)
            if left > 0 and all(each.month < month for each in own):
                found.append(Due(merchant_id=owner, mode=mode, amount=Money(left, currency)))
        return found

    async def add(self, invoice: Invoice) -> None:
        await self._transaction.statement("invoices.add")
        await self._transaction.insert(self._tables.invoices, replace(invoice, events=()))
        await publish(self._tables, self._transaction, invoice.events)

    async def save(self, invoice: Invoice) -> None:
        await self._transaction.statement("invoices.save")
        stored = await self._transaction.lock(self._tables.invoices, invoice.id)
        assert stored is not None, f"there is no invoice {invoice.id} to save"
        assert stored.revision <= invoice.revision, "the invoice has moved on: it was saved without a lock"
        await self._transaction.update(self._tables.invoices, replace(invoice, events=()))
        await publish(self._tables, self._transaction, invoice.events)


def _there(invoice: Invoice | None) -> Invoice:
    if invoice is None:
        raise NotFound("no such invoice")
    return invoice
