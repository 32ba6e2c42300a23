"""Days are closed when they are over, in their order, and proved again."""

from datetime import timedelta

import pytest

from application.close_day import CloseDay, ProveDays
from domain.errors import Conflict
from tests.contracts.books import INCOME, PENDING, RECEIVABLE, transfer
from tests.fakes.clock import FakeClock
from tests.fakes.closings import FakeRoots
from tests.fakes.house import House


async def test_days_close_one_after_the_other_and_what_was_closed_can_be_proved() -> None:
    clock = FakeClock()
    house = House(clock=clock)
    unit_of_work, roots = house.database.unit_of_work, FakeRoots()
    close, prove = CloseDay(unit_of_work, roots, house.clock), ProveDays(unit_of_work, roots)
    assert await close() == [], "there is nothing to close before anything was posted"
    async with unit_of_work() as uow:
        await uow.ledger.post([transfer("a", 9_940), transfer("b", 60, credit=INCOME)])
    assert await close.sweep() == 0, "today is not over"
    clock.advance(24 * 3600)
    async with unit_of_work() as uow:
        await uow.ledger.post([transfer("c", 40, debit=PENDING, credit=RECEIVABLE)])
    clock.advance(48 * 3600)
    closed = await close()
    assert [each.transfers for each in closed] == [2, 1, 0]
    assert [root.position for root in roots.lines] == [each.position for each in closed]
    async with unit_of_work() as uow:
        trial = {row.kind: row.closing for row in await uow.closings.trial(closed[-1].day)}
    assert trial == {"CR": -9_960, "FI": 60, "MP": 9_900}
    assert list((await prove()).findings) == []
    key = next(iter(house.database.tables.transfers.committed))
    del house.database.tables.transfers.committed[key]
    assert len((await prove()).findings) >= 2
    with pytest.raises(Conflict):
        await close(closed[-1].day + timedelta(days=1))
