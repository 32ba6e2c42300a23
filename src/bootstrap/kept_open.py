"""What a process keeps open or going for as long as it lives."""

import asyncio
import ssl
from contextlib import suppress

import httpx

from adapters.channel_wire import Transport
from adapters.outbound.sql import SqlClock
from domain.errors import DatabaseUnavailable

CLOCK_REFRESH = 60.0  # seconds between two comparisons of our clock with the database's


def channel_client() -> httpx.AsyncClient:
    """One pool of connections to all channels. No proxy from the environment, no redirects: a channel sends none."""
    transport = Transport(
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=30),
        trust_env=False,
        verify=ssl.create_default_context(),
    )
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(8.0, connect=3.0, pool=2.0),
        trust_env=False,
        follow_redirects=False,
    )


async def keep_time(clock: SqlClock) -> None:
    while True:
        await asyncio.sleep(CLOCK_REFRESH)
        with suppress(DatabaseUnavailable):  # the last measurement is good enough until the database is back
            await clock.refresh()


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
