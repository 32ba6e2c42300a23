"""A statement's day: opened, its bills fetched, torn, late or handed in, and closed."""

import io
from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from application.open_statement_days import published
from application.ports.progress import Step
from domain.actors import SYSTEM, Actor, ActorKind
from domain.errors import ChannelUnavailable, Conflict
from domain.ledger import AccountKind
from domain.money import Money
from domain.statements import (
    DayStatus,
    StatementDay,
    StatementKind,
)
from tests.fakes.statements import written
from tests.unit.application.statements import NOBODYS, ONE, Office


async def test_a_run_tells_how_far_it_is_and_when_it_is_over() -> None:
    office = await Office().trade(1)
    await office.run(office.lines())
    told = office.progress.told
    assert [step.bill for step in told if step] == ["trade", ""], "read, then matched"
    assert (told[-1], office.progress.steps) == (None, {})


async def test_a_run_that_fails_is_over_too() -> None:
    office = await Office().trade(1)
    async with office.house.database.unit_of_work() as uow:
        await uow.bills.open_day(StatementDay(account_id=office.account_id, mode=office.mode, day=office.day))
    office.bills.publish(office.account_id, office.day, b"torn")
    await office.fetch(office.account_id, office.day)
    assert office.progress.told == [Step(bill="trade", size=4), None]


async def test_days_that_wait_do_not_keep_others_from_closing() -> None:
    office = await Office().trade(1)
    day = await office.run(office.lines())
    async with office.house.database.unit_of_work() as uow:
        for n in range(1, 4):  # older, and so before it in the order
            older = replace(day, day=day.day - n * ONE, held=1)
            await uow.bills.open_day(older)
    assert await replace(office.close_matched, batch=2)() == 1
    async with office.house.database.unit_of_work() as uow:
        assert (await uow.bills.day(office.account_id, office.day)).closed


async def test_a_bill_that_is_not_ready_is_asked_for_again_and_one_that_is_late_is_no_zero() -> None:
    office = await Office().trade(1)
    office.clock.advance(24 * 3600)
    office.bills.publish(office.account_id, office.day, ChannelUnavailable("BILL_CREATING", code="bill_not_ready"))
    office.bills.publish(
        office.account_id, office.day, ChannelUnavailable("later", code="bill_not_ready"), fund="BASIC"
    )
    assert await office.open_days() == 1
    office.clock.set(published(office.day).astimezone(UTC))
    assert await office.fetch_due() == 1
    async with office.house.database.unit_of_work() as uow:
        day = await uow.bills.day(office.account_id, office.day)
    assert (day.status, day.next_at) == (DayStatus.AWAITING_BILL, office.house.clock.now() + timedelta(minutes=20))
    office.bills.publish(office.account_id, office.day, office.lines())
    office.bills.publish(office.account_id, office.day, office.flows(office.lines()), fund="BASIC")
    assert await office.fetch_due() == 0
    office.clock.advance(20 * 60)
    assert await office.fetch_due() == 1
    async with office.house.database.unit_of_work() as uow:
        assert (await uow.bills.day(office.account_id, office.day)).status is DayStatus.MATCHED


async def test_days_that_nobody_was_there_for_are_caught_up_once() -> None:
    office = await Office().trade(1)
    assert await office.open_days() == 0  # today has no bill yet
    office.clock.advance(5 * 24 * 3600)
    assert await office.open_days() == 5
    assert await office.open_days() == 0


async def test_a_torn_fund_bill_leaves_the_trade_bill_matched_and_is_fetched_again() -> None:
    office = await Office().trade(1)
    await office.run(office.lines())
    whole = office.flows(office.lines())
    again = office.day + ONE
    async with office.house.database.unit_of_work() as uow:
        await uow.bills.open_day(StatementDay(account_id=office.account_id, mode=office.mode, day=again))
    line = office.lines()[0]._replace(day=again, number=NOBODYS, payment_number=NOBODYS, transaction_id="t9")
    office.bills.publish(office.account_id, again, [line])
    office.bills.publish(office.account_id, again, written(whole)[:-9], fund="BASIC")
    day = await office.fetch(office.account_id, again)
    assert (day.status, day.held, set(day.files)) == (DayStatus.MATCHED, 1, {"trade"})
    assert day.next_at is not None
    assert "line" in day.note
    office.bills.publish(office.account_id, again, office.flows([line]), fund="BASIC")
    assert set((await office.fetch(office.account_id, again)).files) == {"trade", "fund:BASIC"}


async def test_a_torn_file_is_refused_with_its_line_and_nothing_of_it_is_kept() -> None:
    office = await Office().trade(1)
    async with office.house.database.unit_of_work() as uow:
        await uow.bills.open_day(StatementDay(account_id=office.account_id, mode=office.mode, day=office.day))
    office.bills.publish(office.account_id, office.day, b"{not a line")
    day = await office.fetch(office.account_id, office.day)
    assert (day.status, day.note) == (DayStatus.FETCH_FAILED, "line 1: not a line of this channel")
    assert day.next_at is not None
    async with office.house.database.unit_of_work() as uow:
        assert await uow.bills.file(office.account_id, office.day, "trade") is None


async def test_a_day_with_differences_closes_only_with_an_approval() -> None:
    office = await Office().trade(1)
    await office.run([office.lines()[0]._replace(fee=1)])
    with pytest.raises(Conflict) as refused:
        await office.close(SYSTEM, office.account_id, office.day)
    assert refused.value.code == "day_has_differences"
    async with office.house.database.unit_of_work() as uow:
        closed = await office.close.within(uow, SYSTEM, office.account_id, office.day, approved=True)
    assert closed.closed


async def test_a_bill_published_anew_reopens_the_day_and_what_it_mended_vanishes() -> None:
    office = await Office().trade(1)
    await office.run([office.lines()[0]._replace(fee=40)])
    async with office.house.database.unit_of_work() as uow:
        await office.close.within(uow, SYSTEM, office.account_id, office.day, approved=True)
        access = await uow.accounts.access(office.account_id)
    source = io.BytesIO(written(office.lines()))
    day = await office.import_(access, office.day, StatementKind.TRADE, source)
    assert day.status is DayStatus.REOPENED
    day = await office.reconcile(office.account_id, office.day)
    assert (day.status, await office.found()) == (DayStatus.MATCHED, [])
    assert await office.balance(AccountKind.CHANNEL_COST, "platform") == -38


async def test_a_bill_published_anew_after_closing_says_what_it_has_changed() -> None:
    office = await Office().trade(2)
    one, other = office.lines()
    await office.run([one._replace(fee=40), other])
    async with office.house.database.unit_of_work() as uow:
        await office.close.within(uow, SYSTEM, office.account_id, office.day, approved=True)
    assert (await office.fetch(office.account_id, office.day, again=True)).closed, "the same bill changes nothing"
    office.bills.publish(office.account_id, office.day, [one, other._replace(received=Money(9_900))])
    assert (await office.fetch(office.account_id, office.day)).closed, "a sweep asks for what is missing alone"
    day = await office.fetch(office.account_id, office.day, again=True)
    told = "reopened by another bill: 1 lines agree (1 before), differences: 1 came, 1 went"
    assert (day.status, day.note) == (DayStatus.WITH_DIFFERENCES, told)
    assert await office.reconcile(office.account_id, office.day) == day, "a run again changes nothing"
    async with office.house.database.unit_of_work() as uow:
        records = await uow.audit.about(f"{office.account_id}:{office.day}")
    (record,) = [record for record in records if record.action == "statement_day.reopened"]
    assert record.before == {"matched": 1, "differences": 1}
    assert record.after == {
        "matched": 1,
        "differences": 1,
        "came": [f"amount:payment:{other.number}"],
        "gone": [f"fee:payment:{one.number}"],
    }


async def test_an_uploaded_file_says_who_brought_it() -> None:
    office = await Office().trade(1)
    clerk = Actor(kind=ActorKind.OPERATOR, id="usr_1", name="clerk")
    async with office.house.database.unit_of_work() as uow:
        access = await uow.accounts.access(office.account_id)
    source = io.BytesIO(written(office.lines()))
    await office.import_(access, office.day, StatementKind.TRADE, source, actor=clerk)
    async with office.house.database.unit_of_work() as uow:
        file = await uow.bills.file(office.account_id, office.day, "trade")
        assert file is not None
        assert file.provenance == "upload:usr_1"
        assert [record.action for record in await uow.audit.about(file.id)] == ["statement.uploaded"]
