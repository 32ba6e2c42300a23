"""The portal: one loop a process, turns that are shared, bounded and never lost."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from adapters.inbound.jobs import portal as portal_module
from adapters.inbound.jobs.portal import Lane, Listen, Portal
from adapters.inbound.jobs.table import Job, OpenRuns, Run


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def opening(runs: Mapping[str, Run]) -> OpenRuns:
    @asynccontextmanager
    async def resources() -> AsyncIterator[Mapping[str, Run]]:
        yield runs

    return resources


@contextmanager
def running(jobs: list[Job], open: OpenRuns, listen: Listen | None = None) -> Generator[Portal]:
    portal = Portal(jobs, open, listen)
    portal.start()
    try:
        yield portal
    finally:
        portal.stop()


class Work:
    """Something due: ``rows`` of it, taken ``batch`` at a time, each sweep as long as ``hold`` says."""

    def __init__(self, rows: int = 0, batch: int = 10) -> None:
        self.rows = rows
        self.batch = batch
        self.sweeps = 0
        self.at_once = 0
        self.most_at_once = 0
        self.hold: asyncio.Event | None = None
        self.begun = asyncio.Event()

    async def __call__(self) -> int:
        self.sweeps += 1
        self.begun.set()
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            taken = min(self.rows, self.batch)
            self.rows -= taken
            if self.hold is not None:
                await self.hold.wait()
            return taken
        finally:
            self.at_once -= 1


# ── Lanes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_turn_sweeps_until_nothing_is_found() -> None:
    work = Work(rows=35)
    await Lane(Job("j", every=1), work).wake()
    assert (work.rows, work.sweeps) == (0, 5)


async def test_hints_during_a_turn_become_one_turn_after_it() -> None:
    work = Work()
    work.hold = asyncio.Event()
    lane = Lane(Job("j", every=1), work)
    first = lane.wake()
    async with asyncio.timeout(2):
        await work.begun.wait()
    asked = {lane.wake() for _ in range(100)}
    assert len(asked) == 1
    assert first not in asked  # it may have looked before the hint's row was there
    work.hold.set()
    await asyncio.wait({first, *asked})
    assert work.sweeps == 2
    assert work.most_at_once == 1


async def test_a_wide_lane_starts_beside_a_turn_that_hangs_up_to_its_width() -> None:
    work = Work()
    work.hold = asyncio.Event()
    lane = Lane(Job("j", every=1, width=3), work)
    for _ in range(50):
        lane.wake()
        await asyncio.sleep(0.005)
    assert (work.at_once, len(lane.turns)) == (3, 4)
    work.hold.set()
    await asyncio.wait(lane.turns)
    assert lane.turns == set()


async def test_a_storm_of_hints_becomes_few_sweeps() -> None:
    work = Work()
    lane = Lane(Job("j", every=1, width=1000), work)
    began = time.monotonic()
    while time.monotonic() < began + 0.3:
        lane.wake()
        await asyncio.sleep(0)
    assert work.sweeps <= 0.3 / portal_module.PACE + 2


async def test_a_turn_ends_in_bounded_time_though_there_is_always_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_module, "TURN", 0.05)
    work = Work(rows=10**9)

    async def run() -> int:
        await asyncio.sleep(0.001)
        return await work()

    async with asyncio.timeout(2):
        await Lane(Job("j", every=1), run).wake()
    assert work.rows > 0


async def test_a_failing_sweep_ends_its_turn_and_not_the_lane() -> None:
    outcomes: list[Any] = [RuntimeError("down"), 1, 0]
    swept: list[Any] = []

    async def run() -> int:
        swept.append(outcome := outcomes[len(swept)])
        if isinstance(outcome, Exception):
            raise outcome
        return int(outcome)

    lane = Lane(Job("j", every=1), run)
    await lane.wake()
    assert len(swept) == 1
    await lane.wake()
    assert len(swept) == 3


async def test_a_sweep_that_hangs_is_cut_off_so_that_the_job_goes_on() -> None:
    work = Work()
    work.hold = asyncio.Event()
    lane = Lane(Job("j", every=1, within=0.05), work)
    async with asyncio.timeout(2):
        await lane.wake()
        work.hold = None
        await lane.wake()
    assert work.sweeps == 2


# ── The portal ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_returns_when_its_work_is_done() -> None:
    work = Work(rows=25)
    with running([Job("j", every=1)], opening({"j": work})) as portal:
        portal.run("j")
        assert work.rows == 0


def test_a_task_of_a_wide_job_does_not_wait() -> None:
    work = Work()
    with running([Job("j", every=1, width=8)], opening({"j": work})) as portal:
        portal.run("j")
        assert portal._loop is not None
        work.hold = asyncio.Event()
        began = time.monotonic()
        for _ in range(20):
            portal.run("j")
        assert time.monotonic() - began < 2
        until(lambda: work.at_once >= 1)
        portal._loop.call_soon_threadsafe(work.hold.set)


def test_a_slow_job_does_not_hold_up_another() -> None:
    slow, quick = Work(), Work(rows=5)
    with running(
        [Job("slow", every=1, width=4), Job("quick", every=1)], opening({"slow": slow, "quick": quick})
    ) as portal:
        portal.run("quick")
        slow.hold = asyncio.Event()
        portal.run("slow")
        until(lambda: slow.at_once == 1)
        quick.rows = 5
        portal.run("quick")
        assert (quick.rows, slow.at_once) == (0, 1)
        assert portal._loop is not None
        portal._loop.call_soon_threadsafe(slow.hold.set)


def test_all_jobs_share_one_loop_and_not_the_callers_thread() -> None:
    seen: list[tuple[object, object]] = []

    async def look() -> int:
        seen.append((asyncio.get_running_loop(), threading.current_thread()))
        return 0

    with running([Job("a", every=1), Job("b", every=1)], opening({"a": look, "b": look})) as portal:
        portal.run("a")
        portal.run("b")
    assert seen[0] == seen[1]
    assert seen[0][1] is not threading.current_thread()


def test_a_hint_runs_its_job_without_any_task_and_an_unknown_one_does_no_harm() -> None:
    work = Work(rows=3)

    async def listen() -> AsyncIterator[str]:
        yield "no such job"
        yield "j"

    with running([Job("j", every=1)], opening({"j": work}), listen):
        until(lambda: work.rows == 0)


def test_when_hints_end_or_break_the_clock_goes_on() -> None:
    work = Work()
    opened: list[int] = []

    @asynccontextmanager
    async def resources() -> AsyncIterator[Mapping[str, Run]]:
        opened.append(1)
        yield {"j": work}

    async def broken() -> AsyncIterator[str]:
        yield "j"
        if len(opened) == 1:
            raise RuntimeError("a bug in a listener")

    with running([Job("j", every=1)], resources, broken) as portal:
        until(lambda: len(opened) == 2 and portal._ready.is_set())
        before = work.sweeps
        portal.run("j")
        assert work.sweeps > before


def test_while_its_resources_do_not_open_it_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_module, "FIRST_WAIT", 0.01)
    tries: list[int] = []
    work = Work(rows=1)

    @asynccontextmanager
    async def resources() -> AsyncIterator[Mapping[str, Run]]:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionRefusedError("the database is not up yet")
        yield {"j": work}

    with running([Job("j", every=1)], resources) as portal:
        portal.run("j")
    assert (len(tries), work.rows) == (3, 0)


def test_a_task_that_comes_before_the_resources_gives_up_and_the_next_one_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(portal_module, "READY_WITHIN", 0.02)
    gate = threading.Event()
    work = Work(rows=1)

    @asynccontextmanager
    async def resources() -> AsyncIterator[Mapping[str, Run]]:
        await asyncio.to_thread(gate.wait)
        yield {"j": work}

    with running([Job("j", every=1)], resources) as portal:
        portal.run("j")
        assert work.rows == 1
        gate.set()
        until(portal._ready.is_set)
        portal.run("j")
        assert work.rows == 0


def test_stopping_lets_a_turn_end_and_then_closes_the_resources() -> None:
    story: list[str] = []

    async def run() -> int:
        story.append("begun")
        await asyncio.sleep(0.1)
        story.append("ended")
        return 0

    @asynccontextmanager
    async def resources() -> AsyncIterator[Mapping[str, Run]]:
        yield {"j": run}
        story.append("closed")

    with running([Job("j", every=1, width=2)], resources) as portal:
        portal.run("j")
        until(lambda: story == ["begun"])
    assert story == ["begun", "ended", "closed"]


def test_stopping_cuts_off_what_hangs_after_the_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_module, "GRACE", 0.1)
    closed = threading.Event()
    work = Work()

    @asynccontextmanager
    async def resources() -> AsyncIterator[Mapping[str, Run]]:
        work.hold = asyncio.Event()
        yield {"j": work}
        closed.set()

    with running([Job("j", every=1, width=2)], resources) as portal:
        portal.run("j")
        until(lambda: work.at_once == 1)
        began = time.monotonic()
    assert closed.is_set()
    assert work.at_once == 0
    assert time.monotonic() - began < 2


def test_starting_twice_starts_one_and_stopping_what_never_started_is_nothing() -> None:
    opened: list[int] = []

    @asynccontextmanager
    async def resources() -> AsyncIterator[Mapping[str, Run]]:
        opened.append(1)
        yield {"j": Work()}

    portal = Portal([Job("j", every=1)], resources)
    portal.stop()
    portal.start()
    portal.start()
    portal.run("j")
    portal.stop()
    assert opened == [1]
