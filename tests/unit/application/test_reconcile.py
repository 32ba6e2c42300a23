"""A day's bills against what we recorded and booked: found, held, booked, closed, and the same again."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta

import pytest

from application.close_statement_day import CloseMatchedDays, CloseStatementDay
from application.fetch_statements import FetchDueStatements, FetchStatement
from application.import_statement import ImportStatement
from application.open_statement_days import OpenStatementDays, published
from application.ports.progress import Step
from application.reconcile import HELD_AGAIN, Reconcile
from domain.actors import SYSTEM, Actor, ActorKind
from domain.channels import Channel, Method, Mode
from domain.errors import ChannelRejected, ChannelUnavailable, Conflict
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.merchants import LatePayment
from domain.money import Money
from domain.numbers import channel_number
from domain.payments import ChannelPayment
from domain.reconciliation import DifferenceKind, Discrepancy
from domain.settlements import Rail, Settlement, SettlementStatus, Source
from domain.statements import (
    DayStatus,
    FundLine,
    Line,
    LineKind,
    LineStatus,
    Movement,
    StatementDay,
    StatementKind,
)
from domain.times import shanghai_day
from tests.approved import approved
from tests.fakes.clock import START, FakeClock
from tests.fakes.house import House
from tests.fakes.progress import FakeProgress
from tests.fakes.statements import FakeStatements, written

ONE = timedelta(days=1)


@dataclass
class Office:
    """A house with its reconciliation, and the bills that its Alipay will publish."""

    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.house = house = House(self.clock)
        self.bills, self.progress = FakeStatements(("BASIC",)), FakeProgress()
        statements = {Channel.ALIPAY: self.bills, Channel.WECHAT: FakeStatements()}
        unit_of_work, clock, ids = house.database.unit_of_work, house.clock, house.ids
        self.open_days = OpenStatementDays(unit_of_work, clock)
        self.import_ = ImportStatement(unit_of_work, statements, clock, ids, self.progress)
        self.reconcile = Reconcile(unit_of_work, clock, ids, self.progress)
        self.fetch = FetchStatement(unit_of_work, statements, self.import_, self.reconcile, clock)
        self.fetch_due = FetchDueStatements(unit_of_work, self.fetch, clock)
        self.close = CloseStatementDay(unit_of_work, clock, ids)
        self.close_matched = CloseMatchedDays(unit_of_work, self.close)
        self.paid: list[ChannelPayment] = []

    async def trade(self, n: int = 1, *, of_platform: bool = True) -> "Office":
        self.merchant = await self.house.merchant(of_platform=of_platform, late_payment=LatePayment.ACCEPT)
        self.account_id = self.merchant.account_ids[0]
        for no in range(n):
            order = await self.house.paid(self.merchant, Method.ALIPAY_QR, f"A-{no}")
            self.paid += await self.house.payments(order)
        self.day = shanghai_day(self.house.clock.now())
        return self

    def lines(self) -> list[Line]:
        return [line_of(payment, n) for n, payment in enumerate(self.paid, start=1)]

    def flows(self, lines: Sequence[Line], opening: int = 0) -> list[FundLine]:
        flows, balance = list[FundLine](), opening
        for line in lines:
            for movement, amount in ((Movement.PAYMENT, line.received.minor), (Movement.FEE, -line.fee)):
                balance += amount
                flows.append(flow(len(flows) + 1, movement, amount, balance, line.transaction_id))
        return flows

    async def run(
        self, lines: Sequence[Line], flows: Sequence[FundLine] | ChannelRejected | None = None, *, later: int = 0
    ) -> StatementDay:
        """The bills are published and read, ``later`` days are read too, and the day is matched."""
        no_fund_bill = ChannelRejected("not for this account", code="bill_not_permitted")
        self.bills.publish(self.account_id, self.day, lines)
        self.bills.publish(self.account_id, self.day, no_fund_bill if flows is None else flows, fund="BASIC")
        async with self.house.database.unit_of_work() as uow:
            for n in range(later + 1):
                await uow.bills.open_day(
                    StatementDay(account_id=self.account_id, mode=self.mode, day=self.day + n * ONE)
                )
        for n in range(1, later + 1):
            self.bills.publish(self.account_id, self.day + n * ONE, [])
            self.bills.publish(self.account_id, self.day + n * ONE, no_fund_bill, fund="BASIC")
            await self.fetch(self.account_id, self.day + n * ONE)
        return await self.fetch(self.account_id, self.day)

    @property
    def mode(self) -> Mode:
        return self.merchant.endpoint.mode

    async def found(self, day: date | None = None) -> list[Discrepancy]:
        async with self.house.database.unit_of_work() as uow:
            return [one for one in await uow.bills.discrepancies(self.account_id, day or self.day) if one.live]

    async def balance(self, kind: AccountKind, owner: str, fund: str = "") -> int:
        async with self.house.database.unit_of_work() as uow:
            return await uow.ledger.balance(Account(kind, owner, self.mode, "CNY", fund))

    async def receivable(self) -> int:
        return -await self.balance(AccountKind.CHANNEL_RECEIVABLE, self.account_id, "BASIC")


def line_of(payment: ChannelPayment, n: int = 1) -> Line:
    return Line(
        n=n,
        day=payment.channel_date,
        kind=LineKind.PAYMENT,
        number=payment.number,
        payment_number=payment.number,
        transaction_id=payment.transaction_id,
        total=payment.total,
        received=payment.received,
        fee=38,  # 0.38 % of 100.00, as the house's accounts have it
        status=LineStatus.SUCCEEDED,
        at=payment.paid_at,
    )


def flow(n: int, movement: Movement, amount: int, balance: int, transaction_id: str = "") -> FundLine:
    return FundLine(
        n=n,
        fund="BASIC",
        flow_id=f"f{n}",
        transaction_id=transaction_id,
        number="",
        movement=movement,
        amount=amount,
        balance=balance,
        at=START,
    )


NOBODYS = channel_number("01KB5P4Z0W3V7H2M9T8Q6R5N4D")


def payout_flow(office: Office, n: int, settlement: Settlement, amount: int, balance: int) -> FundLine:
    line = flow(n, Movement.TRANSFER, amount, balance, f"t{n}")
    return replace(line, number=settlement.number)


async def settled(office: Office) -> Settlement:
    house = office.house
    return await approved(
        house.database.unit_of_work,
        house.vault,
        house.ids,
        house.clock.now(),
        merchant_id=office.merchant.merchant.id,
        source=Source(Rail.ALIPAY, office.account_id, "BASIC"),
    )


async def test_a_payout_in_the_fund_bill_is_no_difference() -> None:
    office = await Office().trade(3)
    settlement = await settled(office)
    await office.house.pay_out(settlement.id)
    flows = office.flows(office.lines())
    balance = flows[-1].balance - settlement.payout.minor
    day = await office.run(
        office.lines(), [*flows, payout_flow(office, 9, settlement, -settlement.payout.minor, balance)]
    )
    assert (day.status, await office.found()) == (DayStatus.MATCHED, [])
    assert await office.receivable() == balance


async def test_a_payout_that_is_under_way_or_came_to_nothing_is_no_difference_either() -> None:
    office = await Office().trade(3)
    under_way, failed = await settled(office), await settled(office)
    flows = office.flows(office.lines())
    balance, paid = flows[-1].balance, under_way.payout.minor
    flows.append(payout_flow(office, 9, under_way, -paid, balance - paid))
    flows.append(payout_flow(office, 10, failed, -paid, balance - 2 * paid))
    flows.append(payout_flow(office, 11, failed, paid, balance - paid))
    day = await office.run(office.lines(), flows)
    assert (day.status, await office.found()) == (DayStatus.MATCHED, [])
    assert await office.receivable() == balance


async def test_a_payout_that_the_bill_gives_back_has_bounced_and_is_booked_so_once() -> None:
    office = await Office().trade(3)
    settlement = await settled(office)
    await office.house.pay_out(settlement.id)
    flows = office.flows(office.lines())
    balance, paid = flows[-1].balance, settlement.payout.minor
    flows.append(payout_flow(office, 9, settlement, -paid, balance - paid))
    flows.append(payout_flow(office, 10, settlement, paid, balance))
    day = await office.run(office.lines(), flows)
    assert (day.status, await office.found()) == (DayStatus.MATCHED, [])
    async with office.house.database.unit_of_work() as uow:
        assert (await uow.settlements.get(settlement.id)).status is SettlementStatus.BOUNCED
    await office.reconcile(office.account_id, office.day)
    assert await office.receivable() == balance
    assert await office.balance(AccountKind.MERCHANT_AVAILABLE, settlement.merchant_id) == paid


async def test_a_payout_that_the_bill_does_not_know_is_a_difference_of_the_balance() -> None:
    office = await Office().trade(3)
    settlement = await settled(office)
    await office.house.pay_out(settlement.id)
    day = await office.run(office.lines(), office.flows(office.lines()))
    assert day.status is DayStatus.WITH_DIFFERENCES
    (found,) = await office.found()
    assert (found.kind, found.amount) == (DifferenceKind.BALANCE, settlement.payout.minor)


@pytest.mark.parametrize("more", [0, 3])
async def test_what_a_rail_charged_for_a_payout_is_matched_with_its_line(more: int) -> None:
    office = await Office().trade(3)
    settlement = await settled(office)
    office.house.alipay.payouts.charge = Money(10)
    await office.house.pay_out(settlement.id)
    flows = office.flows(office.lines())
    balance, paid = flows[-1].balance, settlement.payout.minor
    flows.append(payout_flow(office, 9, settlement, -paid, balance - paid))
    charge = flow(10, Movement.FEE, -10 - more, balance - paid - 10 - more, "t9")
    await office.run(office.lines(), [*flows, replace(charge, number=settlement.number)])
    found = [(one.kind, one.amount) for one in await office.found()]
    assert found == ([(DifferenceKind.UNTRADED, -more)] if more else [])
    assert await office.receivable() == balance - paid - 10


async def test_a_transfer_that_nobody_ordered_is_a_difference() -> None:
    office = await Office().trade(3)
    flows = office.flows(office.lines())
    line = flow(9, Movement.TRANSFER, -500, flows[-1].balance - 500, "t9")
    await office.run(office.lines(), [*flows, replace(line, number=NOBODYS)])
    (found,) = await office.found()
    assert (found.kind, found.amount) == (DifferenceKind.UNTRADED, -500)


async def test_a_day_that_agrees_is_matched_its_costs_are_booked_and_it_closes_by_itself() -> None:
    office = await Office().trade(3)
    day = await office.run(office.lines(), office.flows(office.lines()))
    assert (day.status, day.matched, day.differences, day.held) == (DayStatus.MATCHED, 3, 0, 0)
    assert await office.balance(AccountKind.CHANNEL_COST, "platform") == -3 * 38
    assert await office.receivable() == 3 * (10_000 - 38)
    assert await office.close_matched() == 1
    async with office.house.database.unit_of_work() as uow:
        assert (await uow.bills.day(office.account_id, office.day)).closed


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
    assert day.status is DayStatus.FETCHED
    day = await office.reconcile(office.account_id, office.day)
    assert (day.status, await office.found()) == (DayStatus.MATCHED, [])
    assert await office.balance(AccountKind.CHANNEL_COST, "platform") == -38


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
