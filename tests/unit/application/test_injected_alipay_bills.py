"""Days of Alipay bills with planted differences, as with WeChat Pay's: all are found, and nothing else (R1, R2)."""

import io
import random
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import IO

import pytest
from hypothesis import settings

from adapters.outbound.alipay.bills import trade_lines
from domain.channels import Access, Channel, Method
from domain.errors import BillInvalid
from domain.money import Money, Rate
from domain.payments import ChannelPayment
from domain.refunds import Refund
from domain.statements import Lines, StatementDay, StatementKind
from tests.alipay_injector import AlipayBill
from tests.fakes.statements import FakeStatements
from tests.unit.application import test_injected_bills as wechat

DAY, ONE = wechat.DAY, wechat.ONE
SELLER = "2088123456789012"
ACCOUNT = replace(wechat.ACCOUNT, channel=Channel.ALIPAY, payee=SELLER, methods=frozenset({Method.ALIPAY_QR}))
ACCESS = Access(ACCOUNT, replace(wechat.CREDENTIAL, channel=Channel.ALIPAY, app_id="2021000000000001"))
COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,"
    "卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)


class AlipayBills(FakeStatements):
    def trade_lines(self, access: Access, day: date, source: IO[bytes]) -> Iterator[Lines]:
        return trade_lines(access, day, source)


class Desk(wechat.Desk):
    """The same trade through Alipay, and the bills that it would publish."""

    account, access, reader = ACCOUNT, ACCESS, AlipayBills()

    def payment_row(self, payment: ChannelPayment) -> list[str]:
        fee = Rate(3_800).of(payment.received)
        amounts = (payment.total.yuan, payment.received.yuan, f"-{fee.yuan}")
        return row(payment, "交易", f"{payment.paid_at:%Y-%m-%d %H:%M:%S}", amounts, "\t")

    def refund_row(self, payment: ChannelPayment, refund: Refund, fee: int) -> list[str]:
        amounts = (f"-{refund.amount.yuan}", f"-{refund.debit.yuan}", Money(fee).yuan)
        return row(payment, "退款", f"{refund.accepted_at:%Y-%m-%d %H:%M:%S}", amounts, refund.number)

    def published(self, day: date, rows: Sequence[list[str]]) -> AlipayBill:
        start, end = (f"{each:%Y年%m月%d日} 00:00:00" for each in (day, day + ONE))
        head = [
            "#支付宝业务明细查询",
            f"#账号：[{SELLER}0156]",
            f"#起始日期：[{start}]   终止日期：[{end}]",
            "#-----------------------------------------业务明细列表----------------------------------------",
            COLUMNS,
        ]
        return AlipayBill(head, list(rows))

    def trade_bill(self, day: date, rows: Sequence[list[str]]) -> bytes:
        return self.published(day, rows).written()


def row(payment: ChannelPayment, kind: str, at: str, amounts: tuple[str, str, str], refund: str) -> list[str]:
    """``amounts``: 订单金额, 商家实收, 服务费."""
    total, received, fee = amounts
    return [
        f"{payment.transaction_id}\t", f"{payment.number}\t", kind, "火龙果,两斤", "2026-11-20 09:00:00", at, "\t",
        "\t", "\t", "\t", "*津水(602***@qq.com)\t", total, received, "0.00", "0.00", "0.00", "0.00", "0.00", "",
        "0.00\t", "0.00", refund, fee, "0.00", "",
    ]  # fmt: skip


BLOCKS, DAYS = 10, 100


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_every_planted_difference_is_found_and_no_other(block: int) -> None:
    for seed in range(block * DAYS, block * DAYS + min(DAYS, settings().max_examples)):
        chance = random.Random(seed)
        desk = Desk(chance)
        await desk.trade()
        bill = AlipayBill.read(desk.published(DAY, desk.rows).written())
        bill.spoil(chance)
        await desk.read(DAY, bill.written())
        for later in (DAY + ONE, DAY + 2 * ONE):
            await desk.read(later, desk.published(later, []).written())
        day = await desk.reconcile(ACCOUNT.id, DAY)
        found = await desk.found(DAY)
        assert found == bill.planted, f"seed {seed}"
        assert await desk.reconcile(ACCOUNT.id, DAY) == day, f"seed {seed}: a run again changed something"


async def test_a_faithful_bill_has_no_difference() -> None:
    for seed in range(50):
        desk = Desk(random.Random(seed))
        await desk.trade()
        day = await desk.read(DAY, desk.published(DAY, desk.rows).written())
        assert (day.differences, day.held, day.matched) == (0, 0, len(desk.rows)), f"seed {seed}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:0],
        lambda content: content.replace(b"PK", b"KP", 1),
        lambda content: packed(details(content).replace("商家实收（元）", "商家虚收（元）")),
        lambda content: packed(details(content).replace(f"[{SELLER}", "[2088000000000001")),
        lambda content: packed(details(content).replace("2026年11月21日 00", "2026年11月22日 00")),
        lambda content: packed(details(content).split("#--", 2)[0]),
        lambda content: packed(details(content), details(content)),
    ],
    ids=["torn", "empty", "no zip", "renamed", "another account's", "another day's", "without an end", "twice"],
)
async def test_a_file_that_cannot_be_believed_is_refused_whole(spoil: object) -> None:
    desk = Desk(random.Random(7))
    await desk.trade()
    good = desk.published(DAY, desk.rows).written()
    await desk.read(DAY, good)
    with pytest.raises(BillInvalid):
        await desk.import_(ACCESS, DAY, StatementKind.TRADE, io.BytesIO(spoil(good)))  # type: ignore[operator]
    day: StatementDay = await desk.reconcile(ACCOUNT.id, DAY)
    assert (day.matched, day.differences) == (len(desk.rows), 0)


def details(content: bytes) -> str:
    return "\r\n".join(AlipayBill.read(content)._details()) + "\r\n"


def packed(*tables: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as bundle:
        for n, table in enumerate(tables):
            bundle.writestr(f"{n}.csv", table.encode("gbk"))
    return file.getvalue()
