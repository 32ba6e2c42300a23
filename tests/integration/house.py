"""A whole Pitaya as processes that die and come back: servers, sandbox, web, worker and beat, each a group of its own.

What it promises is looked at from three sides: the client's journal of what was acknowledged to it, the merchant's
server that counts what arrived, and the checkers on the database.
"""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx
import standardwebhooks
from aiohttp import web as http

from adapters.outbound.sql.migrations import migrate
from bootstrap.container import opened
from bootstrap.demo_merchant import open_merchant_at
from bootstrap.embedded import EmbeddedPostgres, EmbeddedValkey
from bootstrap.settings import Settings
from bootstrap.supervisor import any_port
from tests.integration.stack import Stack, client_beside, settings_of

UP_WITHIN = 60.0  # seconds, on a busy machine
DEAD_WITHIN = 30.0
PITAYA = [sys.executable, "-m", "bootstrap.main"]

Redirect = Callable[[str, dict[str, str]], Mapping[str, str]]
Owner = Any  # asyncpg's connection, generic only in its stubs


# Ends with its standard input, which the kernel closes however we end; with it go the groups it was told and the files.
_LEASH = """
import os, shutil, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class Leash:
    """A directory for a house and its processes, both of which outlive nobody: not even a pytest killed with -9."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="pitaya-house-"))
        self.home.chmod(0o711)  # as root, PostgreSQL runs as another user below it
        self._held = subprocess.Popen(
            [sys.executable, "-S", "-c", _LEASH, str(self.home)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.communicate()

    def hold(self, group: int) -> None:
        self._say(f"+{group}")

    def let_go(self, group: int) -> None:
        self._say(f"-{group}")

    def _say(self, line: str) -> None:
        assert self._held.stdin is not None
        self._held.stdin.write(f"{line}\n")


@dataclass
class Process:
    """One process with all that it starts. ``ready`` raises OSError or says False while it does not serve yet."""

    name: str
    argv: Sequence[str]
    leash: Leash
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    ready: Callable[[], bool] = lambda: True
    running: "subprocess.Popen[bytes] | None" = None
    marked: bool = False

    @property
    def well(self) -> bool:
        """It runs, and as it always does."""
        return self.running is not None and self.running.poll() is None and not self.marked

    async def start(self, **environment: str) -> None:
        """Returns when it serves. ``environment`` is for this one life, and marks it: it may be made to end."""
        self.marked = bool(environment)
        with self._log.open("ab") as log:
            self.running = subprocess.Popen(  # noqa: ASYNC220 - it is kept, and waited for elsewhere
                list(map(str, self.argv)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/" if self.user is not None else None,
                env={**os.environ, **self.environment, **environment},
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )
        self.leash.hold(self.running.pid)
        deadline = time.monotonic() + UP_WITHIN
        while not await asyncio.to_thread(self._is_ready):
            assert self.running.poll() is None, f"{self.name} ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"{self.name} is not ready:\n{self.log()}"
            await asyncio.sleep(0.05)

    async def died(self) -> float:
        """Waits for it to have been killed, as a whole; when that was. Nobody of the group may be left."""
        assert self.running is not None
        leader = self.running.pid
        status = await asyncio.to_thread(self.running.wait, DEAD_WITHIN)
        when = time.time()
        assert status == -signal.SIGKILL, f"{self.name} ended with {status}:\n{self.log()}"
        await eventually(lambda: not _group(leader), DEAD_WITHIN, f"{self.name} left nobody behind")
        self.leash.let_go(leader)
        return when

    async def kill(self) -> None:
        """kill -9 of the process and of everybody below it; returns when all of them are gone."""
        assert self.running is not None
        leader = [self.running.pid] if self.running.poll() is None else []
        victims = [*leader, *_group(self.running.pid), *_children(self.running.pid)]
        for pid in dict.fromkeys(victims):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.running.wait()
        await eventually(lambda: not any(map(_lives, victims)), DEAD_WITHIN, f"all of {self.name} is dead")
        self.leash.let_go(self.running.pid)

    async def stop(self) -> None:
        if self.running is not None and self.running.poll() is None:
            await self.kill()

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]

    @property
    def _log(self) -> Path:
        return self.leash.home / f"{self.name}.log"

    def _is_ready(self) -> bool:
        try:
            return self.ready()
        except OSError:
            return False


class Journal:
    """What the client was told, written down the moment it was told: whatever dies afterwards, this must hold."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.touch()

    def acknowledged(self, order: Mapping[str, Any]) -> None:
        kept = {name: order[name] for name in ("id", "merchant_order_no", "amount", "subject", "created_at")}
        with self._path.open("a") as file:
            file.write(json.dumps(kept) + "\n")

    def orders(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines()]


class MerchantServer:
    """A merchant's endpoint: takes what is rightly signed and remembers which webhook-id came when for which order."""

    def __init__(self) -> None:
        self.port = any_port()
        self.secret = ""
        self.arrivals: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["MerchantServer"]:
        app = http.Application()
        app.router.add_post("/hooks", self._take)
        runner = http.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await http.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    def told(self, order_id: str, type_: str = "order.paid") -> list[tuple[str, float]]:
        """Each arrival of that event: its webhook-id and when it came."""
        return self.arrivals[order_id, type_]

    async def _take(self, request: http.Request) -> http.Response:
        body = await request.read()
        try:
            standardwebhooks.Webhook(self.secret).verify(body, dict(request.headers))
        except standardwebhooks.WebhookVerificationError:
            return http.Response(status=401)
        event = json.loads(body)
        self.arrivals[event["data"]["id"], event["type"]].append((request.headers["webhook-id"], time.time()))
        return http.Response(status=200)


@dataclass
class House:
    """Everything, and hands to start and to kill each part of it."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    processes: dict[str, Process]
    stack: Stack
    merchant: MerchantServer
    journal: Journal
    owner_url: str

    async def start(self, name: str, **environment: str) -> None:
        await self.processes[name].start(**environment)

    async def kill(self, name: str) -> None:
        await self.processes[name].kill()

    async def whole(self) -> None:
        """Starts again who is down or marked for death: what a failed test leaves must not fail the next ones."""
        for process in self.processes.values():
            if process.running is not None and not process.well:
                await process.kill()
                await process.start()

    async def place(self, **fields: Any) -> dict[str, Any]:
        """An acknowledged order whose merchant is told at our own server."""
        order = await self.stack.place(**{"notify_url": self.merchant.url} | fields)
        self.journal.acknowledged(order)
        return order

    async def sql(self, query: str, *values: object) -> list[dict[str, Any]]:
        """As the owner of the tables: for looking, and for letting time pass."""
        connection: Owner = await asyncpg.connect(self.owner_url.replace("+asyncpg", "", 1), timeout=10)
        try:
            return [dict(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    async def missing(self) -> list[dict[str, Any]]:
        """Acknowledged orders that the API does not give back as they were acknowledged."""
        room = asyncio.Semaphore(8)

        async def look(order: dict[str, Any]) -> dict[str, Any] | None:
            async with room:
                found = await self.stack.api("GET", f"/orders/{order['id']}")
            same = found.status_code == 200 and all(found.json()[name] == value for name, value in order.items())
            return None if same else order

        looked = await asyncio.gather(*map(look, self.journal.orders()))
        return [order for order in looked if order is not None]


async def eventually(true: Callable[[], bool | Awaitable[bool]], within: float, otherwise: str) -> None:
    """Returns as soon as it is true; fails after so many seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = true()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < deadline, f"not within {within:g} s: {otherwise}"
        await asyncio.sleep(0.03)


@asynccontextmanager
async def standing(*, redirect: Redirect = lambda _, plain: plain) -> AsyncIterator[House]:
    """PostgreSQL, Valkey and the sandbox run; web, worker and beat wait to be started.

    redirect: given a process's name and its environment, leads its wires elsewhere.
    """
    with Leash() as leash:
        async with _standing(leash, redirect) as house:
            yield house


@asynccontextmanager
async def _standing(leash: Leash, redirect: Redirect) -> AsyncIterator[House]:
    home = leash.home
    postgres, valkey = EmbeddedPostgres(home / "postgres"), EmbeddedValkey(home / "valkey", any_port())
    postgres.prepare()
    valkey.prepare()
    web, sandbox = f"http://127.0.0.1:{any_port()}", f"http://127.0.0.1:{any_port()}"
    plain = settings_of(postgres.url(), valkey.url(), web, sandbox)
    box = [sys.executable, "-m", "sandbox", "--port", _port(sandbox), "--state", str(home / "sandbox")]
    children = (
        [
            Process(child.name, child.argv, leash, user=child.user, ready=child.ready)
            for child in (postgres.child, valkey.child)
        ]
        + [Process("sandbox", [*box, "--public-url", sandbox], leash, ready=_answers(f"{sandbox}/livez"))]
        + [
            Process(name, [*PITAYA, name, *more], leash, redirect(name, plain), ready=ready)
            for name, more, ready in (
                ("web", ["--port", _port(web)], _answers(f"{web}/readyz")),
                ("worker", [], lambda: True),
                ("beat", [], lambda: True),
            )
        ]
    )
    processes = {process.name: process for process in children}
    async with AsyncExitStack() as stack:
        for process in children:
            stack.push_async_callback(process.stop)
        await asyncio.gather(*(processes[name].start() for name in ("postgres", "valkey", "sandbox")))
        await migrate(postgres.url())
        container = await stack.enter_async_context(opened(Settings.from_environment(plain)))
        client = await stack.enter_async_context(client_beside(home / "web.log", timeout=40))
        async with httpx.AsyncClient(base_url=sandbox, trust_env=False, timeout=40) as channels:
            merchant = await open_merchant_at(container, channels)
        server = await stack.enter_async_context(MerchantServer().serving())
        server.secret = merchant.webhook_secret
        yield House(
            postgres=postgres,
            valkey=valkey,
            processes=processes,
            stack=Stack(client, web, sandbox, merchant, container),
            merchant=server,
            journal=Journal(home / f"journal-{secrets.token_hex(4)}.jsonl"),
            owner_url=postgres.url(),
        )


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def _answers(url: str) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            return httpx.get(url, timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    return ready


def _processes() -> list[tuple[int, str, int, int]]:
    """Each process's id, state, parent and group (proc(5), stat)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, parent, group, *_ = (entry / "stat").read_text().rpartition(") ")[2].split()
                found.append((int(entry.name), state, int(parent), int(group)))
    return found


def _group(leader: int) -> list[int]:
    return [pid for pid, state, _, group in _processes() if group == leader and state != "Z"]


def _children(parent: int) -> list[int]:
    # PostgreSQL's children lead groups of their own.
    return [pid for pid, _, of, _ in _processes() if of == parent]


def _lives(pid: int) -> bool:
    return any(pid == other and state != "Z" for other, state, _, _ in _processes())
