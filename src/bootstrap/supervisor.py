"""Runs a house of processes under one terminal: starts them in stages, restarts what crashes, and leaves none behind.

    async with Supervisor(Path(".pitaya")) as house:   # lock, end what a killed predecessor left
        await house.start(postgres)                    # a stage: returns when all of it is ready
        await house.start(web, worker)
        await house.wait()                             # until SIGINT, SIGTERM or SIGHUP
    # here every child has ended, the last stage first

Each child leads a session of its own, so the terminal's Ctrl-C reaches us alone and a whole child, workers included,
can be ended by its group. A second signal kills at once. If we are killed with -9 the children stay; the next start
finds them (``bootstrap.leftovers``) and ends them before anything else.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from bootstrap import leftovers

CRASHES, WITHIN = 5, 60.0  # this many crashes in this many seconds are a loop, not bad luck
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class AlreadyRunning(Exception):
    """Another supervisor holds this state directory; the text names its process."""


class ChildFailed(Exception):
    """A child did not become ready or kept crashing; the text says how and ends with the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process to keep running.

    env: added to our own environment. user: uid and gid to run as (we must be root).
    ready: asked about every 50 ms, in a thread, until it is true; an OSError means not yet. ready_within: seconds.
    stop: signals to end it by, in order; the next one, and SIGKILL to the group at last, after ``grace`` seconds each.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: int | None = None
    ready: Callable[[], bool] = lambda: True
    ready_within: float = 30.0
    stop: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    grace: float = 10.0


class Supervisor:
    """One house in one state directory: ``lock``, ``children/``, ``ports.json`` and ``log/<name>.log`` are ours there
    (the output of a child's run before is beside it as ``.old``).

    As a context manager it behaves like ``asyncio.timeout``: a signal cancels the body, and ``async with`` then ends
    normally with ``stopped_by`` set. A child that fails for good raises ``ChildFailed`` instead.
    """

    def __init__(self, state: Path, *, say: Callable[[str], None] = lambda _: None) -> None:
        """``say`` is told, in one line each, of crashes, leftovers and stubborn children. It may fail: the terminal
        may be gone, which must not keep us from ending them."""
        self.state = state.resolve()
        self.stopped_by: signal.Signals | None = None
        self._tell = say
        self._stages: list[list[_Running]] = []
        self._failure: str | None = None
        self._cut_short = False
        self._at_once = asyncio.Event()
        self._lock: IO[str] | None = None

    async def __aenter__(self) -> Self:
        # Not 0700 for root: the database runs as another user below it. What is secret has its own permissions.
        self.state.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        self._lock = _lock(self.state)
        leftovers.records(self.state).mkdir(exist_ok=True, mode=0o700)
        (self.state / "log").mkdir(exist_ok=True, mode=0o700)
        await asyncio.to_thread(leftovers.end, self.state, self._say)
        body = asyncio.current_task()
        assert body is not None
        self._body = body
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        try:
            for stage in reversed(self._stages):
                await asyncio.gather(*(running.end(self._at_once) for running in stage))
            await asyncio.to_thread(leftovers.end, self.state, self._say)
        finally:
            for number in SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(number)
            if self._lock:
                self._lock.close()
        if self._cut_short and kind is asyncio.CancelledError:
            self._body.uncancel()
            if self._failure:
                raise ChildFailed(self._failure)
            return True
        return False

    async def start(self, *children: Child) -> None:
        """Starts a stage and returns when all of it is ready. One that does not get there in time is a ChildFailed."""
        stage = [_Running(child, self.state, self._say, self._fail) for child in children]
        self._stages.append(stage)
        await asyncio.gather(*(running.begin() for running in stage))

    async def wait(self) -> None:
        """Returns never: a signal or a failed child ends the ``async with`` around it."""
        await asyncio.Event().wait()

    def port(self, name: str, preferred: int) -> int:
        """A TCP port of 127.0.0.1 that is free now: the one ``name`` had last time, else ``preferred``, else any."""
        path = self.state / "ports.json"
        ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        others = {port for other, port in ports.items() if other != name}
        candidates = [port for port in (ports.get(name, preferred), preferred) if port not in others]
        ports[name] = next(filter(port_is_free, candidates), None) or any_port()
        leftovers.write(path, json.dumps(ports))
        return ports[name]

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._tell(line)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.stopped_by is not None:
            self._at_once.set()
            return
        self.stopped_by = signal.Signals(number)
        self._interrupt()

    def _fail(self, why: str) -> None:
        if self._failure is None and self.stopped_by is None:
            self._failure = why
            self._interrupt()

    def _interrupt(self) -> None:
        if not self._cut_short:
            self._cut_short = True
            self._body.cancel()


class _Running:
    """A child while it lives: its process, and the task that watches over it."""

    def __init__(self, child: Child, state: Path, say: Callable[[str], None], fail: Callable[[str], None]) -> None:
        self.child = child
        self.state = state
        self.log = state / "log" / f"{child.name}.log"
        self.say = say
        self.fail = fail
        self.process: asyncio.subprocess.Process | None = None
        self.watch: asyncio.Task[None] | None = None
        self.crashes: deque[float] = deque(maxlen=CRASHES)

    async def begin(self) -> None:
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".old"))
        await self._spawn()
        self.watch = asyncio.create_task(self._keep_alive(), name=f"watch {self.child.name}")
        deadline = time.monotonic() + self.child.ready_within
        while not await asyncio.to_thread(self._is_ready):
            if time.monotonic() > deadline:
                self._give_up(f"was not ready within {self.child.ready_within:g} s")
            await asyncio.sleep(0.05)

    async def end(self, at_once: asyncio.Event) -> None:
        """Ends the whole child: by its signals, then by its group. ``at_once`` cuts the waiting short."""
        if self.watch is not None:
            self.watch.cancel()
            await asyncio.wait([self.watch])
        process = self.process
        if process is None:
            return
        gone = asyncio.ensure_future(process.wait())
        hurry = asyncio.ensure_future(at_once.wait())
        for number in self.child.stop:
            if gone.done() or at_once.is_set():
                break
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            await asyncio.wait([gone, hurry], timeout=self.child.grace, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not gone.done() and not at_once.is_set():
            self.say(f"{self.child.name} did not stop within {self.child.grace:g} s: killed")
        _kill_group(process.pid)
        await gone
        leftovers.forget(self.state, self.child.name)

    async def _spawn(self) -> None:
        child = self.child
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *map(str, child.argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=child.cwd,
                env={**os.environ, **child.env, leftovers.MARKER: str(self.state)},
                start_new_session=True,
                user=child.user,
                group=child.user,
                extra_groups=None if child.user is None else [],
            )
        leftovers.remember(self.state, child.name, self.process.pid, child.stop, child.grace)

    async def _keep_alive(self) -> None:
        while True:
            assert self.process is not None
            status = await self.process.wait()
            _kill_group(self.process.pid)  # its workers would go on answering, and hold the port
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            now = time.monotonic()
            self.crashes.append(now)
            if len(self.crashes) == CRASHES and now - self.crashes[0] < WITHIN:
                self._give_up(f"{how}, {CRASHES} times within {now - self.crashes[0]:.0f} s")
                return
            pause = min(FIRST_PAUSE * 2 ** (len(self.crashes) - 1), LONGEST_PAUSE)
            self.say(f"{self.child.name} {how}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            try:
                await self._spawn()
            except OSError as error:
                self._give_up(f"cannot be started again: {error}")
                return

    def _is_ready(self) -> bool:
        try:
            return self.process is not None and self.process.returncode is None and self.child.ready()
        except OSError:
            return False

    def _give_up(self, how: str) -> None:
        tail = "".join(f"\n  {line}" for line in self.log.read_text(errors="replace").splitlines()[-20:])
        self.fail(f"{self.child.name} {how}. The end of {self.log}:{tail or ' (nothing was written)'}")


def port_is_free(port: int) -> bool:
    """Whether nobody listens on ``port`` of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger are no listener
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    with socket.socket() as probe:  # where SO_REUSEADDR lets us share the port with a listener (macOS)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _lock(state: Path) -> IO[str]:
    """Holds the state directory until the file is closed or we are gone, however that happens."""
    file = (state / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise AlreadyRunning(
            f"process {holder} already runs in {state}: stop it, or choose another directory"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _kill_group(leader: int) -> None:
    # The number cannot be anyone else's: a group's id is not given out while a member lives. macOS says
    # PermissionError for a group of zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
