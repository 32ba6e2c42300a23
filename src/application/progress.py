"""Somebody who waits for a long run is told now and then how far it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date

from application.ports.progress import Progress, Step

EVERY = 0.5  # seconds


@asynccontextmanager
async def told(progress: Progress, account_id: str, day: date, look: Callable[[], Step]) -> AsyncIterator[None]:
    """What ``look`` sees is told at once and again and again while the block lasts; then that it is over."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(EVERY)
            await progress.tell(account_id, day, look())

    await progress.tell(account_id, day, look())
    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await progress.tell(account_id, day, None)
