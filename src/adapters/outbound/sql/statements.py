"""Statements as text, made once at import from SQLAlchemy Core, and writes that travel together as one statement."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import JSON, insert
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import FromClause

_ASYNCPG = dialect()  # type: ignore[no-untyped-call]
_PLACEHOLDER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """What the server prepares: text with $1, $2, …, the parameter that each stands for, and the constants."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]

    def arguments(self, given: Mapping[str, Any]) -> list[Any]:
        """In the order of the placeholders. A missing one is an error; None has to be said."""
        return [given[name] if name in given else self.constants[name] for name in self.names]


def prepare(executable: ClauseElement) -> Statement:
    """Compile a Core statement, once. Parameters are its ``bindparam`` names."""
    compiled = executable.compile(dialect=_ASYNCPG)
    assert isinstance(compiled, SQLCompiler)
    constants = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
    return Statement(str(compiled), tuple(compiled.positiontup or ()), constants)


def claiming(table: Table, *order: str, returning: Sequence[str]) -> Statement:
    """At most ``limit`` rows whose ``next_at`` is not after ``now``, the earliest first and then by ``order``, are put
    off to ``retry_at`` and are the caller's until then. Rows that others hold are left to them."""
    keys = [column.name for column in table.primary_key]
    due = (
        select(*(table.c[name] for name in keys))
        .where(table.c.next_at <= bindparam("now"))
        .order_by(table.c.next_at, *(table.c[name] for name in order))
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return prepare(
        update(table)
        .values(next_at=bindparam("retry_at"))
        .where(*(table.c[name] == due.c[name] for name in keys))
        .returning(*(table.c[name] for name in returning))
    )


Row = Mapping[str, Any]
FEW = 2  # rows that are spelled out: an order's event, an attempt's too, both legs of a payment


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A statement that writes any number of rows, which it takes as one JSON text.

    So three rows or a hundred have the same words and one plan. One row, or two, are most of what a payment writes:
    with ``few`` there are words for just so many, in which each value is a parameter (measured: a fifth less work for
    the server than JSON). With ``counted``, the rows it really wrote are counted; with ``whole``, fewer than given are
    an error of the whole statement, which nothing after it outlives.
    ``name`` is also what a following write of the same batch may read its RETURNING rows from.
    """

    name: str
    table: str
    statement: Statement
    counted: bool = False
    whole: bool = False
    few: Callable[[int], Statement] | None = None
    columns: Sequence[tuple[str, bool]] = ()  # of a row in ``few``, in order, and whether it is JSON

    def spelled(self, rows: Sequence[Row]) -> int:
        """How many of these rows are parameters: all or none."""
        return len(rows) if self.few is not None and len(rows) <= FEW else 0

    def words(self, spelled: int) -> Statement:
        return self.few(spelled) if self.few is not None and spelled else self.statement

    def arguments(self, rows: Sequence[Row]) -> list[Any]:
        if self.spelled(rows):
            return [_json(row[name]) if json else row[name] for row in rows for name, json in self.columns]
        return [_json(rows)] if self.statement.names else []


def given(
    table: Table, columns: Sequence[str], *, joined: bool = False, spelled: int = 0
) -> Mapping[str, ColumnElement[Any]]:
    """The rows of a write as a table, each column of the type that it will have: one JSON text, in which bytes travel
    as base64, or so many rows ``spelled`` out. ``joined``: whether the write looks its rows up in the table.

    Measured: an array a column costs twice the client and three times the server that JSON does.
    """
    if spelled:
        named = [tuple(bindparam(f"{n}_{row}", type_=table.c[n].type) for n in columns) for row in range(spelled)]
        listed = values(*(column(n, table.c[n].type) for n in columns), name="given").data(named)
        return {n: listed.c[n] for n in columns}
    text = cast(bindparam("rows", type_=Text, required=True), JSON)
    fields = [column(name, _travels_as(table, name)) for name in columns]
    rows: FromClause = func.json_to_recordset(text).table_valued(*fields).render_derived(with_types=True)
    if joined:
        # Always true, and tells the planner "few": an equality it knows nothing of. It takes JSON for a hundred rows,
        # and would read a whole table for one. (A limit says so too, but then no plan is kept: each call was planned.)
        key = rows.c[columns[0]]
        few = key == key.concat(literal_column("''"))
        rows = select(*(rows.c[name] for name in columns)).where(few).subquery("given")
    binary = {name for name in columns if isinstance(table.c[name].type, LargeBinary)}
    return {
        n: func.decode(rows.c[n], literal_column("'base64'"), type_=LargeBinary) if n in binary else rows.c[n]
        for n in columns
    }


def writing(
    name: str,
    table: Table,
    columns: Sequence[str],
    say: Callable[[Mapping[str, ColumnElement[Any]]], ClauseElement],
    *,
    joined: bool = False,
    counted: bool = False,
) -> Write:
    """What ``say`` makes of the given rows, as JSON and spelled out."""

    @cache
    def few(rows: int) -> Statement:
        return prepare(say(given(table, columns, spelled=rows)))

    types = [(n, isinstance(table.c[n].type, JSON)) for n in columns]
    statement = prepare(say(given(table, columns, joined=joined)))
    return Write(name, table.name, statement, counted=counted, few=few, columns=types)


def inserting(
    name: str,
    table: Table,
    columns: Sequence[str],
    *,
    ignoring: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> Write:
    """Insert rows; those that meet an existing key of the columns ``ignoring`` are left out."""

    def say(rows: Mapping[str, ColumnElement[Any]]) -> ClauseElement:
        statement = insert(table).from_select(list(columns), select(*rows.values()), include_defaults=False)
        if ignoring:
            statement = statement.on_conflict_do_nothing(index_elements=list(ignoring))
        return statement.returning(*(table.c[c] for c in returning)) if returning else statement

    return writing(name, table, columns, say, counted=bool(returning))


def updating(name: str, table: Table, columns: Sequence[str], *, revision: bool = False) -> Write:
    """Update rows by their id. With ``revision``, a row that someone has moved further meanwhile is not touched."""

    def say(rows: Mapping[str, ColumnElement[Any]]) -> ClauseElement:
        statement = update(table).values({c: rows[c] for c in columns}).where(table.c.id == rows["id"])
        if revision:
            statement = statement.where(table.c.revision <= rows["revision"])
        return statement.returning(table.c.id)

    return writing(name, table, ["id", *columns], say, joined=True, counted=True)


@lru_cache(maxsize=512)
def together(writes: tuple[tuple[Write, int], ...], whole: frozenset[Write] = frozenset()) -> str:
    """One statement of several writes, each with its number of rows spelled out: a chain of data-modifying CTEs
    (PostgreSQL manual, 7.8.4).

    All of them see the same snapshot, so no row may be written by two of them. It answers with one row of counts.
    When one of ``whole`` writes fewer rows than it was given, the statement ends there with a division by zero.
    """
    parts, counts, used = [], [], 0
    for write, spelled in writes:
        statement = write.words(spelled)
        rows = str(spelled) if spelled else f"json_array_length(CAST(${used + 1} AS json))"
        parts.append(f"{write.name} AS ({_shifted(statement.sql, used)})")
        used += len(statement.names)
        if write.whole or write in whole:
            counts.append(f"1 / ((SELECT count(*) FROM {write.name}) >= {rows})::int AS {write.name}")  # noqa: S608
        elif write.counted:
            counts.append(f"(SELECT count(*) FROM {write.name}) AS {write.name}")  # noqa: S608 - names of our own
    return f"WITH {', '.join(parts)} SELECT {', '.join(counts) or '1'}"


def _shifted(sql: str, by: int) -> str:
    return _PLACEHOLDER.sub(lambda match: f"${int(match[1]) + by}", sql)


def _travels_as(table: Table, name: str) -> Any:
    type_ = table.c[name].type
    return Text() if isinstance(type_, LargeBinary) else type_


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
