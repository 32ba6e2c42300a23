"""What came to nothing after all: refunds that the channel gave up, bar code payments that were undone (R1)."""

import io
import random
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Self

import pytest

from domain.bookkeeping import payment_held, payment_reversed, refund_accepted, refund_closed
from domain.channels import Mode
from domain.ledger import PLATFORM, Account, AccountKind
from domain.money import CNY, Money
from domain.payments import Unattributed
from domain.refunds import RefundStatus
from domain.statements import StatementDay, StatementKind
from domain.times import SHANGHAI
from tests.fund_injector import IN, OUT, FundBill
from tests.injector import REFUND_STATE
from tests.unit.application import test_injected_funds as funds
from tests.unit.application.test_injected_bills import ACCOUNT, DAY, ONE

NOON = datetime(2026, 11, 20, 12, tzinfo=SHANGHAI)


class Desk(funds.Desk):
    """One payment of a hundred yuan in WeChat Pay's account, and what it and its refund would be on its bills."""

    async def pay(self, **changes: object) -> Self:
        self.payment = replace(self._payment(0), total=Money(10_000), received=Money(10_000), **changes)  # type: ignore[arg-type]
        async with self.unit_of_work() as uow:
            await uow.accounts.add_credential(self.access.credential)
            await uow.accounts.add(self.account)
            await uow.payments.add(self.payment)
            await uow.ledger.post(payment_held(self.payment))
        self.rows.append(self.payment_row(self.payment))
        return self

    async def refund(self) -> Self:
        """Thirty yuan of it go back, and eleven fen of its fee come back with them."""
        self.refunded = self._refund(self.payment, 3_000, 0)
        async with self.unit_of_work() as uow:
            await uow.refunds.add(self.refunded)
            await uow.ledger.post(refund_accepted(self.refunded))
        self.rows.append(self.refund_row(self.payment, self.refunded, 11))
        return self

    async def give_up(self, later: int) -> None:
        """So many days later the channel tells us that it has given the refund up."""
        async with self.unit_of_work() as uow:
            await uow.ledger.post(refund_closed(self.refunded, NOON + later * ONE))
            await uow.refunds.save(replace(self.refunded, status=RefundStatus.FAILED, succeeded_at=None))

    def came_back(self, later: int) -> list[str]:
        when = f"{NOON + later * ONE:%Y-%m-%d %H:%M:%S}"
        number, id_ = self.refunded.number, self.refunded.channel_id or ""
        return [when, id_, f"990{later}", "退款", "退款关闭", IN, "29.89", "", "system", "", number]

    async def told(self, moves: list[list[str]], *, opening: str = "0", later: int = 0) -> StatementDay:
        """The day is read with these rows of its fund bill, and matched."""
        day, bill = DAY + later * ONE, FundBill(moves, Decimal(opening))
        rows = [] if later else self.rows
        await self.import_(self.access, day, StatementKind.TRADE, io.BytesIO(self.trade_bill(day, rows)))
        if moves:
            await self.import_(self.access, day, StatementKind.FUND, io.BytesIO(bill.written()), fund="BASIC")
        return await self.reconcile(ACCOUNT.id, day)

    async def cost(self) -> int:
        async with self.unit_of_work() as uow:
            return -await uow.ledger.balance(Account(AccountKind.CHANNEL_COST, PLATFORM, Mode.LIVE, CNY))


@pytest.fixture
def desk() -> Desk:
    return Desk(random.Random(1))


@pytest.mark.parametrize("listed", ["as failed", "as taken", "not at all"])
async def test_a_refund_that_was_given_up_on_its_day_is_no_difference_whatever_the_bills_show_of_it(
    desk: Desk, listed: str
) -> None:
    this = await (await desk.pay()).refund()
    await this.give_up(0)
    moves = [*this.moves, this.came_back(0)]
    if listed == "as failed":
        this.rows[1][REFUND_STATE] = "FAIL"
    elif listed == "not at all":
        this.rows, moves = this.rows[:1], this.moves[:2]
    day = await this.told(moves)
    assert (await this.found(DAY), day.held, day.status) == (set(), 0, "matched")
    assert await this.cost() == 38, "what had come back of the fee was kept again"
    assert await this.reconcile(ACCOUNT.id, DAY) == day


@pytest.mark.parametrize("state", ["FAIL", "PROCESSING"])
async def test_a_refund_that_is_given_up_later_comes_back_into_the_account_then(desk: Desk, state: str) -> None:
    this = await (await desk.pay()).refund()
    this.rows[1][REFUND_STATE] = state
    await this.told(this.moves)
    await this.give_up(1)
    await this.told([this.came_back(1)], opening="69.73", later=1)
    await this.reconcile(ACCOUNT.id, DAY)
    assert await this.found(DAY, DAY + ONE) == set()
    assert await this.cost() == 38


async def test_a_refund_that_the_bill_says_has_failed_and_we_think_done_is_a_difference(desk: Desk) -> None:
    this = await (await desk.pay()).refund()
    this.rows[1][REFUND_STATE] = "FAIL"
    await this.told([])
    assert await this.found(DAY) == {("status", this.refunded.number)}


async def undone(this: Desk) -> list[list[str]]:
    """The bill's lines of the payment being undone; the rows of the fund bill."""
    back = list(this.rows[0])
    back[0], back[9] = "2026-11-20 09:30:00", "REVOKED"
    back[12], back[14], back[15], back[16], back[19] = "0.00", "0", "0", "100.00", "SUCCESS"
    back[22], back[24], back[25] = "-0.38000", "0.00", "100.00"
    this.rows.append(back)
    about = (this.payment.transaction_id, "9901", "退款", "退款", OUT)
    return [*this.moves, [back[0], *about, "99.62", "", "system", "", this.payment.number]]


async def test_a_payment_that_we_had_undone_is_no_difference(desk: Desk) -> None:
    this = await desk.pay(unattributed=Unattributed.REVERSED)
    async with this.unit_of_work() as uow:
        await uow.ledger.post(payment_reversed(this.payment, NOON))
    day = await this.told(await undone(this))
    assert (await this.found(DAY), day.matched, day.held) == (set(), 2, 0)
    assert await this.cost() == 0


async def test_a_payment_that_the_channel_has_undone_and_that_stands_here_is_found(desk: Desk) -> None:
    """It is paid here, and the money is not there."""
    this = await desk.pay()
    await this.told(await undone(this))
    for later in (1, 2):
        await this.told([], later=later)
    await this.reconcile(ACCOUNT.id, DAY)
    assert await this.found(DAY) == {("missing_here", this.payment.number)}
    async with this.unit_of_work() as uow:
        (one,) = await uow.bills.discrepancies(ACCOUNT.id, DAY)
    assert (one.amount, one.key.split(":")[1]) == (-10_000, "refund")


async def test_a_payment_that_was_undone_and_of_which_we_know_nothing_came_to_nothing(desk: Desk) -> None:
    stranger, this = await Desk(random.Random(1)).pay(), desk
    moves = await undone(stranger)
    async with this.unit_of_work() as uow:
        await uow.accounts.add_credential(this.access.credential)
        await uow.accounts.add(this.account)
    this.rows = stranger.rows
    await this.told(moves)
    for later in (1, 2):
        await this.told([], later=later)
    await this.reconcile(ACCOUNT.id, DAY)
    assert await this.found(DAY) == set()
