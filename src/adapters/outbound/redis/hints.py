"""RedisHints: wake-ups over Redis' publish and subscribe, lost without harm whenever Redis is away."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

PATIENCE = 1.0  # seconds to connect, and for an answer
MOST_PENDING = 1000  # hints waiting to be sent; more are dropped
PAUSE = 0.05  # seconds between two round trips: a burst of hints costs a few, and a lone one does not wait
FIRST_WAIT, LAST_WAIT = 0.1, 5.0  # seconds before subscribing again
SILENCE = 15.0  # seconds after which a silent connection is asked whether it lives


def connect(url: str) -> Redis:
    """A client that gives up quickly and never repeats: what a hint needs. Connects at its first use."""
    return Redis.from_url(
        url,
        socket_connect_timeout=PATIENCE,
        socket_timeout=PATIENCE,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


class RedisHints:
    """Sends hints in the background, many in one round trip, and hears those of all processes.

    It belongs to one event loop. ``prefix`` keeps installations apart on one Redis, whose channels know no databases.
    """

    def __init__(self, client: Redis, *, prefix: str = "pitaya") -> None:
        self._client = client
        self._work = f"{prefix}:work"
        self._orders = f"{prefix}:orders"
        self._pending: dict[tuple[str, str], None] = {}  # in order, each hint once
        self._sender: asyncio.Task[None] | None = None
        self._watched: dict[str, set[asyncio.Event]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def work(self, job: str) -> None:
        """There is something for this job now. Returns at once, never raises."""
        self._hint(self._work, job)

    async def order_changed(self, order_id: str) -> None:
        """For the cashier's live status. Returns at once, never raises."""
        self._hint(self._orders, order_id)

    async def listen_work(self) -> AsyncGenerator[str]:
        """Names of jobs that have something to do, without end. A broken connection is mended silently."""
        async with aclosing(self._messages(self._work)) as messages:
            async for job in messages:
                if job is not None:
                    yield job

    @asynccontextmanager
    async def subscribe(self, order_id: str) -> AsyncIterator[AsyncIterator[None]]:
        """``async with subscribe(id) as changes: async for _ in changes``: a step whenever the order may have changed.

        Look at the order after entering: what changed before is not told. Several changes may arrive as one, and a
        step may come without any (after a lost connection). All subscriptions of a process share one connection.
        """
        changed = asyncio.Event()
        self._watched.setdefault(order_id, set()).add(changed)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._tell_watchers())
        try:
            async with aclosing(_steps(changed)) as steps:
                yield steps
        finally:
            watchers = self._watched[order_id]
            watchers.remove(changed)
            if not watchers:
                del self._watched[order_id]

    async def aclose(self) -> None:
        """Ends the background work. Hints not yet sent are dropped. The client stays its owner's to close."""
        tasks = [task for task in (self._sender, self._reader) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hint(self, channel: str, text: str) -> None:
        if len(self._pending) >= MOST_PENDING:
            return
        self._pending[channel, text] = None
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self._pending:
            hints, self._pending = self._pending, {}
            with contextlib.suppress(RedisError, OSError):
                async with self._client.pipeline(transaction=False) as pipeline:
                    for channel, text in hints:
                        pipeline.publish(channel, text)
                    await pipeline.execute()
            await asyncio.sleep(PAUSE)

    async def _tell_watchers(self) -> None:
        async with aclosing(self._messages(self._orders)) as messages:
            async for order_id in messages:
                # None: newly subscribed. What was missed meanwhile is unknown, so everybody looks.
                told = self._watched.values() if order_id is None else [self._watched.get(order_id, set())]
                for watchers in told:
                    for changed in watchers:
                        changed.set()

    async def _messages(self, channel: str) -> AsyncGenerator[str | None]:
        """What is published on a channel, and None whenever the subscription has just begun. Never ends."""
        wait = FIRST_WAIT
        while True:
            with contextlib.suppress(RedisError, OSError):
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(channel)
                    async with aclosing(_received(pubsub)) as messages:
                        async for message in messages:
                            wait = FIRST_WAIT
                            yield message
            await asyncio.sleep(wait)
            wait = min(2 * wait, LAST_WAIT)


async def _received(pubsub: PubSub) -> AsyncGenerator[str | None]:
    """Messages until the connection breaks or keeps silent although asked. Raises RedisError or OSError then."""
    asked = False
    while True:
        message = await pubsub.get_message(timeout=PATIENCE if asked else SILENCE)
        if message is None:
            if asked:
                raise ConnectionError("Redis is silent")
            await pubsub.ping()
        asked = message is None
        match message:
            case {"type": "message", "data": str(text)}:
                yield text
            case {"type": "subscribe"}:
                yield None


async def _steps(changed: asyncio.Event) -> AsyncGenerator[None]:
    while True:
        await changed.wait()
        changed.clear()
        yield
