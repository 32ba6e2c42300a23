"""Progress over a real Valkey, and without one."""

from collections.abc import AsyncIterator

import pytest

from adapters.outbound.redis.hints import connect
from adapters.outbound.redis.progress import KEPT, RedisProgress
from bootstrap.supervisor import any_port
from tests.contracts.progress import DAY, READING, ProgressContract


class TestRedisProgress(ProgressContract):
    @pytest.fixture
    async def progress(self, redis_url: str) -> AsyncIterator[RedisProgress]:
        async with connect(redis_url) as client:
            yield RedisProgress(client)


async def test_what_a_dead_process_told_goes_by_itself(redis_url: str) -> None:
    async with connect(redis_url) as client:
        await RedisProgress(client).tell("cha_1", DAY, READING)
        (name,) = await client.keys("*")
        assert 0 < await client.ttl(name) <= KEPT


async def test_what_is_no_step_of_ours_is_unknown(redis_url: str) -> None:
    async with connect(redis_url) as client:
        await client.set(f"pitaya:progress:cha_1:{DAY}", "{}}")
        assert await RedisProgress(client).step("cha_1", DAY) is None


async def test_without_redis_nothing_is_known_and_nobody_is_held_up() -> None:
    async with connect(f"redis://127.0.0.1:{any_port()}") as client:
        progress = RedisProgress(client)
        await progress.tell("cha_1", DAY, READING)
        assert await progress.step("cha_1", DAY) is None
