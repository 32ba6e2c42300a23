"""Statement days, files, lines and discrepancies from rows and to rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import repeat
from operator import attrgetter
from typing import Any

import asyncpg

from domain.channels import Mode
from domain.errors import NotFound
from domain.money import Money
from domain.reconciliation import DifferenceKind, Discrepancy, DiscrepancyStatus, Ours, Remedy
from domain.statements import (
    DayStatus,
    FundLine,
    Line,
    LineKind,
    LineStatus,
    Movement,
    StatementDay,
    StatementFile,
    StatementKind,
)

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
    "file_id", "account_id", "day", "n", "kind", "key", "number", "payment_number", "transaction_id", "total",
    "received", "currency", "fee", "status", "at", "method",
]  # fmt: skip
FUND_LINE = [
    "file_id", "account_id", "day", "n", "fund", "flow_id", "transaction_id", "number", "movement", "amount",
    "balance", "at", "words",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class AsText:
    """Lines of one file as COPY reads them (PostgreSQL manual, COPY, Text Format): tabs between, no NULL."""

    file: StatementFile
    _times: dict[datetime, str] = field(default_factory=dict)

    def lines(self, lines: Sequence[Line]) -> bytes:
        """In the columns of LINE. Column by column: a bill may have a million lines."""
        if not lines:
            return b""
        n, _, kinds, numbers, payment_numbers, transactions, totals, received, fees, states, times, methods = zip(
            *lines, strict=True
        )
        columns = (
            repeat(self.file.id), repeat(self.file.account_id), repeat(str(self.file.day)), map(str, n), kinds,
            [number or transaction for number, transaction in zip(numbers, transactions, strict=True)], numbers,
            payment_numbers, transactions, _minors(totals), _minors(received), map(_CURRENCY, received), map(str, fees),
            states, map(self._at, times), methods,
        )  # fmt: skip
        return _copied(list(zip(*columns, strict=False)))

    def flows(self, lines: Sequence[FundLine]) -> bytes:
        """In the columns of FUND_LINE."""
        return _copied([self._flow(line) for line in lines])

    def _flow(self, line: FundLine) -> tuple[str, ...]:
        return (
            self.file.id, self.file.account_id, str(self.file.day), str(line.n), line.fund, line.flow_id,
            line.transaction_id, line.number, line.movement, str(line.amount), str(line.balance), self._at(line.at),
            line.words,
        )  # fmt: skip

    def _at(self, at: datetime) -> str:
        text = self._times.get(at)
        if text is None:
            text = self._times[at] = at.isoformat()
        return text


_MINOR, _CURRENCY = attrgetter("minor"), attrgetter("currency")


def _minors(amounts: Iterable[Money]) -> Iterator[str]:
    return map(str, map(_MINOR, amounts))


def _copied(rows: Sequence[tuple[str, ...]]) -> bytes:
    if not rows:
        return b""
    text = "\n".join(["\t".join(row) for row in rows]) + "\n"
    marks = (text.count("\t"), text.count("\n"), "\\" in text, "\r" in text)
    if marks != (len(rows) * (len(rows[0]) - 1), len(rows), False, False):  # some value has such a mark in it
        text = "".join(["\t".join([value.translate(_ESCAPED) for value in row]) + "\n" for row in rows])
    return text.encode()


_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


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
