"""Merchants' own statements as rows: read from the ledger in one statement, kept in pieces once they are frozen."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any

import asyncpg
from sqlalchemy import Date, Text, bindparam, delete, select, union_all

from adapters.outbound.sql import tables
from adapters.outbound.sql.merchant_entries import ENTRIES, NEW_DAYS, WAITS_FOR
from adapters.outbound.sql.statements import claiming, inserting, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.channels import Mode
from domain.merchant_statements import BALANCES, Entry, MerchantStatement

PIECE = 1 << 20  # bytes in one row

_s, _c, _d = tables.merchant_statement, tables.merchant_statement_chunk, tables.merchant_statement_due
_KEY = ["merchant_id", "mode", "day"]
_FROZEN = [*_KEY, "frozen_at", "sha256", "size", "entries"]


def _of(table: Any) -> tuple[Any, ...]:
    day = bindparam("day", type_=Date)
    return (table.c.merchant_id == bindparam("merchant_id"), table.c.mode == bindparam("mode"), table.c.day == day)


_OPEN = inserting("open_merchant_statement", _d, [*_KEY, "next_at"], ignoring=_KEY)
_CLAIM = claiming(_d, "day", returning=_KEY)
_FREEZE = inserting("freeze_merchant_statement", _s, _FROZEN)
_CLOSE = prepare(delete(_d).where(*_of(_d)))
_FIND = prepare(select(_s).where(*_of(_s)))
_PIECE = prepare(select(_c.c.bytes).where(*_of(_c), _c.c.n == bindparam("n")))
_both = union_all(
    select(*(_s.c[name] for name in _FROZEN)),
    select(*(_d.c[name] for name in _KEY), *(_s.c[name] for name in _FROZEN[3:]))
    .select_from(
        _d.outerjoin(_s, (_s.c.merchant_id == _d.c.merchant_id) & (_s.c.mode == _d.c.mode) & (_s.c.day == _d.c.day))
    )
    .where(_s.c.day.is_(None)),
).subquery("both")
_LISTED = prepare(
    select(_both)
    .where(
        _both.c.merchant_id == bindparam("merchant_id", type_=Text),
        _both.c.mode == bindparam("mode", type_=Text),
        _both.c.day < bindparam("before", type_=Date),
    )
    .order_by(_both.c.day.desc())
    .limit(bindparam("limit"))
)


@dataclass(frozen=True, slots=True)
class SqlMerchantStatements:
    tx: Transaction

    async def unopened(self, until: date) -> Sequence[MerchantStatement]:
        return [_statement(row) for row in await self.tx.read(NEW_DAYS, until=until)]

    async def open(self, statement: MerchantStatement, *, next_at: datetime) -> None:
        row = {name: getattr(statement, name) for name in _KEY}
        await self.tx.write(_OPEN, [{**row, "next_at": next_at}], key="day")

    async def claim_due(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[MerchantStatement]:
        claimed = [_statement(row) for row in await self.tx.run(_CLAIM, now=now, retry_at=retry_at, limit=limit)]
        return sorted(claimed, key=lambda one: (one.day, one.merchant_id, one.mode))

    async def waits_for(self, statement: MerchantStatement) -> int:
        (found,) = await self.tx.read(WAITS_FOR, **_place(statement))
        return int(found["days"])

    async def entries(self, statement: MerchantStatement) -> AsyncIterator[Sequence[Entry]]:
        async for rows in self.tx.stream(ENTRIES, **_place(statement)):
            yield [_entry(row) for row in rows]

    async def freeze(self, statement: MerchantStatement, source: IO[bytes]) -> None:
        await self.tx.write(_FREEZE, [{name: getattr(statement, name) for name in _FROZEN}], key="day")
        await self.tx.flush()
        source.seek(0)
        pieces = enumerate(iter(lambda: source.read(PIECE), b""))
        key = (statement.merchant_id, str(statement.mode), statement.day)
        await self.tx.copy(_c.name, [*_KEY, "n", "bytes"], _one_by_one((*key, n, piece) for n, piece in pieces))
        await self.tx.run(_CLOSE, **_place(statement))

    async def frozen(self, merchant_id: str, mode: Mode, day: date) -> MerchantStatement | None:
        found = await self.tx.read(_FIND, merchant_id=merchant_id, mode=mode, day=day)
        return _statement(found[0]) if found else None

    async def piece(self, statement: MerchantStatement, n: int) -> bytes | None:
        for found in await self.tx.read(_PIECE, **_place(statement), n=n):
            return bytes(found["bytes"])
        return None

    async def listed(
        self, merchant_id: str, mode: Mode, *, before: date | None, limit: int
    ) -> Sequence[MerchantStatement]:
        place = {"merchant_id": merchant_id, "mode": mode, "before": before or date.max}
        return [_statement(row) for row in await self.tx.read(_LISTED, **place, limit=limit)]


def _place(statement: MerchantStatement) -> dict[str, Any]:
    return {"merchant_id": statement.merchant_id, "mode": statement.mode, "day": statement.day}


def _statement(found: asyncpg.Record) -> MerchantStatement:
    row = dict(found)
    known = {name: row[name] for name in _FROZEN if row.get(name) is not None}
    return MerchantStatement(**known | {"mode": Mode(row["mode"])})


def _entry(found: asyncpg.Record) -> Entry:
    row = dict(found)
    balances = tuple(int(row.pop(name)) for name in BALANCES)
    del row["place"]
    return Entry(balances=balances, **row)


async def _one_by_one(rows: Iterator[tuple[Any, ...]]) -> AsyncIterator[tuple[Any, ...]]:
    for row in rows:
        yield row
