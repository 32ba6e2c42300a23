"""One life's world: the house on fakes, its processes, and the weather that kills, loses, delays and lies."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from application import crashpoints
from domain.errors import PitayaError
from tests.fakes.channel import ChannelFault
from tests.fakes.clock import FakeLoopClock
from tests.fakes.courier import CourierFault
from tests.fakes.database import DatabaseFault, FakeDatabase
from tests.fakes.promises import FakePromises
from tests.simulation.alarm import Alarm
from tests.simulation.backoffice import BackOffice, Sweep
from tests.simulation.loop import SeededLoop
from tests.simulation.processes import Process

T = TypeVar("T")
F = TypeVar("F", bound=StrEnum)

# A planted bug: changes each process's house before it runs.
Sabotage = Callable[[BackOffice], None]

_CHANNEL = (
    ChannelFault.UNAVAILABLE,
    ChannelFault.UNKNOWN_UNDONE,
    ChannelFault.UNKNOWN_DONE,
    ChannelFault.REJECTED,
    ChannelFault.SLOW,
    ChannelFault.LATE_ANSWER,
)
_COURIER = (CourierFault.UNREACHABLE, CourierFault.REFUSED, CourierFault.LOST_ANSWER, CourierFault.SLOW)
_COMMIT = (DatabaseFault.COMMIT_DONE, DatabaseFault.COMMIT_UNDONE, DatabaseFault.LOST_CONNECTION)
_STATEMENT = (DatabaseFault.LOST_CONNECTION, DatabaseFault.LOCK_TIMEOUT)


class Lost(Exception):
    """The client has no answer: no server, a broken connection, or its patience ended. What happened, it must ask."""


@dataclass(frozen=True, slots=True)
class Odds:
    """How often what happens. The usual odds make a life of everything; a planted fault is looked for at odds at which
    what it needs happens often."""

    going_on: float = 0.125  # that there are days after the sale: such a life costs three of the others
    tills: float = 0.3  # that a payer pays by bar code
    regrets: float = 0.5  # that a shop gives back some of a sale
    changes: float = 0.3  # that operators suspend, reprice and reroute
    # One of these in each life: that a process is killed at a step, that a statement is slow, that a channel fails.
    kill: tuple[float, ...] = (0.0, 0.002, 0.01)
    slow: tuple[float, ...] = (0.0, 0.05, 0.2)
    channel: tuple[float, ...] = (0.0, 0.1, 0.4)


USUAL = Odds()


@dataclass
class Weather:
    """Chances of each misfortune at each step. Some lives are calm, some wild."""

    kill: float = 0.0  # at any await of ours
    crash: float = 0.0  # at a named crash point
    kills: int = 0  # how many at most
    channel: float = 0.0
    courier: float = 0.0
    commit: float = 0.0
    statement: float = 0.0
    slow: float = 0.0  # that a statement takes a while, its locks held
    network: float = 0.0  # between the outside world and us, each way
    impatience: float = 0.0

    @classmethod
    def of(cls, chance: random.Random, odds: Odds) -> "Weather":
        return cls(
            kill=chance.choice(odds.kill),
            crash=chance.choice((0.0, 0.05, 0.2)),
            kills=chance.randint(0, 6),
            channel=chance.choice(odds.channel),
            courier=chance.choice((0.0, 0.2, 0.5)),
            commit=chance.choice((0.0, 0.03, 0.1)),
            statement=chance.choice((0.0, 0.005)),
            slow=chance.choice(odds.slow),
            network=chance.choice((0.0, 0.1, 0.3)),
            impatience=chance.choice((0.0, 0.15)),
        )


class World:
    """Two web processes, one or two workers, and everything that may befall them until ``heal``."""

    def __init__(self, seed: int, sabotage: Sabotage | None = None, odds: Odds = USUAL) -> None:
        self.odds = odds
        self.chance = random.Random(f"life {seed}")
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        self._loop = loop
        self.clock = FakeLoopClock()
        self.database = FakeDatabase(pause=self._pause)
        self.house = BackOffice(clock=self.clock, database=self.database, seed=seed)
        self.promises = FakePromises(self.database.tables, self.clock)
        self._sabotage = sabotage
        self.counts: Counter[str] = Counter()
        self.bugs: list[BaseException] = []
        self.weather = Weather()
        self._coming = Weather.of(self.chance, odds)
        self._running: dict[str, Process] = {}
        self._back_office = False  # whether the workers do what follows a sale, too
        self.alarm = Alarm(self.database.tables, self.clock, self.chance, self.chance.choice((1.0, 5.0, 30.0)))
        for channel in self.house.channels.values():
            channel.faults.choose = self._channel_fault
        self.house.courier.faults.choose = lambda _: self._fault(self.weather.courier, _COURIER)
        self.database.faults.choose = self._database_fault

    # ── Processes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Start every process, and let the weather come."""
        crashpoints.install(self._crashpoint)
        for role in ("web 1", "web 2", "worker 1", *(["worker 2"] if self.chance.random() < 0.5 else [])):
            self._start(role)
        self.weather = self._coming

    def go_on(self) -> None:
        """The sale is over, and the days after it begin: their jobs run, in a weather of their own."""
        self._back_office = True
        for process in self._running.values():
            if process.role.startswith("worker") and not process.dead:
                self._work(process, process.house.afterwards())
        self.weather = Weather.of(self.chance, self.odds)

    def heal(self) -> None:
        """No more faults. What is dead comes back as planned."""
        self.weather = Weather()

    def end(self) -> None:
        crashpoints.install(lambda _: None)
        for process in self._running.values():
            process.die()

    async def ask(self, work: Callable[[BackOffice], Coroutine[Any, Any, T]]) -> T:
        """One call from outside to one of our web processes, on its house. Raises Lost, or what the use case raises."""
        roles = [role for role, process in self._running.items() if role.startswith("web") and not process.dead]
        weather = self.weather
        if not roles or self.chance.random() < weather.network / 2:
            await asyncio.sleep(0.1)
            raise Lost("no server")
        process = self._running[self.chance.choice(roles)]
        task = process.spawn(work(process.house))
        if self.chance.random() < weather.impatience:
            await asyncio.sleep(self.chance.uniform(0, 2))
            raise Lost("the client hung up")
        try:
            answer = await task
        except asyncio.CancelledError:
            if process.dead:
                raise Lost("the server died") from None
            raise
        except PitayaError:
            raise
        except Exception as bug:  # the process has taken note of it
            raise Lost("500") from bug
        if self.chance.random() < weather.network / 2:
            raise Lost("the answer was lost")
        return answer

    async def sleep(self, seconds: float) -> None:
        """As long, up to the next whole second: people and polls meet at one instant more often than chance has it."""
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(math.ceil(now + seconds) - now)

    def _start(self, role: str) -> None:
        house = self.house.another_process()
        if self._sabotage is not None:
            self._sabotage(house)
        process = self._running[role] = Process(role, house, self.bugs.append)
        if role.startswith("worker"):
            self._work(process, house.sales())
            if self._back_office:
                self._work(process, house.afterwards())

    def _work(self, process: Process, jobs: Iterable[tuple[str, Sweep]]) -> None:
        for job, sweep in jobs:
            process.spawn(self._sweeping(job, sweep))

    async def _sweeping(self, job: str, sweep: Sweep) -> None:
        while True:
            await self.alarm.wait(job)
            self.counts["sweeps"] += 1
            try:
                await sweep()
            except PitayaError:
                self.counts["failed sweeps"] += 1

    # ── Weather ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pause(self, step: str) -> None:
        """The database's hook at each statement: others may run here, and the process may die here."""
        process = Process.here()
        if step == "committed":
            self.alarm.look()
        if process is not None:
            self._risk(process, self.weather.kill)
        if step != "committed":
            if self.weather.slow and self.chance.random() < self.weather.slow:
                await asyncio.sleep(self.chance.uniform(0, 1))
            elif not self._loop.alone():  # three steps of four are taken alone
                await asyncio.sleep(0)

    def _crashpoint(self, _name: str) -> None:
        process = Process.here()
        if process is not None:
            self._risk(process, self.weather.crash)

    def _risk(self, process: Process, risk: float) -> None:
        process.step()
        weather = self.weather
        if weather.kills and risk and self.chance.random() < risk:
            weather.kills -= 1
            self.counts["kills"] += 1
            process.die()
            asyncio.get_running_loop().call_later(self.chance.uniform(0.1, 8), self._start, process.role)
            raise asyncio.CancelledError

    def _fault(self, risk: float, kinds: tuple[F, ...]) -> F | None:
        process = Process.here()
        if process is not None:
            self._risk(process, self.weather.kill)
        if risk and self.chance.random() < risk:
            self.counts["faults"] += 1
            return self.chance.choice(kinds)
        return None

    def _channel_fault(self, step: str) -> ChannelFault | None:
        kinds = (*_CHANNEL, ChannelFault.FUNDS_SHORT) if step.startswith("payout") else _CHANNEL
        return self._fault(self.weather.channel, kinds)

    def _database_fault(self, step: str) -> DatabaseFault | None:
        if Process.here() is None:
            return None
        if step == "commit":
            fault = self._fault(self.weather.commit, _COMMIT)
            if fault is DatabaseFault.COMMIT_DONE:
                self._loop.call_soon(self.alarm.look)  # it is done, and nobody will say so
            return fault
        return self._fault(self.weather.statement, _STATEMENT)
