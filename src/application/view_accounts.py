"""Somebody looks at what there is: a merchant at its balance and how it came about, operators at any account."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from application.ports.balances import AccountQueries
from application.ports.lists import Column, Kind, Row
from application.ports.queries import Page
from domain.balances import STANDINGS, Balance, account_of
from domain.channels import Mode
from domain.ledger import Account
from domain.money import CNY

EXPORTED_AT_ONCE = 1_000
# What a transfer is about, by the prefix of its id, and where a merchant finds it.
_CAUSES = {
    "pay": ("payment", None),
    "ref": ("refund", "/v1/refunds/{id}"),
    "sus": ("held_money", None),
    "stl": ("settlement", "/v1/settlements/{id}"),
    "ent": ("account_entry", None),
}

# The history as a table for spreadsheets.
HISTORY_COLUMNS: Mapping[str, Column] = {
    "id": Column(Kind.TEXT, "流水号"),
    "created_at": Column(Kind.TIME, "记账时间"),
    "fact": Column(Kind.TEXT, "类型"),
    "amount": Column(Kind.AMOUNT, "金额"),
    "balance_after": Column(Kind.AMOUNT, "余额"),
    "currency": Column(Kind.TEXT, "币种"),
    "about": Column(Kind.TEXT, "来源单号"),
    "order_id": Column(Kind.TEXT, "订单号"),
    "channel_date": Column(Kind.TEXT, "通道日期"),
    "posting_date": Column(Kind.TEXT, "记账日期"),
}


@dataclass(frozen=True, slots=True)
class ViewAccounts:
    """Amounts are signed minor units: what a merchant owes grows with what is added to ``debt``."""

    queries: AccountQueries

    async def balance(self, merchant_id: str, mode: Mode) -> Sequence[Balance]:
        """One a currency; a merchant that never had anything has zeros."""
        accounts = {name: account_of(merchant_id, mode, CNY, name) for name in STANDINGS}
        figures = await self.queries.balances(accounts.values())
        return [Balance.of(CNY, {account.kind: figure for account, figure in figures.items()})]

    async def history(self, merchant_id: str, mode: Mode, standing: str, *, cursor: str | None, limit: int) -> Page:
        """What moved one of the merchant's balances, newest first, each with what it came to and its cause."""
        account, sign = account_of(merchant_id, mode, CNY, standing), STANDINGS[standing][1]
        page = await self.queries.history(account, cursor=cursor, limit=limit)
        return Page([_shown(row, sign) for row in page.rows], page.next_cursor)

    def export(self, merchant_id: str, mode: Mode, standing: str) -> AsyncIterator[Sequence[Row]]:
        """The whole history, some rows at a time."""
        return _all(lambda cursor: self.history(merchant_id, mode, standing, cursor=cursor, limit=EXPORTED_AT_ONCE))

    async def of_account(self, account_id: int) -> tuple[Account, int]:
        """Any account and its balance, credits minus debits. Raises NotFound."""
        account = await self.queries.account(account_id)
        return account, (await self.queries.balances([account]))[account]

    async def of_any(self, account_id: int, *, cursor: str | None, limit: int) -> Page:
        """Any account's history, as the ledger has it. Raises NotFound."""
        page = await self.queries.history(await self.queries.account(account_id), cursor=cursor, limit=limit)
        return Page([_shown(row, 1) for row in page.rows], page.next_cursor)

    def export_any(self, account_id: int) -> AsyncIterator[Sequence[Row]]:
        return _all(lambda cursor: self.of_any(account_id, cursor=cursor, limit=EXPORTED_AT_ONCE))


async def _all(page_at: Callable[[str | None], Awaitable[Page]]) -> AsyncIterator[Sequence[Row]]:
    cursor = None
    while True:
        page = await page_at(cursor)
        if page.rows:
            yield page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


def _shown(row: Mapping[str, Any], sign: int) -> dict[str, Any]:
    about, order_id = row["about"], row["order_id"]
    type_, url = _CAUSES.get(about[:3] if about[3:4] == "_" else "", (about.partition(":")[0], None))
    if url is None and order_id is not None:
        url = f"/v1/orders/{order_id}"
    return {
        **{name: row[name] for name in ("fact", "currency", "about", "order_id", "created_at")},
        "id": f"trf_{hashlib.sha256(row['idem_key'].encode()).hexdigest()[:26]}",
        "amount": sign * row["amount"],
        "balance_after": sign * row["balance_after"],
        "channel_date": str(row["channel_date"]),
        "posting_date": str(row["posting_date"]),
        "cause": {"type": type_, "id": about, "url": url.format(id=about) if url else None},
    }
