"""Settlement: everything available is swept once, approved by a second person, or given back."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from application.open_merchant import OpenedMerchant
from domain.channels import Mode
from domain.errors import Conflict, Forbidden, InvalidRequest, NotFound
from domain.ledger import AccountKind
from domain.money import Money
from domain.orders import Order
from domain.proposals import OPEN_FOR
from domain.settlement_postings import payout_bounced, payout_done
from domain.settlement_rules import Cycle, SettlementRule
from domain.settlements import Rail, SettlementOrigin, SettlementStatus, Source
from tests.fakes.clock import FakeClock
from tests.fakes.house import House
from tests.fakes.treasury import Treasury

MP, MA, MS, MD, FI, BANK, CC = (
    AccountKind.MERCHANT_PENDING,
    AccountKind.MERCHANT_AVAILABLE,
    AccountKind.MERCHANT_SETTLING,
    AccountKind.MERCHANT_DEBT,
    AccountKind.FEE_INCOME,
    AccountKind.BANK,
    AccountKind.CHANNEL_COST,
)


@pytest.fixture
async def treasury(house: House, merchant: OpenedMerchant) -> Treasury:
    """With 198.80 available."""
    treasury = Treasury(house)
    await house.paid(merchant)
    await house.paid(merchant, no="A-2")
    await treasury.next_days(1)
    return treasury


async def moving(house: House, merchant: OpenedMerchant) -> tuple[int, int]:
    return await house.balance(MA, merchant.merchant.id), await house.balance(MS, merchant.merchant.id)


async def test_a_settlement_sweeps_all_that_is_available_and_the_next_finds_nothing(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    settlement = await treasury.settled(merchant)
    assert (settlement.amount, settlement.payout, settlement.lines) == (Money(19_880), Money(19_880), 2)
    assert await moving(house, merchant) == (0, 19_880)
    with pytest.raises(Conflict) as caught:
        await treasury.settled(merchant)
    assert caught.value.code == "nothing_to_settle"
    async with house.database.unit_of_work() as uow:
        inside = await uow.sweeps.inside(settlement.id)
    assert [line.amount for line in inside] == [9_940, 9_940, -19_880]
    assert await treasury.wrong() == []


async def test_two_who_settle_at_once_make_one_settlement(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    done = await asyncio.gather(*(treasury.settled(merchant) for _ in range(3)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "Conflict", "Settlement"]
    assert await moving(house, merchant) == (0, 19_880)


async def test_what_is_beyond_the_maximum_is_the_next_ones(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    await treasury.rule(merchant, maximum=Money(15_000), fee=Money(100), minimum=Money(101))
    first = await treasury.settled(merchant)
    assert (first.swept, first.amount, first.fee, first.payout) == tuple(map(Money, (19_880, 15_000, 100, 14_900)))
    assert await moving(house, merchant) == (4_880, 15_000)
    second = await treasury.settled(merchant)
    assert (second.swept, second.amount, second.lines) == (Money(4_880), Money(4_880), 1)
    assert await moving(house, merchant) == (0, 19_880)
    assert await treasury.wrong() == []


async def test_less_than_the_minimum_waits(house: House, merchant: OpenedMerchant, treasury: Treasury) -> None:
    await treasury.rule(merchant, minimum=Money(19_881))
    with pytest.raises(Conflict) as caught:
        await treasury.settled(merchant)
    assert caught.value.code == "settlement_below_minimum"
    assert await moving(house, merchant) == (19_880, 0)


async def test_a_suspended_merchant_cannot_ask_and_one_on_hold_is_not_settled(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    async with house.database.unit_of_work() as uow:
        found = await uow.merchants.lock(merchant.merchant.id)
        await uow.merchants.save(found.suspended())
    with pytest.raises(Forbidden):
        await treasury.settle(treasury.mina, merchant.merchant.id, Mode.TEST, SettlementOrigin.MERCHANT)
    hold = await treasury.holds.place(treasury.mina, merchant.merchant.id, None, "under investigation")
    with pytest.raises(Conflict) as caught:
        await treasury.settled(merchant)
    assert caught.value.code == "merchant_on_hold"
    await treasury.holds.lift(treasury.mina, hold.id, "cleared")
    assert (await treasury.settled(merchant)).status is SettlementStatus.CREATED


async def test_a_refund_of_released_money_makes_the_settlement_smaller(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    order = _order(house)
    await house.refund(merchant, order, 4_000)
    assert (await treasury.settled(merchant)).amount == Money(19_880 - 3_976)
    assert await treasury.wrong() == []


def _order(house: House) -> Order:
    return min((row.order for row in house.database.tables.orders.committed.values()), key=lambda order: order.id)


# ── Approval ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_second_person_approves_and_the_payee_is_frozen_as_it_stands(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    settlement = await treasury.settled(merchant)
    await treasury.payee(merchant)
    with pytest.raises(Forbidden):
        await treasury.decide.approve(treasury.mina, (await treasury.proposal(settlement)).id)
    approved = await treasury.approved(settlement)
    assert (approved.status, approved.approved_by) == (SettlementStatus.APPROVED, treasury.chen.id)
    assert approved.payee is not None
    assert approved.payee.last4 == "6789"
    assert approved.source == Source(Rail.MANUAL, "platform")
    with pytest.raises(Conflict):
        await treasury.decide.approve(treasury.chen, (await treasury.proposal(settlement)).id)


async def test_without_a_payee_or_with_one_just_changed_it_waits(
    house: House, merchant: OpenedMerchant, treasury: Treasury, clock: FakeClock
) -> None:
    settlement = await treasury.settled(merchant)
    with pytest.raises(Conflict) as caught:
        await treasury.approved(settlement)
    assert caught.value.code == "payee_missing"
    await treasury.payee(merchant)
    async with house.database.unit_of_work() as uow:
        found = await uow.merchants.lock(merchant.merchant.id)
        assert found.payee is not None
        await uow.merchants.save(replace(found, payee=replace(found.payee, changed_at=clock.now())))
    clock.advance(86_399)
    with pytest.raises(Conflict) as caught:
        await treasury.approved(settlement)
    assert caught.value.code == "payee_cooling_off"
    assert (await treasury.now(settlement)).status is SettlementStatus.CREATED
    clock.advance(1)
    assert (await treasury.approved(settlement)).status is SettlementStatus.APPROVED


async def test_a_rail_pays_only_to_a_payee_that_it_knows(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    (account, *_) = house.database.tables.accounts.committed.values()
    await treasury.rule(merchant, source=Source(Rail.ALIPAY, account.id, "BASIC"))
    settlement = await treasury.settled(merchant)
    await treasury.payee(merchant)  # a bank account
    with pytest.raises(Conflict) as caught:
        await treasury.approved(settlement)
    assert caught.value.code == "payee_amiss"


@pytest.mark.parametrize("end", ["rejected", "expired"])
async def test_what_is_not_approved_goes_back_and_is_swept_again(
    house: House, merchant: OpenedMerchant, treasury: Treasury, clock: FakeClock, end: str
) -> None:
    settlement = await treasury.settled(merchant)
    if end == "rejected":
        await treasury.decide.reject(treasury.chen, (await treasury.proposal(settlement)).id, "not this week")
    else:
        clock.advance(OPEN_FOR.total_seconds())
        await treasury.expire()
    gone = await treasury.now(settlement)
    assert (gone.status, bool(gone.failure)) == (SettlementStatus.REJECTED, True)
    assert await moving(house, merchant) == (19_880, 0)
    again = await treasury.settled(merchant)
    assert (again.amount, again.lines) == (Money(19_880), 1)
    assert await treasury.wrong() == []


async def test_two_who_decide_at_once_decide_once(house: House, merchant: OpenedMerchant, treasury: Treasury) -> None:
    settlement = await treasury.settled(merchant)
    await treasury.payee(merchant)
    asked = (await treasury.proposal(settlement)).id
    decisions = (treasury.decide.approve(treasury.chen, asked), treasury.decide.reject(treasury.chen, asked, "no"))
    done = await asyncio.gather(*decisions, return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in done) == 1
    status = (await treasury.now(settlement)).status
    back = 19_880 if status is SettlementStatus.REJECTED else 0
    assert await moving(house, merchant) == (back, 19_880 - back)


# ── By rule ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_merchant_is_settled_when_its_rule_says_so_once_a_cycle(
    house: House, merchant: OpenedMerchant, treasury: Treasury, clock: FakeClock
) -> None:
    await treasury.rule(merchant, cycle=Cycle.DAILY)
    clock.set(datetime(2026, 11, 23, 5, 59, tzinfo=UTC))
    assert await treasury.settle_due() == 0
    clock.advance(60)  # 14:00 in Shanghai
    swept = await asyncio.gather(*(treasury.settle_due() for _ in range(3)))
    assert sum(swept) == 1
    (proposal,) = treasury.open_proposals()
    assert proposal.payload["amount"] == 19_880
    assert proposal.made_by_name == "system"
    assert await treasury.settle_due() == 0
    clock.advance(86_400)
    assert (await treasury.settle_due(), len(treasury.open_proposals())) == (1, 1)  # nothing new: the next day again


async def test_a_debt_is_repaid_before_anything_is_settled(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    settled = await treasury.settled(merchant)
    order = _order(house)
    (attempt,) = await house.attempts(order)
    number = house.alipay.console(attempt.number, Money(4_000))
    await house.refund_notice(house.alipay, number, attempt.account_id)
    await treasury.decide.reject(treasury.chen, (await treasury.proposal(settled)).id, "first the debt")
    again = await treasury.settled(merchant)
    assert again.amount == Money(19_880 - 3_976)
    assert await house.balance(MD, merchant.merchant.id) == 0
    assert await treasury.wrong() == []


# ── Rules ────────────────────────────────────────────────────────────────────────────────────────────────────────────

MONDAY = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cycle", "day", "next_day"),
    [
        (Cycle.DAILY, 0, date(2026, 11, 23)),
        (Cycle.WEEKLY, 3, date(2026, 11, 25)),
        (Cycle.WEEKLY, 6, date(2026, 11, 30)),  # a Saturday: the next workday
        (Cycle.MONTHLY, 1, date(2026, 12, 1)),
        (Cycle.MONTHLY, 23, date(2026, 11, 23)),
    ],
)
def test_the_next_settlement_falls_on_a_workday(treasury: Treasury, cycle: Cycle, day: int, next_day: date) -> None:
    rule = SettlementRule(merchant_id="mch_1", cycle=cycle, day=day)
    due = rule.scheduled(MONDAY, treasury.workdays.is_workday).next_at
    assert due is not None
    assert due.date() == next_day
    after = rule.scheduled(due, treasury.workdays.is_workday).next_at
    assert after is not None
    assert after > due + timedelta(hours=20)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cycle": Cycle.WEEKLY},
        {"cycle": Cycle.WEEKLY, "day": 8},
        {"cycle": Cycle.MONTHLY, "day": 29},
        {"day": 1},
        {"minimum": Money(0)},
        {"fee": Money(1)},
        {"maximum": Money(9), "minimum": Money(10)},
        {"risk_days": 91},
        {"risk_days": -1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SettlementRule(merchant_id="mch_1", **wrong)  # type: ignore[arg-type]
    assert caught.value.code == "settlement_rule_invalid"


async def test_a_source_that_does_not_exist_is_refused(merchant: OpenedMerchant, treasury: Treasury) -> None:
    with pytest.raises(NotFound):
        await treasury.rule(merchant, source=Source(Rail.ALIPAY, "cha_none", "BASIC"))


@pytest.mark.parametrize("missing", ["certificate_mode_required", "transfer_scene_missing"])
async def test_a_source_whose_credential_could_pay_nobody_is_refused_at_once(
    house: House, merchant: OpenedMerchant, treasury: Treasury, missing: str
) -> None:
    account = next(each for each in house.database.tables.accounts.committed.values() if each.channel == "alipay")
    house.alipay.payouts.missing = missing
    with pytest.raises(InvalidRequest) as caught:
        await treasury.rule(merchant, source=Source(Rail.ALIPAY, account.id, "BASIC"))
    assert (caught.value.code, caught.value.pointer) == (missing, "/source")
    house.alipay.payouts.missing = None
    assert (await treasury.rule(merchant, source=Source(Rail.ALIPAY, account.id, "BASIC"))).source.owner == account.id
    with pytest.raises(InvalidRequest, match="none of wechat"):
        await treasury.rule(merchant, source=Source(Rail.WECHAT, account.id, "OPERATION"))


# ── What the payout will post ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_payout_and_its_bounce_leave_every_fen_accounted_for(
    house: House, merchant: OpenedMerchant, treasury: Treasury
) -> None:
    await treasury.rule(merchant, fee=Money(100), minimum=Money(101))
    await treasury.payee(merchant)
    fees = await house.balance(FI, "platform")
    approved = await treasury.approved(await treasury.settled(merchant))
    now = house.clock.now()
    paid = replace(approved.paying(now), events=()).paid(now, at=now, reference="B-1", charge=Money(5))
    async with house.database.unit_of_work() as uow:
        await uow.settlements.save(paid)
        await uow.ledger.post(payout_done(paid))
    assert await moving(house, merchant) == (0, 0)
    assert await house.balance(FI, "platform") == fees + 100
    async with house.database.unit_of_work() as uow:
        bounced = replace(paid, events=()).bounced("账号不符", now)
        await uow.settlements.save(bounced)
        await uow.ledger.post(payout_bounced(bounced, now))
    assert await moving(house, merchant) == (19_780, 0)
    assert (await house.balance(BANK, "platform"), await house.balance(CC, "platform")) == (5, -5)
    assert await treasury.wrong() == []
