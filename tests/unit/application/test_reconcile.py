"""A day's bills against what we recorded and booked: found, held, booked, and the same again."""

import random
from collections.abc import Sequence

import pytest

from application.reconcile import HELD_AGAIN
from domain.errors import ChannelUnavailable
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.money import Money
from domain.reconciliation import DifferenceKind
from domain.statements import (
    DayStatus,
    Line,
    LineKind,
    LineStatus,
    Movement,
    StatementDay,
)
from tests.unit.application.statements import NOBODYS, ONE, Office, flow


async def test_a_day_that_agrees_is_matched_its_costs_are_booked_and_it_closes_by_itself() -> None:
    office = await Office().trade(3)
    day = await office.run(office.lines(), office.flows(office.lines()))
    assert (day.status, day.matched, day.differences, day.held) == (DayStatus.MATCHED, 3, 0, 0)
    assert await office.balance(AccountKind.CHANNEL_COST, "platform") == -3 * 38
    assert await office.receivable() == 3 * (10_000 - 38)
    assert await office.close_matched() == 1
    async with office.house.database.unit_of_work() as uow:
        assert (await uow.bills.day(office.account_id, office.day)).closed


async def test_running_a_day_again_changes_nothing() -> None:
    office = await Office().trade(2)
    lines = [office.lines()[0]._replace(fee=40), office.lines()[1]]
    first = await office.run(lines, office.flows(lines))
    found, balance = await office.found(), await office.receivable()
    for _ in range(3):
        assert await office.reconcile(office.account_id, office.day) == first
    assert (await office.found(), await office.receivable()) == (found, balance)


@pytest.mark.parametrize(
    ("changes", "kind", "amount"),
    [
        ({"received": Money(9_999)}, DifferenceKind.AMOUNT, -1),
        ({"fee": 40}, DifferenceKind.FEE, 2),
        ({"status": LineStatus.REVERSED}, DifferenceKind.STATUS, 0),
        ({"transaction_id": "another"}, DifferenceKind.TRANSACTION, 0),
    ],
)
async def test_a_line_that_differs_is_one_discrepancy(
    changes: dict[str, object], kind: DifferenceKind, amount: int
) -> None:
    office = await Office().trade(2)
    lines = office.lines()
    lines[0] = lines[0]._replace(**changes)  # type: ignore[arg-type]
    day = await office.run(lines)
    (found,) = await office.found()
    assert (day.status, day.matched) == (DayStatus.WITH_DIFFERENCES, 1)
    assert (found.kind, found.amount, found.number, found.line_n) == (kind, amount, lines[0].number, 1)
    assert found.ours_id == office.paid[0].id


async def test_what_is_missing_on_either_side_is_held_and_then_a_discrepancy() -> None:
    office = await Office().trade(2)
    lost = office.lines()[0]._replace(n=9, number=NOBODYS, payment_number=NOBODYS, transaction_id="t9")
    day = await office.run([office.lines()[0], lost])
    assert (day.status, day.held, await office.found()) == (DayStatus.MATCHED, 2, [])
    assert await office.close_matched() == 0
    assert day.next_at == office.clock.now() + HELD_AGAIN, "nobody has to ask for the second look"
    await office.run([office.lines()[0], lost], later=1)
    kinds = {one.kind: one.amount for one in await office.found()}
    assert kinds == {DifferenceKind.MISSING_HERE: 10_000, DifferenceKind.MISSING_THERE: -10_000}


@pytest.mark.parametrize("days", [1, 2, 3])
async def test_what_is_missing_waits_as_many_days_as_it_is_said_and_its_other_side_may_come_on_the_last(
    days: int,
) -> None:
    office = await Office(hold_days=days).trade(2)
    for later in range(days):
        day = await office.run(office.lines()[:1], later=later)
        assert (day.held, day.differences) == (1, 0), f"{later} days later"
    late = office.lines()[1]._replace(n=1, day=office.day + days * ONE)
    async with office.house.database.unit_of_work() as uow:
        await uow.bills.open_day(StatementDay(account_id=office.account_id, mode=office.mode, day=late.day))
    office.bills.publish(office.account_id, late.day, [late])
    assert (await office.fetch(office.account_id, late.day)).matched == 1
    again = await office.reconcile(office.account_id, office.day)
    assert (again.held, again.differences) == (0, 0)


@pytest.mark.parametrize("days", [1, 2, 3])
async def test_what_has_waited_long_enough_is_a_discrepancy(days: int) -> None:
    office = await Office(hold_days=days).trade(2)
    for later, told in ((days - 1, (1, 0)), (days, (0, 1))):
        day = await office.run(office.lines()[:1], later=later)
        assert (day.held, day.differences) == told, f"{later} days later"


async def test_a_payment_over_midnight_waits_for_its_neighbour_and_is_no_difference() -> None:
    office = await Office().trade(1)
    await office.run([])
    async with office.house.database.unit_of_work() as uow:
        await uow.bills.open_day(StatementDay(account_id=office.account_id, mode=office.mode, day=office.day + ONE))
    office.bills.publish(office.account_id, office.day + ONE, [office.lines()[0]._replace(day=office.day + ONE)])
    next_day = await office.fetch(office.account_id, office.day + ONE)
    again = await office.reconcile(office.account_id, office.day)
    assert (next_day.matched, next_day.held, again.held, again.differences) == (1, 0, 0, 0)


async def test_a_line_twice_is_a_duplicate() -> None:
    office = await Office().trade(1)
    await office.run([office.lines()[0], office.lines()[0]._replace(n=2)])
    assert [(one.kind, one.line_n) for one in await office.found()] == [(DifferenceKind.DUPLICATE, 2)]


async def test_a_line_three_times_is_two_duplicates_however_often_it_is_looked_at() -> None:
    office = await Office().trade(1)
    await office.run([office.lines()[0]._replace(n=n) for n in (1, 2, 3)])
    for _ in range(2):
        found = await office.found()
        assert [(one.kind, one.line_n) for one in found] == [(DifferenceKind.DUPLICATE, n) for n in (2, 3)]
        await office.reconcile(office.account_id, office.day)


async def test_two_refunds_in_the_console_of_one_payment_are_two_that_are_missing_here() -> None:
    office = await Office().trade(1)
    console = office.lines()[0]._replace(kind=LineKind.REFUND, number="", fee=0)
    lines = [office.lines()[0], *(console._replace(n=n, received=Money(n)) for n in (2, 3))]
    await office.run(lines, later=1)
    found = [(one.kind, one.amount) for one in await office.found()]
    assert found == [(DifferenceKind.MISSING_HERE, -2), (DifferenceKind.MISSING_HERE, -3)]


async def test_in_a_merchants_own_account_others_are_counted_and_the_books_are_the_memorandum_pair() -> None:
    office = await Office().trade(1, of_platform=False)
    foreign = office.lines()[0]._replace(n=2, number="SHOP-7", payment_number="SHOP-7", transaction_id="x", fee=999)
    day = await office.run([office.lines()[0], foreign])
    assert (day.status, day.matched, day.foreign) == (DayStatus.MATCHED, 1, 1)
    assert await office.balance(AccountKind.DIRECT_OWED, office.merchant.merchant.id) == 10_000 - 38
    assert await office.receivable() == 0


async def test_what_was_traded_and_not_moved_is_found_and_what_explains_it_is_no_second_difference() -> None:
    office = await Office().trade(2)
    flows = office.flows(office.lines()[:1])
    await office.run(office.lines(), flows)
    assert [(one.kind, one.amount) for one in await office.found()] == [(DifferenceKind.UNMOVED, -9_962)]


async def test_a_balance_that_does_not_follow_from_the_lines_is_found() -> None:
    office = await Office().trade(1)
    await office.run(office.lines(), office.flows(office.lines(), opening=500))
    assert await office.found() == []  # the first bill says what was there before
    assert await office.receivable() == 9_962 + 500
    office.day += ONE
    await office.run([], [flow(1, Movement.PAYOUT, -400, 10_000)])
    assert [(one.key, one.amount) for one in await office.found()] == [("balance:BASIC:opening", -62)]


async def test_what_a_day_opens_with_waits_for_the_fund_bill_of_the_day_before() -> None:
    office = await Office().trade(1)
    await office.run(office.lines(), office.flows(office.lines()))
    middle, late = office.day + ONE, ChannelUnavailable("being made", code="bill_not_ready")
    office.day = middle
    office.bills.publish(office.account_id, middle, late, fund="BASIC")
    async with office.house.database.unit_of_work() as uow:
        await uow.bills.open_day(StatementDay(account_id=office.account_id, mode=office.mode, day=middle))
    assert (await office.fetch(office.account_id, middle)).next_at is not None
    office.day += ONE
    day = await office.run([], [flow(1, Movement.PAYOUT, -400, 9_500)])
    assert (day.differences, day.held) == (0, 1)
    office.bills.publish(office.account_id, middle, [flow(1, Movement.PAYOUT, -62, 9_900)], fund="BASIC")
    assert (await office.fetch(office.account_id, middle)).differences == 0
    day = await office.reconcile(office.account_id, office.day)
    assert (day.differences, day.held, await office.found()) == (0, 0, [])


async def test_what_a_day_opens_with_is_a_difference_when_no_fund_bill_of_the_day_before_is_to_come() -> None:
    office = await Office().trade(1)
    await office.run(office.lines(), office.flows(office.lines()))
    office.day += ONE
    await office.run([])
    office.day += ONE
    day = await office.run([], [flow(1, Movement.PAYOUT, -400, 9_500)])
    assert (day.differences, day.held) == (1, 0)


async def test_a_payout_to_the_bank_is_booked_once_and_an_unknown_movement_is_for_a_person() -> None:
    office = await Office().trade(1)
    flows = [*office.flows(office.lines()), flow(3, Movement.PAYOUT, -9_000, 962), flow(4, Movement.OTHER, 38, 1_000)]
    for _ in range(2):
        await office.run(office.lines(), flows)
    assert await office.receivable() == 962
    assert await office.balance(AccountKind.BANK_TRANSIT, "platform") == -9_000
    assert [(one.kind, one.amount) for one in await office.found()] == [(DifferenceKind.UNTRADED, 38)]


@pytest.mark.parametrize("booked", [True, False])
async def test_a_share_that_the_platform_got_is_no_difference_once_it_is_booked(booked: bool) -> None:
    office = await Office().trade(1)
    if booked:
        share = Transfer(
            idem_key="share:shr_1:0:income",
            fact="shared",
            debit=Account(AccountKind.CHANNEL_RECEIVABLE, office.account_id, office.mode, "CNY", "BASIC"),
            credit=Account(AccountKind.FEE_INCOME, PLATFORM, office.mode, "CNY"),
            amount=Money(70),
            about="shr_1",
            channel_date=office.day,
        )
        async with office.house.database.unit_of_work() as uow:
            await uow.ledger.post([share])
    flows = [*office.flows(office.lines()), flow(3, Movement.SHARED, 70, 10_032)]
    await office.run(office.lines(), flows)
    found = [(one.kind, one.amount) for one in await office.found()]
    assert found == ([] if booked else [(DifferenceKind.BALANCE, 70)])


PLANTS = ("amount", "fee", "status", "missing_there", "missing_here", "duplicate")


@pytest.mark.parametrize("seed", range(60))
async def test_every_planted_difference_is_found_and_no_other(seed: int) -> None:
    """Bills with seeded faults, sometimes two on one line, against one day of ours: recall 1 and precision 1."""
    chance = random.Random(seed)
    office = await Office().trade(chance.randint(1, 6))
    lines: list[Line] = []
    planted: set[tuple[str, str]] = set()
    for line in office.lines():
        faults = chance.sample(PLANTS, chance.choice((0, 0, 1, 2)))
        for fault in faults:
            planted.add((fault, line.number))
            if fault == "missing_here":
                number = NOBODYS[:-2] + str(len(lines))
                lines.append(line._replace(number=number, payment_number=number, transaction_id=f"lost{len(lines)}"))
                planted ^= {(fault, line.number), (fault, number)}
        if "missing_there" in faults:
            planted -= {(fault, line.number) for fault in PLANTS if fault != "missing_there"}
            continue
        lines += [spoilt(line, faults, chance)] * (2 if "duplicate" in faults else 1)
    await office.run([line._replace(n=n) for n, line in enumerate(lines, start=1)], later=1)
    assert {(one.kind.value, one.number) for one in await office.found()} == planted


def spoilt(line: Line, faults: Sequence[str], chance: random.Random) -> Line:
    changes: dict[str, object] = {}
    if "amount" in faults:
        changes["received"] = Money(line.received.minor + chance.choice((-1, 1, 500)))
    if "fee" in faults:
        changes["fee"] = line.fee + chance.choice((-1, 1))
    if "status" in faults:
        changes["status"] = LineStatus.REVERSED
    return line._replace(**changes)  # type: ignore[arg-type]
