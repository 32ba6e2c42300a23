"""Calls that arrive while one is under way are answered by the next one, all at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Batch(Generic[A, R]):
    """Under load many share one transaction. No task of its own: whoever comes first answers for all who have come.

    ``patience`` is how many seconds a call waits for company; without it, a lone call waits for nobody. A failure is
    every sharer's failure, so only share what may be repeated. Whoever is cancelled leaves its work to the next.
    """

    def __init__(self, patience: float = 0.0) -> None:
        self._patience = patience
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._turn = asyncio.Lock()

    async def __call__(self, asked: A, answer: Callable[[Sequence[A]], Awaitable[Sequence[R]]]) -> R:
        """``answer`` gets everything asked and returns one result for each, in their order."""
        mine: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, mine))
        await asyncio.sleep(self._patience)  # even 0 is a turn of the loop: those who start together shall share
        async with self._turn:
            if not mine.done():
                await self._answer_all(answer)
        return mine.result()

    async def _answer_all(self, answer: Callable[[Sequence[A]], Awaitable[Sequence[R]]]) -> None:
        sharers = self._waiting[:]
        try:
            results = await answer([asked for asked, _ in sharers])
        except Exception as failure:  # noqa: BLE001 - handed to everybody who shares it
            for _, future in sharers:
                if not future.done():
                    future.set_exception(failure)
        else:
            for (_, future), result in zip(sharers, results, strict=True):
                if not future.done():
                    future.set_result(result)
        del self._waiting[: len(sharers)]
