"""Run one batch of independent work side by side, so that one failure does not cost the others their turn."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from domain.errors import PitayaError

T = TypeVar("T")


async def together(work: Callable[[T], Awaitable[object]], items: Iterable[T]) -> None:
    """Await ``work`` on every item. Expected failures are left to the next sweep: each item is a row that stays due.

    Anything else is a bug and is raised, after all items have had their turn.
    """
    results = await asyncio.gather(*(work(item) for item in items), return_exceptions=True)
    bugs = [result for result in results if isinstance(result, Exception) and not isinstance(result, PitayaError)]
    if bugs:
        raise ExceptionGroup("unexpected failures in a batch", bugs)
