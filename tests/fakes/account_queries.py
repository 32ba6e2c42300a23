"""Fake read models of accounts."""

from collections.abc import Callable, Collection, Mapping

from application.ports.queries import Page
from domain.errors import InvalidRequest, NotFound
from domain.ledger import Account
from domain.times import rfc3339
from tests.fakes.queries import _cursor, _read_cursor
from tests.fakes.rows import Tables, TransferRow
from tests.fakes.storage import Transaction


class FakeAccountQueries:
    """Each query is one statement of its own, outside any unit of work."""

    def __init__(self, tables: Tables, begin: Callable[[], Transaction]) -> None:
        self._tables, self._begin = tables, begin

    async def balances(self, accounts: Collection[Account]) -> Mapping[Account, int]:
        await self._begin().statement("queries.balances")
        rows = self._tables.transfers.committed.values()
        return {account: sum(_delta(row, account) for row in rows) for account in accounts}

    async def account(self, account_id: int) -> Account:
        await self._begin().statement("queries.account")
        for row in self._tables.transfers.committed.values():
            for account in (row.transfer.debit, row.transfer.credit):
                if account.id == account_id:
                    return account
        raise NotFound("no such account")

    async def history(self, account: Account, *, cursor: str | None, limit: int) -> Page:
        transaction = self._begin()
        await transaction.statement("queries.history")
        rows = sorted(
            (
                row
                for row in self._tables.transfers.committed.values()
                if account in (row.transfer.debit, row.transfer.credit) and row.xid < transaction.engine.horizon()
            ),
            key=lambda row: (row.xid, row.row),
        )
        lines, after = list[tuple[tuple[int, int], dict[str, object]]](), 0
        for row in rows:
            after += _delta(row, account)
            lines.append(((row.xid, row.row), self._line(row, account, after)))
        lines.reverse()
        kind = f"ah{account.id}"
        if cursor is not None:
            place = _place(kind, cursor)
            lines = [line for line in lines if line[0] < place]
        more = len(lines) > limit
        last = _cursor(kind, *(f"{part:020d}" for part in lines[limit - 1][0])) if more else None
        return Page([line for _, line in lines[:limit]], last)

    def _line(self, row: TransferRow, account: Account, after: int) -> dict[str, object]:
        transfer = row.transfer
        return {
            "idem_key": transfer.idem_key,
            "fact": transfer.fact,
            "about": transfer.about,
            "order_id": self._order_of(transfer.about),
            "amount": _delta(row, account),
            "balance_after": after,
            "currency": transfer.amount.currency,
            "channel_date": transfer.channel_date,
            "posting_date": row.posting_date,
            "created_at": rfc3339(row.created_at),
        }

    def _order_of(self, about: str) -> str | None:
        tables = self._tables
        if (payment := tables.payments.committed.get(about)) is not None:
            return payment.order_id
        if (refund := tables.refunds.committed.get(about)) is not None:
            return refund.order_id
        if (item := tables.suspense.committed.get(about)) is not None:
            return item.order_id or tables.payments.committed[item.payment_id].order_id
        return None


def _delta(row: TransferRow, account: Account) -> int:
    return row.transfer.amount.minor * ((row.transfer.credit == account) - (row.transfer.debit == account))


def _place(kind: str, cursor: str) -> tuple[int, int]:
    xid, row = _read_cursor(kind, cursor)
    if not (xid.isdigit() and row.isdigit()):
        raise InvalidRequest("this cursor is not one of ours", code="cursor_invalid", pointer="/cursor")
    return int(xid), int(row)
