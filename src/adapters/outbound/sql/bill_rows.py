"""Statement days, files, lines and discrepancies from rows and to rows."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import repeat
from typing import Any

import asyncpg

from application.ports.bills import FundLines
from domain.channels import Mode
from domain.errors import NotFound
from domain.money import CNY, Money
from domain.reconciliation import DifferenceKind, Discrepancy, DiscrepancyStatus, Ours, Remedy
from domain.statements import (
    DayStatus,
    FundLine,
    Line,
    LineKind,
    Lines,
    LineStatus,
    Movement,
    StatementDay,
    StatementFile,
    StatementKind,
)
from domain.times import midnight

FILE = ["id", "account_id", "mode", "day", "kind", "fund", "sha256", "size", "provenance", "received_at", "lines"]
DISCREPANCY = [
    "id", "account_id", "mode", "day", "key", "kind", "line_n", "ours_id", "number", "transaction_id", "amount",
    "found_at", "status", "owner", "remedy", "note", "resolved_at", "resolved_by",
]  # fmt: skip


def moves(day: StatementDay) -> dict[str, Any]:
    return {
        "status": day.status,
        "files": dict(day.files),
        "next_at": day.next_at,
        "tries": day.tries,
        "differences": day.differences,
        "held": day.held,
        "foreign_lines": day.foreign,
        "matched": day.matched,
        "note": day.note,
        "closed_by": day.closed_by,
    }


def day_of(found: asyncpg.Record) -> StatementDay:
    return StatementDay(
        account_id=found["account_id"],
        mode=Mode(found["mode"]),
        day=found["day"],
        status=DayStatus(found["status"]),
        files=found["files"],
        next_at=found["next_at"],
        tries=found["tries"],
        differences=found["differences"],
        held=found["held"],
        foreign=found["foreign_lines"],
        matched=found["matched"],
        note=found["note"],
        closed_by=found["closed_by"],
    )


def one_day(found: Sequence[asyncpg.Record], day: date) -> StatementDay:
    if not found:
        raise NotFound(f"no statement day {day}")
    return day_of(found[0])


def file_of(found: asyncpg.Record) -> StatementFile:
    values = {name: found[name] for name in FILE}
    return StatementFile(**values | {"mode": Mode(found["mode"]), "kind": StatementKind(found["kind"])})


LINE = [
    "day_number", "n", "received", "fee", "second", "key", "transaction_id", "method", "total", "kind", "number",
    "payment_number", "currency", "status",
]  # fmt: skip
FUND_LINE = [
    "file_id", "account_id", "day", "n", "fund", "flow_id", "transaction_id", "number", "movement", "amount",
    "balance", "at", "words",
]  # fmt: skip
_NULL = "\\N"
_MARKS = "\\\t\n\r"
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def lines_as_text(day_number: int, lines: Lines) -> bytes:
    """As COPY reads them (PostgreSQL manual, COPY, Text Format: tabs between, \\N for NULL), in the columns of LINE.

    Column by column, for a bill may have a million lines. What is usual is NULL (tables/statements.py).
    """
    columns = (
        repeat(str(day_number)), map(str, lines.n), map(str, lines.received), map(str, lines.fees),
        map(str, lines.seconds), *map(_escaped, (lines.numbers, lines.transaction_ids, lines.methods)),
        [_NULL if total == got else str(total) for total, got in zip(lines.totals, lines.received, strict=True)],
        repeat("\t".join([_NULL] * 5)),
    )  # fmt: skip
    return _copied(zip(*columns, strict=False)) + _copied(_other(day_number, line) for line in lines.others)


def _other(day_number: int, line: Line) -> Sequence[str]:
    key = line.number or line.transaction_id
    second = round((line.at - midnight(line.day)).total_seconds())
    said = (day_number, line.n, line.received.minor, line.fee, second)
    unlike = (
        (line.total.minor, line.received.minor), (line.kind, LineKind.PAYMENT), (line.number, key),
        (line.payment_number, key), (line.received.currency, CNY), (line.status, LineStatus.SUCCEEDED),
    )  # fmt: skip
    return (
        *map(str, said),
        *_escaped((key, line.transaction_id, line.method)),
        *(_NULL if value == usual else str(value).translate(_ESCAPED) for value, usual in unlike),
    )


def flows_as_text(file: StatementFile, flows: FundLines) -> bytes:
    """Lines of a fund bill likewise, in the columns of FUND_LINE."""
    place = (file.id, file.account_id, str(file.day))
    found = [
        (
            *place, str(flow.n), flow.fund, flow.flow_id, flow.transaction_id, flow.number, flow.movement,
            str(flow.amount), str(flow.balance), flow.at.isoformat(), flow.words,
        )
        for flow in flows
    ]  # fmt: skip
    return _copied(map(_escaped, found))


def _escaped(column: Sequence[str]) -> Sequence[str]:
    together = "".join(column)
    return [value.translate(_ESCAPED) for value in column] if any(mark in together for mark in _MARKS) else column


def _copied(rows: Iterable[Sequence[str]]) -> bytes:
    text = "\n".join(map("\t".join, rows))
    return f"{text}\n".encode() if text else b""


def line_of(found: asyncpg.Record) -> Line:
    currency = found["currency"]
    return Line(
        n=found["n"],
        day=found["day"],
        kind=LineKind(found["kind"]),
        number=found["number"],
        payment_number=found["payment_number"],
        transaction_id=found["transaction_id"],
        total=Money(found["total"], currency),
        received=Money(found["received"], currency),
        fee=found["fee"],
        status=LineStatus(found["status"]),
        at=found["at"],
        method=found["method"],
    )


def fund_line_of(found: asyncpg.Record) -> FundLine:
    return FundLine(
        n=found["n"],
        fund=found["fund"],
        flow_id=found["flow_id"],
        transaction_id=found["transaction_id"],
        number=found["number"],
        movement=Movement(found["movement"]),
        amount=found["amount"],
        balance=found["balance"],
        at=found["at"],
        words=found["words"],
    )


def ours_of(found: asyncpg.Record) -> Ours:
    return Ours(
        id=found["id"],
        kind=LineKind(found["kind"]),
        number=found["key"],
        transaction_id=found["transaction_id"],
        account_id=found["account_id"],
        received=Money(found["received"], found["currency"]),
        fee=found["fee"],
        status=LineStatus(found["status"]),
        channel_date=found["day"],
    )


def discrepancy_of(found: asyncpg.Record) -> Discrepancy:
    values = {name: found[name] for name in DISCREPANCY} | {
        "mode": Mode(found["mode"]),
        "kind": DifferenceKind(found["kind"]),
        "status": DiscrepancyStatus(found["status"]),
        "remedy": Remedy(found["remedy"]) if found["remedy"] else None,
    }
    return Discrepancy(**values)


def one_discrepancy(found: Sequence[asyncpg.Record], what: str) -> Discrepancy:
    if not found:
        raise NotFound(f"no discrepancy {what}")
    return discrepancy_of(found[0])
