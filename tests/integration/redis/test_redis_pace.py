"""How often something happens, counted on a real Valkey by several processes, and let pass without one."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from adapters.outbound.redis import pace as pace_
from adapters.outbound.redis.hints import connect
from adapters.outbound.redis.pace import PATIENCE, RedisPace
from tests.integration.redis.servers import black_hole, nobody

AGES = 1_000_000_000  # a window that does not end before 2033
BUSY = 2.0


@pytest.fixture
async def server(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    """One that is waited for: on a busy machine it may not answer in the time that a request has."""
    monkeypatch.setattr(pace_, "PATIENCE", 10.0)
    async with connect(redis_url) as client:
        yield client


@pytest.fixture
def key() -> str:
    return secrets.token_hex(8)


async def test_two_processes_count_together_and_each_key_by_itself(server: Redis, redis_url: str, key: str) -> None:
    async with connect(redis_url) as other:
        here, there = RedisPace(server), RedisPace(other)
        for pace in (here, there, here):
            assert await pace.take(key, most=3, seconds=AGES) == 0
        for pace in (here, there):
            assert 0 < await pace.take(key, most=3, seconds=AGES) <= AGES
        assert await there.take(f"{key}:other", most=3, seconds=AGES) == 0


async def test_of_many_at_once_exactly_so_many_pass(server: Redis, key: str) -> None:
    pace = RedisPace(server)
    await pace.take("connected", most=1, seconds=AGES)
    waits = []
    for _ in range(10):
        waits += await asyncio.gather(*(pace.take(key, most=20, seconds=AGES) for _ in range(4)))
    assert [wait == 0 for wait in waits].count(True) == 20


async def test_after_the_wait_that_was_told_it_passes_again(server: Redis, key: str) -> None:
    pace = RedisPace(server)
    while (wait := await pace.take(key, most=1, seconds=1)) == 0:  # a second may just have ended
        pass
    assert wait == 1
    await asyncio.sleep(wait)
    assert await pace.take(key, most=1, seconds=1) == 0


async def test_a_window_goes_by_itself(server: Redis, key: str) -> None:
    await RedisPace(server, prefix=key).take("orders", most=1, seconds=60)
    (name,) = [name async for name in server.scan_iter(f"{key}:*")]
    assert 60 <= await server.ttl(name) <= 120


@pytest.mark.parametrize("away", [nobody, black_hole])
async def test_without_redis_everything_passes_and_nobody_waits(
    away: Callable[[], contextlib.AbstractContextManager[str]], key: str
) -> None:
    with away() as url:
        async with connect(url) as client:
            pace = RedisPace(client)
            began = time.monotonic()
            assert [await pace.take(key, most=1, seconds=60) for _ in range(3)] == [0, 0, 0]
            assert time.monotonic() - began < 3 * PATIENCE + BUSY


async def test_a_redis_that_was_wiped_begins_to_count_anew(server: Redis, key: str) -> None:
    pace = RedisPace(server, prefix=key)
    assert [await pace.take("orders", most=1, seconds=AGES) > 0 for _ in range(2)] == [False, True]
    await server.delete(*[name async for name in server.scan_iter(f"{key}:*")])
    assert await pace.take("orders", most=1, seconds=AGES) == 0
