"""Hundreds of days of Alipay fund bills with planted differences beside faithful trade bills (R1, R2)."""

import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import IO

import pytest
from hypothesis import settings

from adapters.outbound.alipay.bills import fund_lines
from domain.channels import Access
from domain.errors import BillInvalid
from domain.money import Money
from domain.payments import ChannelPayment
from domain.refunds import Refund
from domain.statements import FundLine
from tests.alipay_fund_injector import NEW, OLD, TITLE, AlipayFundBill
from tests.unit.application import test_injected_alipay_bills as trades
from tests.unit.application import test_injected_funds as funds
from tests.unit.application.test_injected_bills import ACCOUNT, DAY, ONE


class AlipayFunds(trades.AlipayBills):
    def fund_lines(self, access: Access, day: date, source: IO[bytes], *, fund: str = "BASIC") -> Iterator[FundLine]:
        return fund_lines(access, day, source, fund)


class Desk(funds.Desk, trades.Desk):
    """The same trade through Alipay, and the fund bills that it would publish, in their old form or their new one."""

    reader = AlipayFunds()

    def payment_moves(self, payment: ChannelPayment, fee: int) -> None:
        self._flow(payment, payment.paid_at, "在线支付", payment.received.minor)
        self._flow(payment, payment.paid_at + timedelta(seconds=1), "收费", -fee)

    def refund_moves(self, payment: ChannelPayment, refund: Refund, fee: int) -> None:
        assert refund.accepted_at is not None
        self._flow(payment, refund.accepted_at, "交易退款", -refund.debit.minor)
        self._flow(payment, refund.accepted_at + timedelta(seconds=1), "退费", fee)

    def _flow(self, payment: ChannelPayment, at: datetime, kind: str, amount: int) -> None:
        """As Alipay writes it: tabs behind what a spreadsheet would spoil, an expense with its sign."""
        if amount:
            sides = (Money(amount).yuan, "0.00") if amount > 0 else ("0.00", f"-{Money(-amount).yuan}")
            self.moves.append(
                [f"{at:%Y-%m-%d %H:%M:%S}", f"{payment.transaction_id}\t", f"{payment.number}\t", kind, *sides]
            )

    def bill_of(self, day: date, moves: Sequence[Sequence[str]], *, columns: str = OLD) -> AlipayFundBill:
        start, end = (f"{each:%Y年%m月%d日} 00:00:00" for each in (day, day + ONE))
        head = [
            TITLE,
            f"#账号：[{trades.SELLER}0156]",
            f"#起始日期：[{start}]   终止日期：[{end}]",
            "#-----------------------------------------账务明细列表----------------------------------------",
            columns,
        ]
        more = [""] * (columns.count(",") - OLD.count(","))
        rows = [
            [f"5463244{n:07d}\t", trade, number, "火龙果,两斤\t", at, "*津水(602***@qq.com)\t", came, went, "",
             "支付宝", kind, "", *more]
            for n, (at, trade, number, kind, came, went) in enumerate(moves)
        ]  # fmt: skip
        return AlipayFundBill(head, rows[::-1])

    async def found(self, *days: date) -> set[tuple[str, str]]:
        """By the channel's number: a payment and its refunds are one transaction of Alipay's."""
        async with self.unit_of_work() as uow:
            return {
                (str(one.kind), one.transaction_id)
                for day in days
                for one in await uow.bills.discrepancies(ACCOUNT.id, day)
                if one.live
            }


def gap(amount: Decimal) -> set[tuple[str, str]]:
    return {("balance", "")} if amount else set()


BLOCKS, DAYS = 5, 100


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_every_planted_difference_is_found_and_no_other(block: int) -> None:
    """A hundred days a block. The day before closed somehow; the day after opens with that, or not quite."""
    for seed in range(block * DAYS, block * DAYS + min(DAYS, settings().max_examples)):
        chance = random.Random(seed)
        desk = await Desk(chance).trade()
        before = desk.bill_of(DAY - ONE, [["2026-11-19 23:59:59", "W\t", "\t", "提现", "0.00", "-7.00"]])
        before.opening = Decimal(chance.choice((7, 500)))
        await desk.moved(DAY - ONE, before.written())
        bill = desk.bill_of(DAY, desk.moves, columns=chance.choice((OLD, NEW)))
        bill.opening = before.closing
        bill = AlipayFundBill.read(bill.written())
        bill.spoil(chance)
        day = await desk.moved(DAY, bill.written())
        planted = bill.planted | gap(bill.unsaid if bill.rows else Decimal(0))
        assert await desk.found(DAY) == planted, f"seed {seed}"
        off = Decimal(chance.choice(("0", "0.01", "-3.00"))) if bill.rows else Decimal(0)
        after = desk.bill_of(DAY + ONE, [["2026-11-21 08:00:00", "V\t", "\t", "其它", "0.00", "-0.50"]])
        after.opening = bill.closing + off
        await desk.moved(DAY + ONE, after.written())
        assert await desk.found(DAY + ONE) == {("untraded", "V")} | gap(off), f"seed {seed}"
        assert await desk.reconcile(ACCOUNT.id, DAY) == day, f"seed {seed}: a run again changed something"
        assert await desk.found(DAY) == planted, f"seed {seed}"


async def test_a_faithful_fund_bill_has_no_difference_and_what_went_to_the_bank_is_booked() -> None:
    for seed in range(50):
        desk = await Desk(random.Random(seed)).trade()
        moves = [*desk.moves, ["2026-11-20 23:59:59", "W\t", "\t", "提现", "0.00", "-0.01"]]
        day = await desk.moved(DAY, desk.bill_of(DAY, moves).written())
        assert (day.differences, day.held, day.matched) == (0, 0, len(desk.rows)), f"seed {seed}"
        async with desk.unit_of_work() as uow:
            booked = [t.amount for t in await uow.ledger.about(f"statement:{ACCOUNT.id}:{DAY}") if "bank" in t.idem_key]
        assert booked == [Money(1)], f"seed {seed}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table.replace("账务明细列表结束", "账务明细列表"),
        lambda table: table.replace("账户余额（元）", "余额"),
        lambda table: table.replace(f"[{trades.SELLER}", "[2088000000000001"),
        lambda table: table.replace("2026年11月20日", "2026年10月20日"),
        lambda table: table[: table.index("#支出合计")],
        lambda table: table.replace("#支出合计：", "#支出合计：1"),
        lambda table: table.replace("#收入合计：", "#支出合计："),
        lambda table: table.replace(",0.00,-", ",1.00,-", 1),
        lambda table: table.replace(TITLE, "#支付宝账务汇总查询"),
    ],
    ids=["no end", "renamed", "another's", "another day's", "no totals", "a count", "no total", "both ways", "summary"],
)
async def test_a_fund_bill_that_cannot_be_believed_is_refused_whole(spoil: object) -> None:
    desk = await Desk(random.Random(7)).trade()
    good = desk.bill_of(DAY, desk.moves)
    await desk.moved(DAY, good.written())
    table = "".join(f"{line}\r\n" for line in good._details())
    changed = spoil(table)  # type: ignore[operator]
    assert changed != table
    with pytest.raises(BillInvalid):
        await desk.moved(DAY, trades.packed(changed))
    assert (await desk.reconcile(ACCOUNT.id, DAY)).differences == 0
