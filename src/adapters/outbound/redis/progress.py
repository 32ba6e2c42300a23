"""RedisProgress: how far long runs are, where all processes see it; unknown when Redis is away."""

import asyncio
from datetime import date

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from application.ports.progress import Step

PATIENCE = 0.25  # seconds for an answer
KEPT = 30  # seconds after which a run that told nothing is taken for dead


class RedisProgress:
    """One key a run, which goes by itself."""

    def __init__(self, client: Redis, *, prefix: str = "pitaya") -> None:
        self._client = client
        self._prefix = prefix

    async def tell(self, account_id: str, day: date, step: Step | None) -> None:
        name = self._name(account_id, day)
        try:
            async with asyncio.timeout(PATIENCE):
                if step is None:
                    await self._client.delete(name)
                else:
                    await self._client.set(name, msgspec.json.encode(step), ex=KEPT)
        except (RedisError, OSError, TimeoutError):
            return

    async def step(self, account_id: str, day: date) -> Step | None:
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._client.get(self._name(account_id, day))
            return msgspec.json.decode(found, type=Step) if found else None
        except (RedisError, OSError, TimeoutError, msgspec.DecodeError):
            return None

    def _name(self, account_id: str, day: date) -> str:
        return f"{self._prefix}:progress:{account_id}:{day}"
