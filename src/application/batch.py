"""Calls that arrive while one is under way are answered by the next one, all at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

A = TypeVar("A")
R = TypeVar("R")
# A result is wrapped, so that None can say: nobody answered, begin again.
Told: TypeAlias = asyncio.Future[tuple[R] | None]


class Batch(Generic[A, R]):
    """Under load many share one transaction. No task of its own: the first who comes leads and answers for all who have
    come, and the others do nothing but wait. Who comes meanwhile begins again after it.

    ``patience`` is how many seconds a leader waits for company; without it, a lone call waits for nobody. A failure is
    every sharer's failure, so only share what may be repeated. Whoever is cancelled leaves its work to the next.
    """

    def __init__(self, patience: float = 0.0) -> None:
        self._patience = patience
        self._waiting: list[tuple[A, Told[R]]] = []
        self._led = False

    async def __call__(self, asked: A, answer: Callable[[Sequence[A]], Awaitable[Sequence[R]]]) -> R:
        """``answer`` gets everything asked and returns one result for each, in their order."""
        told = None
        while told is None:
            mine: Told[R] = asyncio.get_running_loop().create_future()
            self._waiting.append((asked, mine))
            if not self._led:
                await self._lead(mine, answer)
            told = await mine
        return told[0]

    async def _lead(self, mine: Told[R], answer: Callable[[Sequence[A]], Awaitable[Sequence[R]]]) -> None:
        self._led = True
        sharers: list[tuple[A, Told[R]]] = []
        try:
            await asyncio.sleep(self._patience)  # even 0 is a turn of the loop: those who start together shall share
            sharers, self._waiting = self._waiting, []
            await self._answer_all(sharers, answer)
            sharers = []
        except asyncio.CancelledError:
            mine.cancel()
            raise
        finally:
            left = [*sharers, *self._waiting]
            self._waiting = [each for each in left if each[1].cancelled()]  # nobody comes back with these
            self._led = False
            for _, future in left:
                if not future.done():
                    future.set_result(None)

    async def _answer_all(
        self, sharers: Sequence[tuple[A, Told[R]]], answer: Callable[[Sequence[A]], Awaitable[Sequence[R]]]
    ) -> None:
        try:
            results = await answer([asked for asked, _ in sharers])
        except Exception as failure:  # noqa: BLE001 - handed to everybody who shares it
            for _, future in sharers:
                if not future.done():
                    future.set_exception(failure)
        else:
            for (_, future), result in zip(sharers, results, strict=True):
                if not future.done():
                    future.set_result((result,))
