"""Statements as rows: files in pieces, lines by COPY, and the comparison as set operations."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import IO, Any

import asyncpg
import msgspec
from sqlalchemy import Date, Text, bindparam, delete, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.outbound.sql import bill_rows as rows
from adapters.outbound.sql import comparison, tables
from adapters.outbound.sql.statements import Statement, claiming, inserting, prepare, updating
from adapters.outbound.sql.transaction import Records, Transaction, stale
from application.ports.bills import Compared, FundBalance, FundLines, Moved, Sides, Span
from domain.channels import Mode
from domain.errors import BillInvalid, NotFound
from domain.reconciliation import Discrepancy
from domain.statements import (
    DayStatus,
    FundLine,
    Line,
    Lines,
    Movement,
    StatementDay,
    StatementFile,
    StatementKind,
)

PIECE = 1 << 20  # bytes of a raw file in one row
AT_ONCE = 4  # pieces that are compressed at the same time
MEMORY = "128MB"  # of the server, for a comparison of whole days; beyond it spills to disk
HANDING_OVER = "0.001"  # what a row costs from one of the server's processes to the next: our records are joined by all
NEIGHBOURS = 4  # days before and after in which the other side of a pair may stand: HOLD_DAYS_AT_MOST and one

_d, _f, _l, _m, _x = (
    tables.statement_day,
    tables.statement_file,
    tables.statement_line,
    tables.fund_line,
    tables.discrepancy,
)
_DAY_MOVES = [
    "status", "files", "next_at", "tries", "differences", "held", "foreign_lines", "matched", "note", "closed_by",
]  # fmt: skip
_at_day = (_d.c.account_id == bindparam("account_id"), _d.c.day == bindparam("day", type_=Date))
_OPEN_DAY = inserting(
    "open_day",
    _d,
    ["account_id", "day", "mode", *_DAY_MOVES],
    ignoring=["account_id", "day"],
    returning=["account_id"],
)
_DAY = prepare(select(_d).where(*_at_day))
_LOCK_DAY = prepare(select(_d).where(*_at_day).with_for_update())
_SAVE_DAY = prepare(update(_d).where(*_at_day).values({name: bindparam(f"new_{name}") for name in _DAY_MOVES}))
_CLAIM = claiming(_d, "account_id", "day", returning=_d.c.keys())
_ADD_FILE = inserting("add_file", _f, rows.FILE, ignoring=["account_id", "day", "kind", "fund", "sha256"])
_PIECES = prepare(
    select(tables.statement_chunk.c.bytes).where(
        tables.statement_chunk.c.file_id == bindparam("file_id"), tables.statement_chunk.c.n == bindparam("n")
    )
)
_READY = prepare(
    select(_d)
    .where(_d.c.status == literal_column(f"'{DayStatus.MATCHED}'"), _d.c.next_at.is_(None), _d.c.held == 0)
    .order_by(_d.c.day, _d.c.account_id)
    .limit(bindparam("limit"))
)
_FILE_OF = prepare(
    select(_f).where(
        _f.c.account_id == bindparam("account_id"),
        _f.c.day == bindparam("day", type_=Date),
        _f.c.kind == bindparam("kind"),
        _f.c.fund == bindparam("fund"),
        _f.c.sha256 == bindparam("sha256"),
    )
)
_DAY_NUMBER = prepare(select(_d.c.number).where(*_at_day))
_CLEAR_LINES = prepare(delete(_l).where(_l.c.day_number == bindparam("day_number")))
_CLEAR_FUND = prepare(
    delete(_m).where(
        _m.c.account_id == bindparam("account_id"),
        _m.c.day == bindparam("day", type_=Date),
        _m.c.fund == bindparam("fund"),
    )
)
_STRANGE = prepare(
    select(_m)
    .where(
        _m.c.account_id == bindparam("account_id"),
        _m.c.day == bindparam("day", type_=Date),
        _m.c.movement == bindparam("movements", type_=ARRAY(Text)).any_(),
    )
    .order_by(_m.c.fund, _m.c.n)
)
_FLOWS_OF = prepare(
    select(_m)
    .where(
        _m.c.account_id == bindparam("account_id"),
        _m.c.day == bindparam("day", type_=Date),
        _m.c.transaction_id == bindparam("transaction_id"),
    )
    .order_by(_m.c.fund, _m.c.n)
)
_ADD_DISCREPANCY = inserting("add_discrepancy", _x, rows.DISCREPANCY)
_SAVE_DISCREPANCY = updating(
    "save_discrepancy",
    _x,
    ["status", "owner", "remedy", "note", "line_n", "ours_id", "amount", "resolved_at", "resolved_by"],
)
_ONE_DISCREPANCY = prepare(select(_x).where(_x.c.id == bindparam("id")))
_LOCK_DISCREPANCY = prepare(select(_x).where(_x.c.id == bindparam("id")).with_for_update())
_OF_DAY = prepare(
    select(_x)
    .where(_x.c.account_id == bindparam("account_id"), _x.c.day == bindparam("day", type_=Date))
    .order_by(_x.c.key)
)


@dataclass(frozen=True, slots=True)
class SqlBills:
    tx: Transaction

    # ── Days ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def open_day(self, day: StatementDay) -> bool:
        row = {"account_id": day.account_id, "day": day.day, "mode": day.mode, **rows.moves(day)}
        await self.tx.write(_OPEN_DAY, [row], key="day")
        return bool((await self.tx.flush())["open_day"])

    async def day(self, account_id: str, day: date) -> StatementDay:
        return rows.one_day(await self.tx.read(_DAY, account_id=account_id, day=day), day)

    async def lock_day(self, account_id: str, day: date) -> StatementDay:
        return rows.one_day(await self.tx.run(_LOCK_DAY, account_id=account_id, day=day), day)

    async def save_day(self, day: StatementDay) -> None:
        moves = {f"new_{name}": value for name, value in rows.moves(day).items()}
        moves["new_files"] = msgspec.json.encode(moves["new_files"]).decode()  # asyncpg takes JSON as text
        await self.tx.run(_SAVE_DAY, account_id=day.account_id, day=day.day, **moves)

    async def claim_due(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[StatementDay]:
        claimed = [rows.day_of(row) for row in await self.tx.run(_CLAIM, now=now, retry_at=retry_at, limit=limit)]
        return sorted(claimed, key=lambda day: (day.day, day.account_id))

    async def ready_to_close(self, *, limit: int) -> Sequence[StatementDay]:
        return [rows.day_of(row) for row in await self.tx.read(_READY, limit=limit)]

    async def spans(self, account_id: str | None = None) -> Sequence[Span]:
        found = await self.tx.read(comparison.SPANS, account_id=account_id)
        return [Span(**{**row, "mode": Mode(row["mode"])}) for row in found]

    # ── Files and lines ──────────────────────────────────────────────────────────────────────────────────────────────

    async def store(self, file: StatementFile, source: IO[bytes], lines: Iterable[Lines | FundLines]) -> int:
        place: dict[str, Any] = {"account_id": file.account_id, "day": file.day}
        counted = _Counted(iter(lines))
        if file.kind is StatementKind.TRADE:
            (day,) = await self.tx.run(_DAY_NUMBER, **place)
            await self.tx.run(_CLEAR_LINES, day_number=day["number"])
            text = partial(rows.lines_as_text, day["number"])
            with _keepable():
                await self.tx.copy_text(_l.name, rows.LINE, _pieces(counted, text))
        else:
            await self.tx.run(_CLEAR_FUND, **place, fund=file.fund)
            with _keepable():
                await self.tx.copy_text(_m.name, rows.FUND_LINE, _pieces(counted, partial(rows.flows_as_text, file)))
        if await self._known(file) is None:
            await self._keep(file, source, counted.count)
        return counted.count

    async def file(self, account_id: str, day: date, bill: str) -> StatementFile | None:
        sha256 = (await self.day(account_id, day)).files.get(bill)
        kind, _, fund = bill.partition(":")
        if sha256 is None:
            return None
        found = await self.tx.read(_FILE_OF, account_id=account_id, day=day, kind=kind, fund=fund, sha256=sha256)
        return rows.file_of(found[0]) if found else None

    async def content(self, file: StatementFile) -> AsyncIterator[bytes]:
        for n in range(-(-file.size // PIECE)):
            (piece,) = await self.tx.read(_PIECES, file_id=file.id, n=n)
            yield zlib.decompress(piece["bytes"])

    async def line(self, account_id: str, day: date, n: int) -> Line:
        for found in await self.tx.read(comparison.ONE_LINE, account_id=account_id, day=day, n=n):
            return rows.line_of(found)
        raise NotFound(f"no line {n} in the bill of {day}")

    async def _known(self, file: StatementFile) -> StatementFile | None:
        found = await self.tx.read(
            _FILE_OF,
            account_id=file.account_id,
            day=file.day,
            kind=file.kind,
            fund=file.fund,
            sha256=file.sha256,
        )
        return rows.file_of(found[0]) if found else None

    async def _keep(self, file: StatementFile, source: IO[bytes], lines: int) -> None:
        row = {name: getattr(file, name) for name in rows.FILE} | {"lines": lines}
        await self.tx.write(_ADD_FILE, [row])
        await self.tx.flush()
        chunks = _chunks(file.id, source)
        await self.tx.copy(tables.statement_chunk.name, ["file_id", "n", "bytes"], chunks)

    # ── Comparing ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def compare(self, account_id: str, day: date, *, ours_only: bool) -> Compared:
        place: dict[str, Any] = {"account_id": account_id, "day": day, "ours_only": ours_only}
        (counts,) = await self.tx.read(comparison.COUNTS, **place)
        keys = [row["key"] for row in await self._set_based(comparison.KEYS, **place)]
        near: dict[str, Any] = {"keys": keys, "account_id": account_id, "day": day, "days": NEIGHBOURS}
        lines = await self.tx.read(comparison.LINES, **near) if keys else []
        ours = await self.tx.read(comparison.OURS, **near) if keys else []
        left = sum(1 for line in lines if line["day"] == day)
        return Compared(
            matched=counts["lines"] - left,
            foreign=counts["foreign_lines"],
            lines=[rows.line_of(line) for line in lines],
            ours=[rows.ours_of(one) for one in ours],
            fee=counts["fee"],
            fee_returned=counts["fee_returned"],
        )

    async def compare_funds(self, account_id: str, day: date) -> Sequence[Moved]:
        found = await self._set_based(comparison.MOVED, account_id=account_id, day=day)
        return [Moved(row["transaction_id"], row["number"], row["traded"], row["moved"]) for row in found]

    async def kept_of_closed(self, account_id: str, day: date) -> int:
        (found,) = await self.tx.read(comparison.KEPT_OF_CLOSED, account_id=account_id, day=day)
        return int(found["kept"])

    async def balances(self, account_id: str, day: date) -> Sequence[FundBalance]:
        found = await self.tx.read(comparison.BALANCES, account_id=account_id, day=day)
        return [FundBalance(**row) for row in found]

    async def strange_movements(self, account_id: str, day: date) -> Sequence[FundLine]:
        known = {Movement.PAYMENT, Movement.REFUND, Movement.FEE, Movement.FEE_RETURNED, Movement.REFUND_CLOSED}
        movements = sorted(set(Movement) - known)
        found = await self.tx.read(_STRANGE, account_id=account_id, day=day, movements=movements)
        return [rows.fund_line_of(row) for row in found]

    async def _set_based(self, statement: Statement, **values: Any) -> Records:
        (before,) = await self.tx.run(comparison.COSTS)
        await self.tx.run(comparison.SPEND, memory=MEMORY, handing_over=HANDING_OVER)
        found = await self.tx.read(statement, **values)
        await self.tx.run(comparison.SPEND, **before)
        return found

    # ── Discrepancies ────────────────────────────────────────────────────────────────────────────────────────────────

    async def discrepancies(self, account_id: str, day: date) -> Sequence[Discrepancy]:
        return [rows.discrepancy_of(row) for row in await self.tx.read(_OF_DAY, account_id=account_id, day=day)]

    async def discrepancy(self, discrepancy_id: str) -> Discrepancy:
        return rows.one_discrepancy(await self.tx.read(_ONE_DISCREPANCY, id=discrepancy_id), discrepancy_id)

    async def lock_discrepancy(self, discrepancy_id: str) -> Discrepancy:
        return rows.one_discrepancy(await self.tx.run(_LOCK_DISCREPANCY, id=discrepancy_id), discrepancy_id)

    async def sides(self, discrepancy: Discrepancy) -> Sides:
        place: dict[str, Any] = {"account_id": discrepancy.account_id, "day": discrepancy.day}
        id_ = discrepancy.transaction_id
        moved = (
            [rows.fund_line_of(row) for row in await self.tx.read(_FLOWS_OF, **place, transaction_id=id_)]
            if id_
            else []
        )
        keys = sorted({discrepancy.number, id_, *(flow.number for flow in moved)} - {""})
        near = {**place, "keys": keys, "days": NEIGHBOURS}
        theirs = await self.tx.read(comparison.LINES, **near) if keys else []
        ours = await self.tx.read(comparison.OURS, **near) if keys else []
        return Sides([rows.line_of(row) for row in theirs], moved, [rows.ours_of(row) for row in ours])

    async def add_discrepancy(self, discrepancy: Discrepancy) -> None:
        await self.tx.write(_ADD_DISCREPANCY, [{name: getattr(discrepancy, name) for name in rows.DISCREPANCY}])

    async def save_discrepancy(self, discrepancy: Discrepancy) -> None:
        row = {name: getattr(discrepancy, name) for name in rows.DISCREPANCY}
        await self.tx.write(_SAVE_DISCREPANCY, [row], short=stale)


@contextmanager
def _keepable() -> Iterator[None]:
    """What a column or an index cannot hold is in no bill: a number of pages, an amount beyond all money."""
    try:
        yield
    except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
        raise BillInvalid("a value that is longer or larger than any") from error


class _Counted:
    """Lines, some at a time, and how many have been taken."""

    def __init__(self, lines: Iterator[Any]) -> None:
        self._lines = lines
        self.count = 0

    def take(self, text: Callable[[Any], bytes]) -> bytes | None:
        """The next of them as text; None after the last."""
        for some in self._lines:
            self.count += len(some)
            return text(some)
        return None


async def _pieces(lines: _Counted, text: Callable[[Any], bytes]) -> AsyncIterator[bytes]:
    """Read and written in a thread, so that the loop serves others meanwhile."""
    while (piece := await asyncio.to_thread(lines.take, text)) is not None:
        yield piece


async def _chunks(file_id: str, source: IO[bytes]) -> AsyncIterator[tuple[str, int, bytes]]:
    """The file anew from its start. To a tenth of it, which is quicker than to write it all; on all cores."""
    source.seek(0)
    n = 0
    while pieces := await asyncio.to_thread(lambda: [piece for _ in range(AT_ONCE) if (piece := source.read(PIECE))]):
        for small in await asyncio.gather(*(asyncio.to_thread(zlib.compress, piece, 1) for piece in pieces)):
            yield file_id, n, small
            n += 1
