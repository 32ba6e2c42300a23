"""Hints over a real Valkey, and above all without one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Self

import pytest
from redis.asyncio import Redis

from adapters.outbound.redis.hints import MOST_PENDING, RedisHints, connect
from application.ports.world import Hints
from tests.integration.redis.servers import black_hole, nobody


@contextlib.asynccontextmanager
async def opened(url: str, prefix: str = "pitaya") -> AsyncIterator[RedisHints]:
    client = connect(url)
    hints = RedisHints(client, prefix=prefix)
    try:
        yield hints
    finally:
        await hints.aclose()
        await client.aclose()


@pytest.fixture
async def here(redis_url: str) -> AsyncIterator[RedisHints]:
    async with opened(redis_url) as hints:
        yield hints


@pytest.fixture
async def there(redis_url: str) -> AsyncIterator[RedisHints]:
    async with opened(redis_url) as hints:
        yield hints


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as client:
        yield client


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)


async def listeners(server: Redis, channel: str, count: int) -> None:
    deadline = time.monotonic() + 5
    while (await server.pubsub_numsub(channel))[0][1] != count:
        assert time.monotonic() < deadline, "nobody listens"
        await asyncio.sleep(0.01)


class Heard:
    """Everything a process hears of work, as it comes."""

    def __init__(self, hints: RedisHints) -> None:
        self.jobs: list[str] = []
        self._task = asyncio.create_task(self._listen(hints))

    async def _listen(self, hints: RedisHints) -> None:
        async for job in hints.listen_work():
            self.jobs.append(job)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Watched:
    """The steps of one subscription, counted."""

    def __init__(self, hints: RedisHints, order_id: str) -> None:
        self.steps = 0
        self._task = asyncio.create_task(self._watch(hints, order_id))

    async def _watch(self, hints: RedisHints, order_id: str) -> None:
        async with hints.subscribe(order_id) as changes:
            async for _ in changes:
                self.steps += 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def test_it_is_the_port(here: RedisHints) -> None:
    port: Hints = here
    assert port is here


async def test_work_told_here_is_heard_in_every_process(here: RedisHints, there: RedisHints, server: Redis) -> None:
    async with Heard(here) as one, Heard(there) as other:
        await listeners(server, "pitaya:work", 2)
        await here.work("fan_out_events")
        await until(lambda: one.jobs == other.jobs == ["fan_out_events"])


async def test_a_storm_of_equal_hints_becomes_few(here: RedisHints, there: RedisHints, server: Redis) -> None:
    async with Heard(there) as heard:
        await listeners(server, "pitaya:work", 1)
        for _ in range(1000):
            await here.work("fan_out_events")
        await here.work("last")
        await until(lambda: "last" in heard.jobs)
    assert heard.jobs == ["fan_out_events", "last"]


async def test_whoever_watches_an_order_sees_its_changes_and_no_others(
    here: RedisHints, there: RedisHints, server: Redis
) -> None:
    async with Watched(there, "ord_1") as one, Watched(there, "ord_1") as same, Watched(there, "ord_2") as other:
        await listeners(server, "pitaya:orders", 1)  # three pages, one connection
        await until(lambda: one.steps == same.steps == other.steps == 1)  # "you are subscribed now: look"
        await here.order_changed("ord_1")
        await until(lambda: one.steps == same.steps == 2)
        await here.order_changed("ord_2")
        await until(lambda: other.steps == 2)
    assert (one.steps, same.steps) == (2, 2)


async def test_a_page_that_went_away_leaves_nothing_behind(here: RedisHints) -> None:
    async with Watched(here, "ord_1") as page:
        await until(lambda: page.steps == 1)
    assert here._watched == {}


async def test_installations_on_one_server_do_not_hear_each_other(redis_url: str, server: Redis) -> None:
    async with opened(redis_url, "one") as one, opened(redis_url, "other") as other, Heard(other) as heard:
        await listeners(server, "other:work", 1)
        await one.work("theirs")
        await other.work("ours")
        await until(lambda: heard.jobs == ["ours"])


async def test_after_a_lost_connection_listening_goes_on_and_pages_are_told_to_look(
    here: RedisHints, there: RedisHints, server: Redis
) -> None:
    async with Heard(there) as heard, Watched(there, "ord_1") as page:
        await listeners(server, "pitaya:work", 1)
        await until(lambda: page.steps == 1)
        await server.client_kill_filter(_type="pubsub")
        await until(lambda: page.steps == 2)
        await listeners(server, "pitaya:work", 1)
        await here.work("fan_out_events")
        await until(lambda: heard.jobs == ["fan_out_events"])


# ── Without Redis ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("away", [nobody, black_hole])
async def test_hints_cost_nothing_when_redis_is_away(
    away: Callable[[], contextlib.AbstractContextManager[str]],
) -> None:
    with away() as url:
        async with opened(url) as hints:
            began = time.monotonic()
            for i in range(5000):
                await hints.work(f"job{i}")
                await hints.order_changed(f"ord_{i}")
            assert time.monotonic() - began < 0.5
            assert len(hints._pending) <= MOST_PENDING
            await until(lambda: hints._sender is not None and hints._sender.done())
            assert hints._pending == {}  # dropped, not kept


async def test_the_loop_is_never_blocked_by_a_silent_redis() -> None:
    with black_hole() as url:
        async with opened(url) as hints:
            longest, last = 0.0, time.monotonic()
            for _ in range(50):
                await hints.work("job")
                await asyncio.sleep(0.01)
                now = time.monotonic()
                longest, last = max(longest, now - last), now
    assert longest < 0.5


async def test_a_page_waits_in_peace_while_redis_is_away() -> None:
    came: list[int] = []

    def shut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        writer.close()

    server = await asyncio.start_server(shut, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    async with opened(url) as hints, Watched(hints, "ord_1") as page, Heard(hints) as heard:
        await until(lambda: len(came) >= 5)  # both tried again and again
        assert not page._task.done()
        assert not heard._task.done()
        assert page.steps == 0
    server.close()


async def test_a_connection_that_died_without_a_word_is_noticed(
    redis_url: str, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.outbound.redis.hints.SILENCE", 0.1)
    monkeypatch.setattr("adapters.outbound.redis.hints.PATIENCE", 0.2)
    gate = Gate(redis_url)
    await gate.open()
    async with opened(gate.url) as hints, Watched(hints, "ord_1") as page:
        await until(lambda: page.steps == 1)
        await gate.numb()
        await until(lambda: page.steps == 2)
    await gate.close()


async def test_a_silent_connection_that_lives_is_kept(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.outbound.redis.hints.SILENCE", 0.05)
    gate = Gate(redis_url)
    await gate.open()
    async with opened(gate.url) as hints, Watched(hints, "ord_1") as page:
        await until(lambda: gate.pongs >= 3)
        assert page.steps == 1
    await gate.close()


async def test_hints_flow_again_when_redis_comes_back(redis_url: str, server: Redis) -> None:
    gate = Gate(redis_url)
    await gate.open()
    async with opened(gate.url) as hints, Heard(hints) as heard:
        await listeners(server, "pitaya:work", 1)
        await gate.close()
        await listeners(server, "pitaya:work", 0)
        await hints.work("lost")
        await until(lambda: hints._sender is not None and hints._sender.done())
        await gate.open()
        await listeners(server, "pitaya:work", 1)
        await hints.work("heard")
        await until(lambda: heard.jobs == ["heard"])
    await gate.close()


class Gate:
    """A TCP proxy before Redis: it can be shut, cutting everybody off, opened again, or lose its tongue."""

    def __init__(self, redis_url: str) -> None:
        self._redis = redis_url
        self._server: asyncio.Server | None = None
        self._through: set[asyncio.StreamWriter] = set()
        self._numb: set[asyncio.StreamWriter] = set()
        self._port = 0
        self.pongs = 0

    @property
    def url(self) -> str:
        return self._redis.replace(self._target, f"127.0.0.1:{self._port}")

    @property
    def _target(self) -> str:
        return self._redis.rpartition("@")[2].partition("/")[0]

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._through:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def numb(self) -> None:
        """Whoever is connected now hears nothing more, and is not told."""
        self._numb |= self._through

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._target.partition(":")
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        self._through |= {writer, inner_writer}
        await asyncio.gather(self._copy(reader, inner_writer), self._copy(inner_reader, writer))
        self._through -= {writer, inner_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                self.pongs += data.lower().count(b"pong")
                if writer not in self._numb:
                    writer.write(data)
                    await writer.drain()
        writer.close()
