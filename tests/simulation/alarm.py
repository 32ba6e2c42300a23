"""When a worker's next sweep would find something: sweeps that find nothing change nothing, and are left out."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

from application.ports.world import Clock
from domain.notifications import DeliveryStatus
from domain.orders import OrderStatus
from domain.proposals import ProposalStatus
from domain.refunds import PURSUED
from domain.settlements import UNDER_WAY
from domain.statements import DayStatus
from tests.fakes.rows import Tables
from tests.fakes.storage import Table


class Alarm:
    """Wakes each sweep at most one interval after its work is due, sometimes several workers at the same instant."""

    def __init__(self, tables: Tables, clock: Clock, chance: random.Random, interval: float) -> None:
        self._tables, self._clock, self._chance, self._interval = tables, clock, chance, interval
        self._waiting: list[_Sleeper] = []
        self._last: dict[str, float] = {}
        # A job, the table its work stands in, and when the first of it is due. A new job is one more line here.
        self._jobs: dict[str, tuple[Table[Any], Callable[[], datetime | None]]] = {
            "fan_out": (tables.outbox, self._outbox),
            "deliver": (tables.deliveries, self._deliveries),
            "check": (tables.attempts, self._attempts),
            "expire": (tables.orders, self._orders),
            "refund": (tables.refunds, self._refunds),
            "close": (tables.days, self._days),
            "schedule": (tables.release_days, lambda: _first(tables.release_days)),
            "release": (tables.releases, lambda: _first(tables.releases)),
            "settle": (tables.settlement_rules, lambda: _first(tables.settlement_rules)),
            "payout": (tables.settlements, self._payouts),
            "proposal": (tables.proposals, self._proposals),
        }
        self._seen = dict.fromkeys(self._jobs, 0)  # the version of its table that a job's sleepers know

    async def wait(self, job: str) -> None:
        now = asyncio.get_running_loop().time()
        lag = 0.0 if self._chance.random() < 0.5 else self._chance.uniform(0.25, self._interval)
        if not lag and self._last.get(job) == now:
            lag = 0.25  # it has just looked, and what it saw was in other hands
        sleeper = _Sleeper(job, lag)
        self._waiting.append(sleeper)
        try:
            self._set(sleeper, self._jobs[job][1]())
            await sleeper.woken
        finally:
            self._waiting.remove(sleeper)
            sleeper.disarm()
            self._last[job] = asyncio.get_running_loop().time()

    def look(self) -> None:
        """Something was committed: whoever waits for work in a table that has changed looks again."""
        for job, (table, find) in self._jobs.items():
            if self._seen[job] != table.version:
                self._seen[job] = table.version
                due = find()
                for sleeper in self._waiting:
                    if sleeper.job == job:
                        self._set(sleeper, due)

    def idle(self) -> bool:
        """Nothing is due, now or later."""
        return all(find() is None for _, find in self._jobs.values())

    def _set(self, sleeper: "_Sleeper", due: datetime | None) -> None:
        if due is not None:
            sleeper.arm(max((due - self._clock.now()).total_seconds(), 0.0) + sleeper.lag)

    def _outbox(self) -> datetime | None:
        return self._clock.now() if self._tables.outbox.committed else None

    def _deliveries(self) -> datetime | None:
        rows, circuits = self._tables.deliveries.committed.values(), self._tables.circuits.committed
        due = [(row.next_at, row.lane) for row in rows if row.next_at and row.status is DeliveryStatus.DUE]
        pauses = {lane: circuit.paused_until for lane, circuit in circuits.items()}
        return min((max(at, pauses.get(lane) or at) for at, lane in due), default=None)

    def _attempts(self) -> datetime | None:
        rows = self._tables.attempts.committed.values()
        return min((row.next_at for row in rows if row.next_at is not None and row.live), default=None)

    def _orders(self) -> datetime | None:
        rows = self._tables.orders.committed.values()
        return min((row.due_at for row in rows if row.order.status is OrderStatus.PENDING), default=None)

    def _refunds(self) -> datetime | None:
        rows = self._tables.refunds.committed.values()
        return min((row.next_at for row in rows if row.next_at and row.status in PURSUED), default=None)

    def _days(self) -> datetime | None:
        rows = self._tables.days.committed.values()
        ready = any(row.status is DayStatus.MATCHED and row.next_at is None for row in rows)
        return self._clock.now() if ready else None

    def _payouts(self) -> datetime | None:
        rows = self._tables.settlements.committed.values()
        return min((row.next_at for row in rows if row.next_at and row.status in UNDER_WAY), default=None)

    def _proposals(self) -> datetime | None:
        rows = self._tables.proposals.committed.values()
        return min((row.expires_at for row in rows if row.status is ProposalStatus.PROPOSED), default=None)


def _first(table: Table[Any]) -> datetime | None:
    return min((row.next_at for row in table.committed.values() if row.next_at is not None), default=None)


class _Sleeper:
    def __init__(self, job: str, lag: float) -> None:
        self.job, self.lag = job, lag
        self._loop = asyncio.get_running_loop()
        self.woken: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    def arm(self, seconds: float) -> None:
        when = self._loop.time() + seconds
        if self._timer is None or when < self._timer.when():
            self.disarm()
            self._timer = self._loop.call_at(when, self._wake)

    def disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)
