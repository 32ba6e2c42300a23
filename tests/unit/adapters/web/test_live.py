"""The event stream, driven as a server would drive it: hints, silence, the end, and readers who hang up."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from litestar import Litestar
from litestar.types import ASGIApp

from adapters.inbound.web import live
from domain.orders import Order
from tests.fakes import DatabaseFault
from tests.unit.adapters.web.world import World


class Reader:
    """One browser's connection to the stream."""

    def __init__(self, app: ASGIApp, order: Order) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self._departure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked = False
        path = f"/pay/{order.cashier_token}/events"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"pitaya.test")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        answer = app(scope, self._receive, self.messages.put)  # type: ignore[arg-type]
        self.task: asyncio.Task[None] = asyncio.create_task(answer)  # type: ignore[arg-type]

    async def _receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._departure
        return {"type": "http.disconnect"}

    def hang_up(self) -> None:
        self._departure.set_result(None)

    async def start(self) -> Any:
        message = await asyncio.wait_for(self.messages.get(), 3)
        assert message["type"] == "http.response.start"
        return message

    async def chunk(self, within: float = 3) -> str | None:
        """The next piece of the body; None at its end."""
        message = await asyncio.wait_for(self.messages.get(), within)
        assert message["type"] == "http.response.body"
        return message["body"].decode() if message["more_body"] else None

    async def status(self, within: float = 3) -> dict[str, Any]:
        """The next status event."""
        deadline = time.monotonic() + within
        while True:
            text = await self.chunk(deadline - time.monotonic())
            assert text is not None, "the stream ended"
            if text.startswith("event: status\n"):
                return dict(json.loads(text.partition("data: ")[2]))

    async def ended(self, within: float = 3) -> None:
        await asyncio.wait_for(self.task, within)


@pytest.fixture
async def connect(world: World) -> AsyncIterator[Callable[..., Awaitable[Reader]]]:
    """Opens streams, and at the end hangs up on those that are still open."""
    readers: list[Reader] = []
    app = world.app()

    async def open_one(order: Order, at: ASGIApp | None = None) -> Reader:
        reader = Reader(at or app, order)
        readers.append(reader)
        return reader

    yield open_one
    for reader in readers:
        reader.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader.task


Connect = Callable[..., Awaitable[Reader]]


async def test_a_reader_is_told_the_status_at_once(world: World, connect: Connect) -> None:
    reader = await connect(await world.order())
    headers = dict((await reader.start())["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert b"no-store" in headers[b"cache-control"]
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert await reader.chunk() == "retry: 2000\n\n"
    assert (await reader.status())["status"] == "pending"


async def test_a_payment_is_told_far_within_a_second_and_ends_the_stream(world: World, connect: Connect) -> None:
    order = await world.order()
    await world.start(order)
    reader = await connect(order)
    await reader.start()
    await reader.status()
    started = time.monotonic()
    await world.pay(order)
    news = await reader.status()
    assert time.monotonic() - started < 0.5
    assert news["status"] == "paid"
    assert news["final"]
    assert await reader.chunk() is None
    await reader.ended()


@pytest.mark.parametrize("lost", ["the hint", "the subscription"])
async def test_without_hints_it_looks_by_itself(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    assert live.LOOK_EVERY <= 1.0
    monkeypatch.setattr(live, "LOOK_EVERY", 0.05)
    order = await world.order()
    await world.start(order)
    reader = await connect(order, world.app(changes=None) if lost == "the subscription" else None)
    await reader.start()
    await reader.status()
    world.hints.lost = True
    await world.pay(order)
    assert (await reader.status())["status"] == "paid"


async def test_a_hint_without_news_says_nothing(world: World, connect: Connect) -> None:
    order = await world.order()
    reader = await connect(order)
    await reader.start()
    await reader.status()
    await world.hints.order_changed(order.id)
    with pytest.raises(asyncio.TimeoutError):
        await reader.chunk(within=0.3)


async def test_each_step_is_told_once(world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY", 0.05)
    order = await world.order()
    reader = await connect(order)
    await reader.start()
    told = [await reader.status()]
    attempt = await world.start(order)
    told.append(await reader.status())
    world.advance(900)
    told.append(await reader.status())
    await world.house.expire_orders()
    told.append(await reader.status())
    assert [(each["status"], each["final"], each["attempt"]) for each in told] == [
        ("pending", False, None),
        ("pending", False, attempt.id),
        ("expired", False, None),
        ("expired", True, None),
    ]
    await reader.ended()


async def test_a_final_order_is_told_and_the_stream_ends(world: World, connect: Connect) -> None:
    order = await world.order()
    await world.house.close_order(order.id, "merchant")
    reader = await connect(order)
    await reader.start()
    assert (await reader.status())["status"] == "closed"
    await reader.ended()


async def test_a_reader_who_hangs_up_is_forgotten_at_once(world: World, connect: Connect) -> None:
    order = await world.order()
    reader = await connect(order)
    await reader.start()
    await reader.status()
    assert len(world.hints.listeners[order.id]) == 1
    reader.hang_up()
    await reader.ended(within=0.5)
    assert world.hints.listeners[order.id] == []


async def test_a_cancelled_stream_ends_at_once_and_gives_its_place_back(world: World) -> None:
    order = await world.order()
    streams = live.LiveStatus(world.house.clock, world.hints.subscribe, limit=1)
    app = _app(world, streams)
    reader = Reader(app, order)
    await reader.start()
    await reader.status()
    reader.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader.ended(within=0.5)
    assert streams.open == 0
    assert world.hints.listeners[order.id] == []


async def test_beyond_its_limit_a_process_refuses_streams_until_one_ends(world: World) -> None:
    order = await world.order()
    streams = live.LiveStatus(world.house.clock, limit=1)
    app = _app(world, streams)
    first = Reader(app, order)
    assert (await first.start())["status"] == 200
    second = Reader(app, order)
    assert (await second.start())["status"] == 503
    await second.ended()
    first.hang_up()
    await first.ended()
    third = Reader(app, order)
    assert (await third.start())["status"] == 200
    third.hang_up()
    await third.ended()


async def test_a_silent_stream_shows_that_it_lives(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.0)
    monkeypatch.setattr(live, "LOOK_EVERY", 0.01)
    reader = await connect(await world.order())
    await reader.start()
    await reader.status()
    assert await reader.chunk() == ":\n\n"


async def test_a_long_stream_ends_so_that_the_browser_connects_anew(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LIFETIME", 0.05)
    monkeypatch.setattr(live, "LOOK_EVERY", 0.01)
    reader = await connect(await world.order())
    await reader.start()
    assert not (await reader.status())["final"]
    await reader.ended()


async def test_when_the_database_goes_away_the_stream_ends_and_a_new_one_works(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY", 0.05)
    order = await world.order()
    reader = await connect(order)
    await reader.start()
    await reader.status()
    world.house.database.faults.always = DatabaseFault.LOST_CONNECTION
    await reader.ended()
    world.house.database.faults.always = None
    again = await connect(order)
    await again.start()
    assert (await again.status())["status"] == "pending"


def _app(world: World, streams: live.LiveStatus) -> Litestar:
    """The cashier's stream with bounds of the test's own."""
    from litestar import get
    from litestar.params import FromPath

    from adapters.inbound.web.status import Status

    @get("/pay/{token:str}/events")
    async def events(token: FromPath[str]) -> ASGIApp:
        async def look() -> Status:
            return Status.of(await world.house.view_cashier(token), world.house.clock.now())

        order = (await world.house.view_cashier(token)).order
        return streams.stream(order.id, look)

    return Litestar([events], logging_config=None)
