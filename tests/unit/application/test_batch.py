"""Many calls, few answers: who shares, who waits, and what a failure or a cancellation costs the others."""

import asyncio
from collections.abc import Sequence

import pytest

from application.batch import Batch


class Server:
    """Doubles numbers, a batch at a time; the first batch may be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def asked(self) -> None:
        """Until the first batch has come."""
        while not self.batches:  # noqa: ASYNC110 - one turn of the loop
            await asyncio.sleep(0)

    async def double(self, asked: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(asked))
        await self.free.wait()
        if 13 in asked:
            raise ValueError("13")
        return [2 * number for number in asked]


async def test_those_who_come_together_share_one_answer_each_its_own() -> None:
    server, batch = Server(), Batch[int, int]()
    assert await asyncio.gather(*(batch(n, server.double) for n in range(5))) == [0, 2, 4, 6, 8]
    assert server.batches == [[0, 1, 2, 3, 4]]


async def test_those_who_come_meanwhile_share_the_next() -> None:
    server, batch = Server(), Batch[int, int]()
    server.free.clear()
    first = asyncio.create_task(batch(1, server.double))
    await server.asked()
    later = [asyncio.create_task(batch(n, server.double)) for n in (2, 3)]
    await asyncio.sleep(0)
    server.free.set()
    assert await asyncio.gather(first, *later) == [2, 4, 6]
    assert server.batches == [[1], [2, 3]]


async def test_with_patience_those_who_come_one_by_one_share_too() -> None:
    server, batch = Server(), Batch[int, int](patience=0.05)

    async def after(turns: int, number: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await batch(number, server.double)

    assert await asyncio.gather(*(after(5 * n, n) for n in range(4))) == [0, 2, 4, 6]
    assert server.batches == [[0, 1, 2, 3]]


async def test_a_failure_is_told_to_all_who_shared_it_and_to_nobody_after() -> None:
    server, batch = Server(), Batch[int, int]()
    failures = await asyncio.gather(*(batch(n, server.double) for n in (12, 13)), return_exceptions=True)
    assert [repr(failure) for failure in failures] == ["ValueError('13')"] * 2
    assert await batch(14, server.double) == 28


async def test_who_is_cancelled_while_answering_leaves_the_work_to_the_next() -> None:
    server, batch = Server(), Batch[int, int]()
    server.free.clear()
    tasks = [asyncio.create_task(batch(n, server.double)) for n in (1, 2)]
    await server.asked()
    tasks[0].cancel()
    server.free.set()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert await tasks[1] == 4
    assert server.batches == [[1, 2], [1, 2]]


async def test_who_is_cancelled_while_waiting_for_company_leaves_the_work_to_the_next() -> None:
    server, batch = Server(), Batch[int, int](patience=0.01)
    tasks = [asyncio.create_task(batch(n, server.double)) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[1].cancel()
    assert await tasks[2] == 6
    assert [sorted(each) for each in server.batches] == [[1, 2, 3]]


async def test_what_is_left_when_all_are_cancelled_is_done_with_the_next_who_comes() -> None:
    server, batch = Server(), Batch[int, int]()
    tasks = [asyncio.create_task(batch(n, server.double)) for n in (1, 2)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await batch(3, server.double) == 6
    assert sorted(server.batches[-1]) == [1, 2, 3]


async def test_who_is_cancelled_meanwhile_leaves_the_work_to_the_next_leader() -> None:
    server, batch = Server(), Batch[int, int]()
    server.free.clear()
    first = asyncio.create_task(batch(1, server.double))
    await server.asked()
    later = [asyncio.create_task(batch(n, server.double)) for n in (2, 3)]
    await asyncio.sleep(0)
    later[0].cancel()
    server.free.set()
    assert [await first, await later[1]] == [2, 6]
    assert server.batches == [[1], [2, 3]]
