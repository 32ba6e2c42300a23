"""RedisPace: how often something happens, counted where all processes see it, and let pass when Redis is away."""

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

PATIENCE = 0.25  # seconds for an answer: whoever asks is serving a request


class RedisPace:
    """One key a window, which goes by itself. Windows follow this machine's clock; a few seconds more or less between
    machines move their edges, not their length."""

    def __init__(self, client: Redis, *, prefix: str = "pitaya") -> None:
        self._client = client
        self._prefix = prefix

    async def take(self, key: str, *, most: int, seconds: int) -> int:
        """Count one more. 0 when that makes at most ``most`` in this window, else the seconds until the next one."""
        now = time.time()
        window = int(now // seconds)
        name = f"{self._prefix}:pace:{key}:{window}"
        try:
            async with asyncio.timeout(PATIENCE), self._client.pipeline(transaction=False) as pipeline:
                pipeline.incr(name)
                pipeline.expire(name, 2 * seconds)
                count, _ = await pipeline.execute()
        except (RedisError, OSError, TimeoutError):
            return 0
        return 0 if count <= most else max(1, int((window + 1) * seconds - now))
