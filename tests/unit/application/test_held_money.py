"""What people do with held money: each item ends once, every fen booked, by two persons."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from application.open_merchant import OpenedMerchant
from application.propose import DecideProposal, Propose
from application.settle_held_money import APPROVE, SETTLE, ProposeSettlement, SettleHeldMoney, Settlement
from domain.actors import Actor, ActorKind
from domain.channels import ChannelReport, ChannelState, Method, Mode
from domain.errors import Conflict, Forbidden
from domain.ledger import PLATFORM, AccountKind
from domain.money import Money
from domain.orders import Order, OrderStatus
from domain.payments import SuspenseItem, SuspenseStatus
from domain.refunds import RefundStatus
from tests.fakes.house import House, caller, request
from tests.fakes.promises import FakePromises
from tests.fakes.treasury import Treasury

SUS, CR, MP, MA, FI, ADJ = (
    AccountKind.SUSPENSE,
    AccountKind.CHANNEL_RECEIVABLE,
    AccountKind.MERCHANT_PENDING,
    AccountKind.MERCHANT_AVAILABLE,
    AccountKind.FEE_INCOME,
    AccountKind.ADJUSTMENT,
)


class Desk:
    """One who proposes and one who approves."""

    def __init__(self, house: House) -> None:
        unit_of_work, clock, ids = house.database.unit_of_work, house.clock, house.ids
        executors = {SETTLE: SettleHeldMoney(clock, ids)}
        self.propose = ProposeSettlement(unit_of_work, Propose(unit_of_work, executors, clock, ids))
        self.decide = DecideProposal(unit_of_work, executors, clock, ids)
        may = frozenset({APPROVE})
        self.maker, self.checker = (
            Actor(kind=ActorKind.OPERATOR, id=f"opr_{name}", name=name, permissions=may) for name in ("mina", "chen")
        )

    async def settle(self, item: SuspenseItem, settlement: Settlement, order: Order | None = None) -> Any:
        asked = self.propose(self.maker, item.id, settlement, "as agreed", order_id=order.id if order else None)
        return (await self.decide.approve(self.checker, (await asked).id)).result


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


async def wrong(house: House, merchant: OpenedMerchant, total: int = 9_000) -> tuple[Order, SuspenseItem]:
    """An order for 100.00, for which 90.00 came."""
    order = await house.order(merchant, f"W-{total}")
    attempt = await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_QR)
    house.alipay.pay(attempt.number, total=Money(total))
    await house.notice(house.alipay, attempt)
    return order, (await of_account(house, attempt.account_id))[-1]


async def of_account(house: House, account_id: str) -> list[SuspenseItem]:
    items = house.database.tables.suspense.committed.values()
    return sorted((item for item in items if item.account_id == account_id), key=lambda item: item.id)


async def whole(house: House) -> None:
    assert await FakePromises(house.database.tables, house.clock).broken() == []


async def test_money_that_is_attributed_pays_its_order_and_can_be_refunded(
    house: House, merchant: OpenedMerchant, desk: Desk
) -> None:
    order, item = await wrong(house, merchant)
    await desk.settle(item, Settlement.ATTRIBUTE, order)
    now = await house.now(order)
    assert (now.status, now.paid) == (OrderStatus.PAID, Money(9_000))
    owner = merchant.merchant.id
    assert (await house.balance(SUS, item.account_id), await house.balance(MP, owner)) == (0, 8_946)
    assert await house.balance(FI, PLATFORM) == 54
    await whole(house)
    refund = await house.refund(merchant, order, 9_000)
    assert (refund.status, refund.share) == (RefundStatus.SUCCEEDED, Money(54))
    assert await house.balance(MP, owner) == await house.balance(CR, item.account_id) == 0
    await whole(house)


async def test_what_is_attributed_after_its_day_was_closed_is_released_as_well(
    house: House, merchant: OpenedMerchant, desk: Desk
) -> None:
    order, item = await wrong(house, merchant)
    treasury, owner = Treasury(house), merchant.merchant.id
    await treasury.next_days(2)
    await desk.settle(item, Settlement.ATTRIBUTE, order)
    await treasury.sweep()
    assert (await house.balance(MP, owner), await house.balance(MA, owner)) == (0, 8_946)
    assert await treasury.wrong() == []


async def test_money_of_an_unknown_number_may_pay_an_order_of_anybody(
    house: House, merchant: OpenedMerchant, desk: Desk
) -> None:
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_QR)
    async with house.database.unit_of_work() as uow:
        access = await uow.accounts.access(attempt.account_id)
    receipt = replace(house.alipay.pay(attempt.number), number="TILL-1", transaction_id="T-X")
    report = ChannelReport("TILL-1", ChannelState.PAID, receipt=receipt)
    headers, body = house.alipay.sign(access, report, id="n-x")
    await house.receive_notice(Method.ALIPAY_QR.channel, attempt.account_id, headers, body)
    (item,) = await of_account(house, attempt.account_id)
    other = await house.order(merchant, "A-2")
    result = await desk.settle(item, Settlement.ATTRIBUTE, other)
    assert result["fee"] == 60
    assert (await house.now(other)).status is OrderStatus.PAID
    await whole(house)


async def test_an_item_goes_back_to_its_payer_by_the_refund_of_any_other(
    house: House, merchant: OpenedMerchant, desk: Desk
) -> None:
    _, item = await wrong(house, merchant)
    await desk.settle(item, Settlement.REFUND)
    assert await house.check_due_refunds() == 1
    assert (await of_account(house, item.account_id))[0].status is SuspenseStatus.REFUNDED
    assert await house.balance(CR, item.account_id) == 0
    await whole(house)


async def test_what_is_written_off_is_the_platforms_by_name(house: House, merchant: OpenedMerchant, desk: Desk) -> None:
    _, item = await wrong(house, merchant)
    await desk.settle(item, Settlement.WRITE_OFF)
    assert (await house.balance(SUS, item.account_id), await house.balance(ADJ, PLATFORM)) == (0, 9_000)
    await whole(house)


async def test_a_refund_and_an_attribution_of_one_item_never_both_happen(
    house: House, merchant: OpenedMerchant, desk: Desk
) -> None:
    order, item = await wrong(house, merchant)
    ask = [
        await desk.propose(desk.maker, item.id, Settlement.REFUND, "x"),
        await desk.propose(desk.maker, item.id, Settlement.ATTRIBUTE, "x", order_id=order.id),
        await desk.propose(desk.maker, item.id, Settlement.WRITE_OFF, "x"),
    ]
    outcomes = await asyncio.gather(
        *(desk.decide.approve(desk.checker, proposal.id) for proposal in ask), return_exceptions=True
    )
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert len(refusals) == 2
    assert all(refusal.code.startswith("suspense_") for refusal in refusals)
    await house.check_due_refunds()
    await whole(house)


@pytest.mark.parametrize("settlement", [Settlement.REFUND, Settlement.WRITE_OFF])
async def test_what_the_console_has_left_of_it_is_settled_and_no_more(
    house: House, merchant: OpenedMerchant, desk: Desk, settlement: Settlement
) -> None:
    order, item = await wrong(house, merchant)
    (payment,) = await house.payments(order)
    number = house.alipay.console(payment.number, Money(4_000))
    await house.refund_notice(house.alipay, number, payment.account_id)
    proposal = await desk.propose(desk.maker, item.id, Settlement.ATTRIBUTE, "x", order_id=order.id)
    with pytest.raises(Conflict) as caught:
        await desk.decide.approve(desk.checker, proposal.id)
    assert caught.value.code == "suspense_partly_refunded"
    proposal = await desk.propose(desk.maker, item.id, settlement, "x")
    await desk.decide.approve(desk.checker, proposal.id)
    await house.check_due_refunds()
    assert await house.balance(AccountKind.SUSPENSE, payment.account_id) == 0
    assert house.alipay.refunded(payment.number) == (9_000 if settlement is Settlement.REFUND else 4_000)
    await whole(house)


async def test_nobody_settles_alone(house: House, merchant: OpenedMerchant, desk: Desk) -> None:
    _, item = await wrong(house, merchant)
    proposal = await desk.propose(desk.maker, item.id, Settlement.WRITE_OFF, "x")
    with pytest.raises(Forbidden):
        await desk.decide.approve(desk.maker, proposal.id)
    assert (await of_account(house, item.account_id))[0].status is SuspenseStatus.OPEN


async def test_money_does_not_pay_what_is_paid_or_anothers_order(
    house: House, merchant: OpenedMerchant, desk: Desk
) -> None:
    _, item = await wrong(house, merchant)
    paid = await house.paid(merchant)
    other = await house.order(await house.merchant(), "B-1")
    live = await house.place_order(replace(caller(merchant), mode=Mode.LIVE), request("L-1"))
    for order, code in ((paid, "order_paid"), (other, "suspense_amiss"), (live, "suspense_amiss")):
        with pytest.raises(Conflict) as caught:
            await desk.settle(item, Settlement.ATTRIBUTE, order)
        assert caught.value.code == code
    for settlement, named in ((Settlement.ATTRIBUTE, None), (Settlement.REFUND, paid.id)):
        with pytest.raises(Conflict) as caught:
            await desk.propose(desk.maker, item.id, settlement, "x", order_id=named)
        assert caught.value.code == "suspense_amiss"
