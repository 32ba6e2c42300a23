"""Read models of accounts: balances of one moment, and a history whose rows never move."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import asyncpg
from sqlalchemy import BigInteger, bindparam, select, text

from adapters.outbound.sql import tables
from adapters.outbound.sql.balances import BALANCES, BEHIND
from adapters.outbound.sql.cursors import cursor as cursor_at
from adapters.outbound.sql.cursors import read_cursor
from adapters.outbound.sql.statements import Statement, prepare
from adapters.outbound.sql.transaction import reading
from adapters.outbound.sql.unit_of_work import SqlDatabase
from application.ports.queries import Page
from domain.channels import Mode
from domain.errors import NotFound
from domain.ledger import Account, AccountKind
from domain.times import rfc3339

_ACCOUNT = prepare(select(tables.ledger_account).where(tables.ledger_account.c.id == bindparam("id", type_=BigInteger)))
_ENDED = "t.xid < pg_snapshot_xmin(pg_current_snapshot())"
# Snapshot + tail of the rows that the page can show, in its own statement: both see the same. The account comes
# as a row, as it does in BALANCES: of a value the planner may know that it has most of the table, and read all of it.
_SETTLED = f"""(SELECT CAST(coalesce((SELECT balance FROM balance_snapshot WHERE account_id = a.id), 0)
  + coalesce((SELECT sum(t.amount) FILTER (WHERE {_ENDED}) FROM transfer t
              WHERE t.credit_account = a.id AND {BEHIND}), 0)
  - coalesce((SELECT sum(t.amount) FILTER (WHERE {_ENDED}) FROM transfer t
              WHERE t.debit_account = a.id AND {BEHIND}), 0) AS bigint)
  FROM unnest(ARRAY[CAST(:account AS bigint)]) AS a (id))"""  # noqa: S608


def _side(column: str, sign: str, *, after: bool) -> str:
    place = "AND (t.xid, t.id) < (CAST(CAST(:xid AS text) AS xid8), CAST(:id AS bigint))" if after else ""
    return f"""(SELECT t.*, {sign} t.amount AS delta FROM transfer t
  WHERE t.{column} = CAST(:account AS bigint) AND {_ENDED} {place}
  ORDER BY t.xid DESC, t.id DESC LIMIT CAST(:limit AS bigint))"""  # noqa: S608 - words of our own


def _history(*, after: bool) -> Statement:
    settled = "CAST(:settled AS bigint)" if after else _SETTLED
    return prepare(
        text(f"""
SELECT CAST(t.xid AS text) AS xid_text, t.id, t.idem_key, t.fact, t.about, t.currency, t.channel_date, t.posting_date,
       t.created_at, t.delta, {settled} AS settled,
       coalesce(p.order_id, r.order_id, s.order_id, sp.order_id) AS order_id
FROM (SELECT * FROM ({_side("credit_account", "", after=after)} UNION ALL {_side("debit_account", "-", after=after)}) u
      ORDER BY u.xid DESC, u.id DESC LIMIT CAST(:limit AS bigint)) AS t
LEFT JOIN channel_payment p ON p.id = t.about
LEFT JOIN refund r ON r.id = t.about
LEFT JOIN suspense_item s ON s.id = t.about
LEFT JOIN channel_payment sp ON sp.id = s.payment_id
ORDER BY t.xid DESC, t.id DESC
""")  # noqa: S608
    )


_FIRST, _NEXT = _history(after=False), _history(after=True)


@dataclass(frozen=True, slots=True)
class SqlAccountQueries:
    database: SqlDatabase

    async def balances(self, accounts: Collection[Account]) -> Mapping[Account, int]:
        by_id = {account.id: account for account in accounts}
        async with reading(self.database.engine) as tx:
            found = await tx.read(BALANCES, accounts=list(by_id))
        return {by_id[row["id"]]: row["balance"] for row in found}

    async def account(self, account_id: int) -> Account:
        async with reading(self.database.engine) as tx:
            for row in await tx.read(_ACCOUNT, id=account_id):
                return _account(row)
        raise NotFound("no such account")

    async def history(self, account: Account, *, cursor: str | None, limit: int) -> Page:
        kind = f"ah{account.id}"
        async with reading(self.database.engine) as tx:
            if cursor is None:
                found = await tx.read(_FIRST, account=account.id, limit=limit + 1)
            else:
                xid, id_, settled = read_cursor(kind, cursor, _place)
                found = await tx.read(_NEXT, account=account.id, limit=limit + 1, xid=str(xid), id=id_, settled=settled)
        rows, after = [], 0
        for n, row in enumerate(found[:limit]):
            after = row["settled"] if n == 0 else after
            rows.append(_row(row, after))
            after -= row["delta"]
        if len(found) <= limit:
            return Page(rows, None)
        # What the account held before the last row shown travels in the cursor: no page adds up what came after it.
        return Page(rows, cursor_at(kind, found[limit - 1]["xid_text"], str(found[limit - 1]["id"]), str(after)))


def _account(row: asyncpg.Record) -> Account:
    return Account(AccountKind(row["kind"]), row["owner"], Mode(row["mode"]), row["currency"], row["fund"])


def _row(row: asyncpg.Record, after: int) -> Mapping[str, object]:
    names = ("idem_key", "fact", "about", "order_id", "currency", "channel_date", "posting_date")
    return {
        **{name: row[name] for name in names},
        "amount": row["delta"],
        "balance_after": after,
        "created_at": rfc3339(row["created_at"]),
    }


def _place(xid: str, id_: str, settled: str) -> tuple[int, int, int]:
    place = int(xid), int(id_), int(settled)
    if not (0 <= place[0] < 2**63 and 0 <= place[1] < 2**63 and -(2**63) <= place[2] < 2**63):
        raise ValueError("no place in a history")
    return place
