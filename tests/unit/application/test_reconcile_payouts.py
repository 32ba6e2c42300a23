"""Payouts in the fund bill: each is matched with what we paid out, and what nobody ordered is a difference."""

from dataclasses import replace

import pytest

from domain.ledger import AccountKind
from domain.money import Money
from domain.reconciliation import DifferenceKind
from domain.settlements import Rail, Settlement, SettlementStatus, Source
from domain.statements import (
    DayStatus,
    FundLine,
    Movement,
)
from tests.approved import approved
from tests.unit.application.statements import NOBODYS, Office, flow


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
