"""The portal: one event loop a worker process, in a thread of its own, where every job of that process runs."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

import structlog

from adapters.inbound.jobs.table import Job, OpenRuns, Run

READY_WITHIN = 10.0  # seconds that a task waits for the resources to open
TURN = 15.0  # seconds after which a turn begins no further sweep
PACE = 0.02  # seconds between the beginnings of two turns of a job, so that a storm of hints becomes few sweeps
GRACE = 5.0  # seconds that turns under way may take at the end. What is cut off stays due.
FIRST_WAIT, LAST_WAIT = 0.5, 10.0  # seconds before opening the resources again

logger = structlog.get_logger(__name__)

Listen = Callable[[], AsyncIterator[str]]


class Lane:
    """The turns of one job in one process: at most ``width`` under way, and at most one waiting.

    A turn sweeps until nothing is found. It begins after it was asked for, so whoever asks for one while another is
    waiting gets that one: it will see the same rows.
    """

    def __init__(self, job: Job, run: Run) -> None:
        self._name = job.name
        self._within = job.within  # every call in a sweep has a shorter deadline of its own
        self._run = run
        self._free = asyncio.Semaphore(job.width)
        self._waiting: asyncio.Task[None] | None = None
        self._began = float("-inf")
        self.turns: set[asyncio.Task[None]] = set()

    def wake(self) -> asyncio.Task[None]:
        """The turn that begins next. It never raises."""
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._turn())
            self.turns.add(self._waiting)
            self._waiting.add_done_callback(self.turns.discard)
        return self._waiting

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._free:
            await asyncio.sleep(max(0.0, self._began + PACE - loop.time()))
            self._waiting = None
            self._began = loop.time()
            try:
                while await self._sweep() and loop.time() < self._began + TURN:
                    pass
            except Exception:  # the edge of the process: the rows stay due, the next sweep tries again
                logger.exception("a job failed", job=self._name)

    async def _sweep(self) -> int:
        async with asyncio.timeout(self._within):
            return await self._run()


class Portal:
    """Where synchronous tasks hand their work over to the loop. Started once in each process, after it was forked.

    open: what the jobs need, opened inside the loop; again and again while it fails. listen: names of jobs to run now.
    """

    def __init__(self, jobs: Sequence[Job], open: OpenRuns, listen: Listen | None = None) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._open = open
        self._listen = listen
        self._lanes: Mapping[str, Lane] = {}
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def start(self) -> None:
        """Returns at once; does nothing when it runs already."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="portal", daemon=True)
                self._thread.start()

    def run(self, name: str) -> None:
        """Give this job a turn. Waits for its end, unless the job may have several at a time."""
        self.start()
        if not self._ready.wait(READY_WITHIN) or self._loop is None:
            logger.warning("the worker is not ready for a job", job=name)
            return
        turn = asyncio.run_coroutine_threadsafe(self._run(name), self._loop)
        turn.result()

    def stop(self) -> None:
        """Lets turns under way end, within the grace, and closes what was opened. Returns when that is done."""
        if self._thread is not None and self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(2 * GRACE)

    async def _run(self, name: str) -> None:
        turn = self._lanes[name].wake()
        if self._jobs[name].width == 1:
            await asyncio.wait([turn])

    async def _live(self) -> None:
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            try:
                async with self._open() as runs:
                    wait = FIRST_WAIT
                    await self._work(runs, self._stopping)
            except Exception:  # the edge of the process: the database, say, is not up yet
                logger.exception("the worker must open anew what its jobs need", wait=wait)
                await _first(self._stopping.wait(), asyncio.sleep(wait))
                wait = min(2 * wait, LAST_WAIT)

    async def _work(self, runs: Mapping[str, Run], stopping: asyncio.Event) -> None:
        self._lanes = {name: Lane(job, runs[name]) for name, job in self._jobs.items()}
        self._ready.set()
        try:
            await _first(stopping.wait(), self._heed_hints())
        finally:
            self._ready.clear()
            turns = [turn for lane in self._lanes.values() for turn in lane.turns]
            if turns:
                _, late = await asyncio.wait(turns, timeout=GRACE)
                for turn in late:
                    turn.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    async def _heed_hints(self) -> None:
        if self._listen is not None:
            async for name in self._listen():
                if name in self._lanes:
                    self._lanes[name].wake()
        await asyncio.Event().wait()  # no more hints: the clock goes on


async def _first(*ways: Coroutine[None, None, object]) -> None:
    """Waits until one of them ends, cancels the others, and raises what the first one raised."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
