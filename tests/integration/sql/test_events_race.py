"""Many write events at once, and who reads /v1/events meanwhile loses none and gets none twice."""

import asyncio
import random

from domain.channels import Mode
from tests.contracts.stage import Stage

WRITERS, EACH = 6, 40


async def test_a_reader_beside_six_writers_sees_every_event_once(stage: Stage) -> None:
    """Cursors of the form id > last lose some (reliability.md 4.3); xid below the snapshot's xmin loses none."""
    chance = random.Random(7)
    made: list[str] = []
    done = asyncio.Event()

    async def write(n: int) -> None:
        for k in range(EACH):
            order = stage.new_order(f"W{n}-{k}")
            async with stage.unit_of_work() as uow:
                await uow.orders.add(order)
                if chance.random() < 0.5:  # the event has its place already, and its commit comes late
                    await uow.orders.lock(order.id)
                    await asyncio.sleep(chance.uniform(0, 0.01))
            made.append(order.events[0].id)

    async def read() -> list[str]:
        seen, cursor, quiet = list[str](), None, 0
        while quiet < 20:
            page = await stage.queries.events(stage.merchant.id, Mode.TEST, cursor=cursor, limit=7)
            seen += [row["id"] for row in page.rows]
            cursor = page.next_cursor
            quiet = quiet + 1 if done.is_set() and not page.rows else 0
            await asyncio.sleep(0 if page.rows else 0.005)
        return seen

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write(n) for n in range(WRITERS)))
    done.set()
    seen = await asyncio.wait_for(reading, 60)
    assert len(seen) == len(set(seen)), "an event came twice"
    assert set(seen) == set(made), f"{len(set(made) - set(seen))} of {len(made)} events were lost"
