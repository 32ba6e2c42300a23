"""One conversation with the server: reads at once, writes collected and sent together, BEGIN only when it matters."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection

from adapters.outbound.sql.failures import StaleWrite, connecting, in_our_words, settled
from adapters.outbound.sql.statements import Row, Statement, Write, together
from application.ports.storage import Moved

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Records = Sequence[asyncpg.Record]
Short = Callable[[Sequence[Row]], Awaitable[None]]


class Transaction:
    """A connection of the pool for one unit of work; taken with the first statement.

    Under READ COMMITTED each statement has its own snapshot, so plain reads need no BEGIN, and a unit that locks
    nothing before it writes is one statement without BEGIN and COMMIT: placing an order takes one round trip.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._pooled: PoolProxiedConnection | None = None
        self._connection: Connection | None = None
        self._begun = False
        self._settled = True  # nothing is under way on the connection
        self._pending: dict[Write, list[Row]] = {}
        self._written: set[tuple[str, Any]] = set()
        self._short: dict[Write, Short] = {}

    async def read(self, statement: Statement, /, **values: Any) -> Records:
        """Rows as they are now, this unit's own writes included. Locks nothing."""
        if self._pending:
            await self.flush()
        return await self._fetch(statement.sql, statement.arguments(values))

    async def run(self, statement: Statement, /, **values: Any) -> Records:
        """For what holds until the end (locks, claims) and for writes whose answer is needed now."""
        await self._begin()
        return await self.read(statement, **values)

    async def write(self, write: Write, rows: Sequence[Row], *, key: str = "id", short: Short | None = None) -> None:
        """Collect rows to be written, at the latest at the end. ``key`` is the column that tells them apart.

        ``short`` is called when fewer rows were written than given. A row that is collected already is sent first:
        one statement cannot write it twice.
        """
        keys = {(write.table, row[key]) for row in rows}
        if not keys.isdisjoint(self._written):
            await self.flush()
        self._written |= keys
        self._pending.setdefault(write, []).extend(rows)
        if short is not None:
            self._short[write] = short

    async def copy(self, table: str, columns: Sequence[str], rows: AsyncIterator[tuple[Any, ...]]) -> None:
        """Rows by the million, as they come. What ``rows`` raises goes through, and nothing of them is kept."""
        await self._begin()
        await self.flush()
        connection = await self._conversation()
        await self._exchange(connection.copy_records_to_table(table, records=rows, columns=columns))

    async def copy_text(self, table: str, columns: Sequence[str], pieces: AsyncIterator[bytes]) -> None:
        """The same for rows that are in the text format of COPY already."""
        await self._begin()
        await self.flush()
        connection = await self._conversation()
        await self._exchange(connection.copy_to_table(table, source=pieces, columns=columns, format="text"))

    async def stream(self, statement: Statement, /, size: int = 1_000, **values: Any) -> AsyncIterator[Records]:
        """The rows of one statement, and so of one snapshot, ``size`` at a time; one stream a unit of work."""
        await self._begin()
        await self.flush()
        await self._fetch(f"DECLARE rows NO SCROLL CURSOR FOR {statement.sql}", statement.arguments(values))
        while rows := await self._fetch(f"FETCH {size} FROM rows", ()):
            yield rows
        await self._fetch("CLOSE rows", ())

    async def flush(self) -> Row:
        """Send the collected writes now, inside the transaction. How many rows each counted write wrote, by name."""
        await self._begin()
        pending, short = self._pending, self._short
        try:
            counts = await self._send()
        except asyncpg.DivisionByZeroError as unmoved:
            raise Moved("changed since it was read") from unmoved
        for write, check in short.items():
            if counts[write.name] < len(pending[write]):
                await check(pending[write])
        return counts

    async def commit(self) -> None:
        """The end of a unit that went well. Raises OutcomeUnknown when the connection is lost in it."""
        if self._pending and not self._begun and await self._at_once():
            return
        if self._pending:
            await self.flush()
        if self._begun:
            connection = await self._conversation()
            status = await self._exchange(connection.execute("COMMIT"), commits=True)
            self._begun = False
            # The server answers ROLLBACK to the COMMIT of a transaction that has failed.
            assert status == "COMMIT", "an error aborted this unit of work, and somebody went on in it"

    async def close(self) -> None:
        """Roll back what is not committed and give the connection back; one in doubt is thrown away."""
        pooled, connection = self._pooled, self._connection
        if pooled is None or connection is None:
            return
        self._pooled = self._connection = None
        try:
            if self._begun and self._settled and not connection.is_closed():
                await self._exchange(connection.execute("ROLLBACK"))
        finally:
            if not self._settled or connection.is_closed():
                connection.terminate()  # the server rolls back what it had begun
                pooled.invalidate()
            pooled.close()

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _conversation(self) -> Connection:
        while self._connection is None:
            with connecting():
                pooled = await self._engine.raw_connection()
            raw = pooled.driver_connection
            assert isinstance(raw, asyncpg.Connection)
            if raw.is_closed():  # the server went away while it lay in the pool; seeing that costs no round trip
                pooled.invalidate()
                pooled.close()
            else:
                self._pooled, self._connection = pooled, raw
        return self._connection

    async def _begin(self) -> None:
        if not self._begun:
            connection = await self._conversation()
            self._begun = True
            await self._exchange(connection.execute("BEGIN"))

    async def _fetch(self, sql: str, arguments: Sequence[Any], *, commits: bool = False) -> Records:
        connection = await self._conversation()
        return await self._exchange(connection.fetch(sql, *arguments), commits=commits)

    async def _at_once(self) -> bool:
        """All of the unit as one statement. False if a write fell short: then nothing happened, and its check is asked
        in a transaction."""
        pending, short = self._pending, self._short
        try:
            await self._send(commits=True)
        except asyncpg.DivisionByZeroError:
            self._pending, self._short = pending, short
            return False
        return True

    async def _send(self, *, commits: bool = False) -> Row:
        pending, whole = self._pending, frozenset(self._short if commits else ())
        self._pending, self._written, self._short = {}, set(), {}
        if not pending:
            return {}
        arguments = [argument for write, rows in pending.items() for argument in write.arguments(rows)]
        sql = together(tuple((write, write.spelled(rows)) for write, rows in pending.items()), whole)
        (counts,) = await self._fetch(sql, arguments, commits=commits)
        return dict(counts)

    async def _exchange(self, words: Awaitable[T], *, commits: bool = False) -> T:
        with in_our_words(commits=commits):
            self._settled = False
            try:
                answer = await words
            except asyncpg.PostgresError as error:
                self._settled = settled(error)
                raise
            self._settled = True
            return answer


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[Transaction]:
    """For reads outside a unit of work. What is only collected in it is not sent."""
    tx = Transaction(engine)
    try:
        yield tx
    finally:
        await tx.close()


async def stale(rows: Sequence[Row]) -> None:
    """For writes of rows that were locked before: they must all be there."""
    raise StaleWrite(f"not all of these rows could be saved: {[row['id'] for row in rows]}")
