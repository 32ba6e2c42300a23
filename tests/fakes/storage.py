"""A storage engine in memory: READ COMMITTED, row locks to the end of the transaction, unique keys that wait.

What PostgreSQL does, as far as our ports can see it. It lives on whatever event loop runs it, knows no time but the
loop's, and depends on no hash or identity order, so a seeded loop replays it exactly.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from application.ports.storage import AlreadyExists, Moved
from domain.errors import DatabaseUnavailable
from tests.fakes.clock import START

R = TypeVar("R")

# A row lock is ("row", table, primary key); the right to write a unique key is (constraint, key).
LockKey = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Unique(Generic[R]):
    """A unique key. A row for which ``key`` is None is not under it: so a partial index is said."""

    name: str
    key: Callable[[R], Hashable | None]


class Table(Generic[R]):
    """Committed rows by primary key, and an index for each unique key. ``version`` grows with each committed write."""

    def __init__(self, name: str, primary: Callable[[R], Hashable], *uniques: Unique[R]) -> None:
        self.name = name
        self.primary = primary
        self.uniques = uniques
        self.keys = (Unique(f"pk_{name}", primary), *uniques)
        self.committed: dict[Hashable, R] = {}
        self.version = 0
        self.indexes: dict[str, dict[Hashable, Hashable]] = {unique.name: {} for unique in uniques}

    def apply(self, pk: Hashable, row: R | None) -> None:
        """One committed write: a row, or None for a deletion."""
        self.version += 1
        old = self.committed.pop(pk, None)
        for unique in self.uniques:
            if old is not None:
                self.indexes[unique.name].pop(unique.key(old), None)
            if row is not None and (key := unique.key(row)) is not None:
                self.indexes[unique.name][key] = pk
        if row is not None:
            self.committed[pk] = row


class Locks:
    """Who holds what, and who queues for it: first come, first served."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._holders: dict[LockKey, Transaction] = {}
        self._queues: dict[LockKey, deque[tuple[Transaction, asyncio.Future[None]]]] = {}

    def holder(self, key: LockKey) -> "Transaction | None":
        return self._holders.get(key)

    def take(self, owner: "Transaction", key: LockKey) -> bool:
        """The lock if that needs no waiting."""
        holder = self._holders.setdefault(key, owner)
        if holder is owner:
            owner.locked.setdefault(key)
        return holder is owner

    async def acquire(self, owner: "Transaction", key: LockKey) -> None:
        """The lock, after all who asked before. Raises DatabaseUnavailable on a deadlock or when it takes too long."""
        if self.take(owner, key):
            return
        owner.waits_for = key
        self._refuse_a_circle(owner)
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._queues.setdefault(key, deque()).append((owner, turn))
        timer = loop.call_later(self._timeout_seconds, _too_late, turn)
        try:
            await turn
        finally:
            timer.cancel()
            owner.waits_for = None
            if self._holders.get(key) is not owner:
                self._leave(owner, turn, key)

    def release(self, owner: "Transaction", key: LockKey) -> None:
        """Hand the lock to the next in the queue who still waits."""
        del self._holders[key], owner.locked[key]
        for heir, turn in self._queues.get(key, ()):
            if not turn.done():
                self._leave(heir, turn, key)
                self.take(heir, key)
                heir.waits_for = None  # it has it, although it has not run yet
                turn.set_result(None)
                return

    def _leave(self, waiter: "Transaction", turn: asyncio.Future[None], key: LockKey) -> None:
        self._queues[key].remove((waiter, turn))
        if not self._queues[key]:
            del self._queues[key]

    def _refuse_a_circle(self, owner: "Transaction") -> None:
        other: Transaction | None = owner
        while other is not None and other.waits_for is not None:
            other = self._holders.get(other.waits_for)
            if other is owner:
                owner.waits_for = None
                raise DatabaseUnavailable("deadlock detected")


def _too_late(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(DatabaseUnavailable("a lock did not come in time"))


class Engine:
    """What all transactions share: the locks, the transaction counter, and who is still writing."""

    def __init__(self, lock_timeout_seconds: float) -> None:
        self.locks = Locks(lock_timeout_seconds)
        self.writing: dict[int, Transaction] = {}
        self.now: Callable[[], datetime] = lambda: START
        self._last_xid = 0
        self._last_row = 0

    def next_xid(self) -> int:
        self._last_xid += 1
        return self._last_xid

    def next_row(self) -> int:
        """A sequence, given at insertion and never given back: gaps and commits out of order, as in PostgreSQL."""
        self._last_row += 1
        return self._last_row

    def horizon(self) -> int:
        """pg_snapshot_xmin: every transaction below it has ended."""
        return min(self.writing, default=self._last_xid + 1)


@dataclass(eq=False, slots=True)
class Transaction:
    """One unit's private writes and locks. Nobody else sees a write before ``commit``; a rollback drops only these."""

    engine: Engine
    step: Callable[[str], Awaitable[None]]
    locked: dict[LockKey, None] = field(default_factory=dict)
    waits_for: LockKey | None = None
    broken: bool = False
    ended: bool = False
    _watched: tuple[tuple[Table[Any], Hashable, Any], ...] = ()
    _by_value: bool = False
    _xid: int | None = None
    _writes: dict[str, tuple[Table[Any], dict[Hashable, Any]]] = field(default_factory=dict)

    async def statement(self, name: str) -> None:
        """Every statement starts here: the one place where others may run, and where the process may die."""
        assert not self.ended, f"{name}: this unit of work has ended"
        assert not self.broken, f"{name}: an error aborted this unit of work, and somebody went on in it"
        try:
            await self.step(name)
        except BaseException:
            self.broken = True
            raise
        await self.look()

    def watch(self, *rows: tuple[Table[Any], Hashable, Any], by_value: bool = False) -> None:
        """Rows as they were read, which the next statement locks, in this order. Raises Moved there, or at the end.
        Any new version has moved, an equal one too, unless it goes ``by_value``."""
        self._watched, self._by_value = rows, by_value

    async def look(self) -> None:
        """Lock what is watched."""
        watched, self._watched = self._watched, ()
        for table, pk, row in watched:
            now = await self.lock(table, pk)
            if now is not row and not (self._by_value and now == row):
                self.broken = True
                raise Moved(f"{table.name} {pk}")

    @property
    def xid(self) -> int:
        """Given with the first write, as in PostgreSQL."""
        if self._xid is None:
            self._xid = self.engine.next_xid()
            self.engine.writing[self._xid] = self
        return self._xid

    def get(self, table: Table[R], pk: Hashable) -> R | None:
        """The row as this transaction sees it now: its own version, else the committed one."""
        own = self._own(table)
        return own[pk] if pk in own else table.committed.get(pk)

    def rows(self, table: Table[R]) -> Iterator[R]:
        own = self._own(table)
        yield from (row for pk, row in table.committed.items() if pk not in own)
        yield from (row for row in own.values() if row is not None)

    def find(self, table: Table[R], constraint: str, key: Hashable) -> R | None:
        """The visible row with this unique key."""
        unique = next(unique for unique in table.uniques if unique.name == constraint)
        for row in self._own(table).values():
            if row is not None and unique.key(row) == key:
                return row  # type: ignore[no-any-return]
        pk = table.indexes[constraint].get(key)
        return None if pk is None or pk in self._own(table) else table.committed[pk]

    async def lock(self, table: Table[R], pk: Hashable) -> R | None:
        """SELECT … FOR UPDATE: waits for the holder's end, then reads what is committed by then."""
        if self.get(table, pk) is None:
            return None
        await self._acquire(_row(table, pk))
        return self.get(table, pk)

    def take(self, table: Table[R], pk: Hashable) -> bool:
        """FOR UPDATE SKIP LOCKED."""
        return self.engine.locks.take(self, _row(table, pk))

    async def hold(self, key: LockKey) -> None:
        """A lock without a row of its own: an account's guard."""
        await self._acquire(key)

    async def insert(self, table: Table[R], row: R, *, ignoring: str | None = None) -> bool:
        """INSERT, or with ``ignoring`` INSERT … ON CONFLICT (that constraint) DO NOTHING, which may answer False.

        Where another transaction is writing the same key, waits for its end first. Raises AlreadyExists.
        """
        pk = table.primary(row)
        for unique in table.keys:
            key = unique.key(row)
            if key is None or await self._reserve(table, unique, key):
                continue
            if unique.name == ignoring:
                return False
            self.broken = True
            raise AlreadyExists(unique.name)
        await self._acquire(_row(table, pk))
        self._write(table, pk, row)
        return True

    async def update(self, table: Table[R], row: R) -> None:
        """UPDATE of the whole row. It must exist; a changed unique key is checked as for an insert."""
        pk = table.primary(row)
        old = await self.lock(table, pk)
        assert old is not None, f"there is no {table.name} {pk} to update"
        for unique in table.uniques:
            key = unique.key(row)
            if key is not None and key != unique.key(old) and not await self._reserve(table, unique, key):
                self.broken = True
                raise AlreadyExists(unique.name)
        self._write(table, pk, row)

    async def delete(self, table: Table[R], pk: Hashable) -> bool:
        """DELETE. Whoever wants to insert the same keys waits for our end."""
        row = await self.lock(table, pk)
        if row is None:
            return False
        for unique in table.keys:
            if (key := unique.key(row)) is not None:
                await self._acquire((unique.name, key))
        self._write(table, pk, None)
        return True

    def commit(self) -> None:
        """All writes become visible at once; only then do the locks go."""
        for table, rows in self._writes.values():
            for pk, row in rows.items():
                table.apply(pk, row)
        self.end()

    def end(self) -> None:
        """Forget the writes, if they were not committed, and release every lock in the order it was taken."""
        self.ended = True
        self._writes = {}
        if self._xid is not None:
            self.engine.writing.pop(self._xid, None)
        for key in list(self.locked):
            self.engine.locks.release(self, key)

    async def _reserve(self, table: Table[R], unique: Unique[R], key: Hashable) -> bool:
        """Whether the key is free and ours to write. One that is taken is not kept locked: PostgreSQL locks none."""
        lock, held = (unique.name, key), (unique.name, key) in self.locked
        await self._acquire(lock)
        free = self.get(table, key) is None if unique is table.keys[0] else not self._taken(table, unique, key)
        if not free and not held:
            self.engine.locks.release(self, lock)
        return free

    def _taken(self, table: Table[R], unique: Unique[R], key: Hashable) -> bool:
        return self.find(table, unique.name, key) is not None

    async def _acquire(self, key: LockKey) -> None:
        try:
            await self.engine.locks.acquire(self, key)
        except BaseException:
            self.broken = True
            raise

    def _own(self, table: Table[Any]) -> dict[Hashable, Any]:
        return self._writes[table.name][1] if table.name in self._writes else {}

    def _write(self, table: Table[R], pk: Hashable, row: R | None) -> None:
        assert self.xid
        self._writes.setdefault(table.name, (table, {}))[1][pk] = row


def _row(table: Table[Any], pk: Hashable) -> LockKey:
    return ("row", table.name, pk)
