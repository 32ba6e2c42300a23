"""Hundreds of days of WeChat Pay fund bills with planted differences beside faithful trade bills (R1, R2)."""

import io
import random
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import IO, ClassVar, Self

import pytest
from hypothesis import settings

from adapters.outbound.wechat.bill_lines import fund_lines
from domain.bookkeeping import payment_held, refund_accepted
from domain.channels import Access
from domain.errors import BillInvalid
from domain.money import Money
from domain.payments import ChannelPayment
from domain.refunds import Refund
from domain.statements import FundLine, StatementDay, StatementKind
from tests.fakes.statements import FakeStatements
from tests.fund_injector import AMOUNT, IN, OUT, FundBill
from tests.unit.application import test_injected_bills as trades
from tests.unit.application.test_injected_bills import ACCESS, ACCOUNT, DAY, ONE


class WechatFunds(trades.WechatBills):
    def fund_lines(self, access: Access, day: date, source: IO[bytes], *, fund: str = "BASIC") -> Iterator[FundLine]:
        return fund_lines(day, source, fund)


class Desk(trades.Desk):
    """The same trade, posted as well, and the fund bills that a faithful channel would publish."""

    reader: ClassVar[FakeStatements] = WechatFunds()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.moves: list[list[str]] = []
        self.posted: list[ChannelPayment | Refund] = []

    async def trade(self) -> Self:
        await super().trade()
        async with self.unit_of_work() as uow:
            for one in self.posted:
                await uow.ledger.post(payment_held(one) if isinstance(one, ChannelPayment) else refund_accepted(one))
        self.moves.sort(key=lambda row: row[0])
        return self

    def payment_row(self, payment: ChannelPayment) -> list[str]:
        row, fee = super().payment_row(payment), trades.share(payment, payment.received.minor)
        self.posted.append(payment)
        self.payment_moves(payment, fee)
        return row

    def refund_row(self, payment: ChannelPayment, refund: Refund, fee: int) -> list[str]:
        row = super().refund_row(payment, refund, fee)
        self.posted.append(refund)
        self.refund_moves(payment, refund, fee)
        return row

    def payment_moves(self, payment: ChannelPayment, fee: int) -> None:
        about = (payment.transaction_id, payment.number)
        self._moved(payment.paid_at, about, ("交易", "交易", IN), payment.received.minor, "结算总金额")
        if fee:
            self._moved(payment.paid_at, about, ("交易", "扣除交易手续费", OUT), fee, "")

    def refund_moves(self, payment: ChannelPayment, refund: Refund, fee: int) -> None:
        assert refund.accepted_at is not None
        remark = f"退款总金额{refund.debit.yuan}元;含手续费{Money(fee).yuan}元"
        about = (refund.channel_id or "", refund.number)
        self._moved(refund.accepted_at, about, ("退款", "退款", OUT), refund.debit.minor - fee, remark)

    def _moved(
        self, at: datetime, about: tuple[str, str], kind: tuple[str, str, str], amount: int, remark: str
    ) -> None:
        business, voucher = about
        flow = f"4200000{len(self.moves):012d}"
        when = f"{at:%Y-%m-%d %H:%M:%S}"
        self.moves.append([when, business, flow, *kind, Money(amount).yuan, "", "system", remark, voucher])

    async def moved(self, day: date, funds: bytes) -> StatementDay:
        """After the trade bill of the day, which is as it should be."""
        rows = self.rows if day == DAY else []
        await self.import_(self.access, day, StatementKind.TRADE, io.BytesIO(self.trade_bill(day, rows)))
        await self.import_(self.access, day, StatementKind.FUND, io.BytesIO(funds), fund="BASIC")
        return await self.reconcile(ACCOUNT.id, day)


BLOCKS, DAYS = 5, 100


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_every_planted_difference_is_found_and_no_other(block: int) -> None:
    """A hundred days a block; on the day after, something that nobody knows, and sometimes another opening balance."""
    for seed in range(block * DAYS, block * DAYS + min(DAYS, settings().max_examples)):
        chance = random.Random(seed)
        desk = await Desk(chance).trade()
        funds = FundBill(desk.moves, opening=Decimal(chance.choice((0, 0, 500))))
        funds.spoil(chance)
        day = await desk.moved(DAY, funds.written())
        assert await desk.found(DAY) == funds.planted, f"seed {seed}"
        gap = Decimal(chance.choice(("0", "0.01", "-3.00"))) if funds.rows else Decimal(0)
        after = FundBill([["2026-11-21 08:00:00", "1", "2", "其他", "说不清", OUT, "0.50", "", "system", "", "V1"]])
        after.opening, planted = funds.closing + gap, {("untraded", "V1")} | ({("balance", "")} if gap else set())
        await desk.moved(DAY + ONE, after.written())
        assert await desk.found(DAY + ONE) == planted, f"seed {seed}"
        assert await desk.reconcile(ACCOUNT.id, DAY) == day, f"seed {seed}: a run again changed something"
        assert await desk.found(DAY) == funds.planted, f"seed {seed}"


async def test_a_faithful_fund_bill_has_no_difference() -> None:
    for seed in range(50):
        desk = await Desk(random.Random(seed)).trade()
        day = await desk.moved(DAY, FundBill(desk.moves).written())
        assert (day.differences, day.held, day.matched) == (0, 0, len(desk.rows)), f"seed {seed}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-30],
        lambda content: content.replace("账户结余".encode(), b"x", 1),
        lambda content: content.replace(b"`2026-11-20", b"`2026-10-20", 1),
        lambda content: content[:0],
        lambda content: content + content,
        lambda content: content.replace("`收入".encode(), "`支出".encode(), 1),
    ],
    ids=["torn", "renamed", "another day's", "empty", "twice", "the other way"],
)
async def test_a_fund_bill_that_cannot_be_believed_is_refused_whole(spoil: object) -> None:
    desk = await Desk(random.Random(7)).trade()
    funds = FundBill(desk.moves)
    await desk.moved(DAY, funds.written())
    changed = io.BytesIO(spoil(funds.written()))  # type: ignore[operator]
    with pytest.raises(BillInvalid):
        await desk.import_(ACCESS, DAY, StatementKind.FUND, changed, fund="BASIC")
    assert (await desk.reconcile(ACCOUNT.id, DAY)).differences == 0


async def test_an_amount_changed_without_its_summary_is_refused() -> None:
    desk = await Desk(random.Random(3)).trade()
    funds = FundBill(desk.moves)
    content = funds.written()
    changed = content.replace(f"`{funds.rows[0][AMOUNT]},".encode(), b"`999999.99,", 1)
    with pytest.raises(BillInvalid, match="does not fit"):
        await desk.import_(ACCESS, DAY, StatementKind.FUND, io.BytesIO(changed), fund="BASIC")


def test_the_injector_reads_what_it_writes() -> None:
    bill = FundBill([["2026-11-20 08:00:00", "1", "2", "其他", "x", OUT, "0.50", "", "s", "", "V"]], Decimal("7.10"))
    again = FundBill.read(bill.written())
    assert (again.rows, again.opening, again.written()) == (bill.rows, bill.opening, bill.written())
