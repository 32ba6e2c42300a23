"""Server-sent events of one order's status: woken by hints, and looking by itself every second in case one is lost."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from litestar.types import ASGIApp, Receive, Scope, Send

from adapters.inbound.web.status import Status
from application.ports.world import Clock
from domain.errors import PitayaError

Subscribe = Callable[[str], AbstractAsyncContextManager[AsyncIterator[object]]]
"""``async with subscribe(order_id) as hints``: one step whenever the order may have changed. Never raises."""

LOOK_EVERY = 1.0  # seconds
HEARTBEAT = 15.0  # seconds of silence after which a comment keeps proxies from hanging up
LIFETIME = 600.0  # seconds; then the browser connects anew, perhaps to another process
RECONNECT = 2000  # milliseconds a browser waits before it does

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex, nofollow"),
    (b"x-accel-buffering", b"no"),  # nginx would collect events otherwise
]


@dataclass(slots=True)
class LiveStatus:
    """All open streams of this process. Beyond ``limit`` the answer is 503 and the page polls instead."""

    clock: Clock
    subscribe: Subscribe | None = None
    limit: int = 500
    open: int = 0

    def stream(self, order_id: str, look: Callable[[], Awaitable[Status]]) -> ASGIApp:
        """The answer that tells every new status of the order until it is final, or the reader has gone."""

        async def answer(_: Scope, receive: Receive, send: Send) -> None:
            if self.open >= self.limit:
                await _refuse(send)
                return
            self.open += 1
            try:
                await self._serve(order_id, look, receive, send)
            finally:
                self.open -= 1

        return answer

    async def _serve(self, order_id: str, look: Callable[[], Awaitable[Status]], receive: Receive, send: Send) -> None:
        wake = asyncio.Event()
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        async with self._hints(order_id) as hints, asyncio.TaskGroup() as tasks:
            gone = tasks.create_task(_departure(receive, wake))
            heard = tasks.create_task(_forward(hints, wake))
            try:
                await self._tell(look, send, wake, gone)
            finally:
                gone.cancel()
                heard.cancel()
        if not gone.done() or gone.cancelled():
            await _write(send, b"", more=False)

    async def _tell(
        self, look: Callable[[], Awaitable[Status]], send: Send, wake: asyncio.Event, gone: asyncio.Task[None]
    ) -> None:
        now = asyncio.get_running_loop().time
        end = now() + LIFETIME
        spoke, told = now(), None
        await _write(send, f"retry: {RECONNECT}\n\n".encode())
        while not gone.done() and now() < end:
            wake.clear()
            try:
                status = await look()
            except PitayaError:
                return  # the database is away, say: the browser comes back by itself
            if status != told:
                data = json.dumps(status.body(self.clock.now()))
                await _write(send, f"event: status\ndata: {data}\n\n".encode())
                spoke, told = now(), status
            elif now() - spoke >= HEARTBEAT:
                await _write(send, b":\n\n")
                spoke = now()
            if status.final:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), LOOK_EVERY)

    def _hints(self, order_id: str) -> AbstractAsyncContextManager[AsyncIterator[object]]:
        return self.subscribe(order_id) if self.subscribe else contextlib.nullcontext(_silence())


async def _silence() -> AsyncIterator[object]:
    """Hints that never come."""
    await asyncio.Event().wait()
    yield None


async def _forward(hints: AsyncIterator[object], wake: asyncio.Event) -> None:
    async for _ in hints:
        wake.set()


async def _departure(receive: Receive, wake: asyncio.Event) -> None:
    """Returns when the reader has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    wake.set()


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _refuse(send: Send) -> None:
    headers = [(b"retry-after", b"2"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await _write(send, b"", more=False)
