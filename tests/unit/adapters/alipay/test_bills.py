"""Alipay's bills, line by line: what they say, and each way in which one does not fit."""
# ruff: noqa: E501 - Alipay's lines are as long as they are

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any

import httpx
import pytest

from adapters.outbound.alipay import bills
from domain.errors import BillInvalid, ChannelRejected, ChannelUnavailable
from domain.money import Money
from domain.numbers import channel_number
from domain.statements import LineKind, LineStatus, Movement, StatementKind
from tests.unit.adapters.alipay.world import NUMBER, SELLER, World, answer, asked, good, refused

DAY = date(2026, 11, 23)
REFUND = channel_number("01K0000000000000000000000R")
TRADE_NO = "2026112322001458860515315453"

TRADE = f"""#支付宝业务明细查询
#账号：[{SELLER}0156]
#起始日期：[2026年11月23日 00:00:00]   终止日期：[2026年11月24日 00:00:00]
#-----------------------------------------业务明细列表----------------------------------------
支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注
{TRADE_NO}\t,{NUMBER}\t,交易\t,"火龙果,两斤",2026-11-23 10:55:16,2026-11-23 10:55:23,\t,\t,\t,\t,*津水(602***@qq.com)\t,88.88,80.00,0.00,0.00,0.00,8.88,0.00,,0.00\t,0.00,\t,-0.48,0.00,
{TRADE_NO}\t,{NUMBER}\t,退款\t,"火龙果,两斤",2026-11-23 10:55:16,2026-11-23 12:00:00,\t,\t,\t,\t,*津水(602***@qq.com)\t,-30.00,-30.00,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,{REFUND}\t,0.18,0.00,
{TRADE_NO}\t,{NUMBER}\t,退款\t,"火龙果,两斤",2026-11-23 10:55:16,2026-11-23 13:00:00,\t,\t,\t,\t,*津水(602***@qq.com)\t,-1.00,-1.00,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,202611230000000000001234\t,0.00,0.00,
#-----------------------------------------业务明细列表结束------------------------------------
#交易合计：1笔，商家实收共80.00元，商家优惠共8.88元
#退款合计：2笔，商家实收退款共-31.00元，商家优惠退款共0.00元
#导出时间：[2026年11月24日 09:06:42]
"""
FUND = f"""#支付宝账务明细查询
#账号：[{SELLER}0156]
#起始日期：[2026年11月23日 00:00:00]   终止日期：[2026年11月24日 00:00:00]
#-----------------------------------------账务明细列表----------------------------------------
账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注
54632446537376\t,X\t,\t,\t,2026-11-23 23:00:00,\t,0.00,-5.00,144.70,支付宝,其它,调账
54632446537375\t,B\t,\t,\t,2026-11-23 22:00:00,银行\t,0.00,-50.00,149.70,支付宝,提现,
54632446537374\t,{TRADE_NO}\t,{NUMBER}\t,火龙果\t,2026-11-23 12:00:01,*津水\t,0.18,0.00,199.70,支付宝,收费,
54632446537373\t,{TRADE_NO}\t,{NUMBER}\t,火龙果\t,2026-11-23 12:00:00,*津水\t,0.00,30.00,199.52,支付宝,交易退款,
54632446537372\t,{TRADE_NO}\t,{NUMBER}\t,火龙果\t,2026-11-23 10:55:24,*津水\t,0.00,-0.48,229.52,支付宝,收费,
54632446537371\t,{TRADE_NO}\t,{NUMBER}\t,火龙果\t,2026-11-23 10:55:23,*津水\t,80.00,,230.00,支付宝,在线支付,
#----------------------------------------账务明细列表结束-------------------------------------
#支出合计：4笔，共-85.48元
#收入合计：2笔，共80.18元
#导出时间：[2026年11月24日 13:19:01]
"""


def packed(*tables: str, encoding: str = "gb18030") -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as bundle:
        for place, table in enumerate(tables):
            bundle.writestr(f"{place}.csv", table.replace("\n", "\r\n").encode(encoding))
    file.seek(0)
    return file


def trade(world: World, *tables: str, **how: Any) -> list[Any]:
    return list(chain.from_iterable(bills.trade_lines(world.access(), DAY, packed(*(tables or (TRADE,)), **how))))


def fund(world: World, *tables: str) -> list[Any]:
    return list(bills.fund_lines(world.access(), DAY, packed(*(tables or (FUND,))), "BASIC"))


def test_a_trade_bill_tells_payments_and_refunds(world: World) -> None:
    summary = TRADE.replace("业务明细查询", "业务汇总查询")
    paid, ours, console = trade(world, summary, TRADE)
    assert (paid.kind, paid.number, paid.payment_number, paid.transaction_id) == (
        LineKind.PAYMENT,
        NUMBER,
        NUMBER,
        TRADE_NO,
    )
    assert (paid.total, paid.received, paid.fee, paid.status) == (Money(8888), Money(8000), 48, LineStatus.SUCCEEDED)
    assert paid.at == datetime(2026, 11, 23, 2, 55, 23, tzinfo=UTC)
    assert (ours.kind, ours.number, ours.payment_number) == (LineKind.REFUND, REFUND, NUMBER)
    assert (ours.total, ours.received, ours.fee) == (Money(3000), Money(3000), -18)
    assert (console.number, console.payment_number) == (
        "202611230000000000001234",
        NUMBER,
    )  # made in the seller's own console
    assert [line.n for line in (paid, ours, console)] == [1, 2, 3]


def test_a_fund_bill_tells_why_money_moved(world: World) -> None:
    lines = fund(world)
    assert [(line.movement, line.amount, line.balance) for line in lines] == [
        (Movement.OTHER, -500, 14470),
        (Movement.PAYOUT, -5000, 14970),
        (Movement.FEE_RETURNED, 18, 19970),
        (Movement.REFUND, -3000, 19952),
        (Movement.FEE, -48, 22952),
        (Movement.PAYMENT, 8000, 23000),
    ]
    assert (lines[5].flow_id, lines[5].transaction_id, lines[5].number) == ("54632446537371", TRADE_NO, NUMBER)
    assert (lines[0].words, lines[0].fund) == ("其它 调账", "BASIC")


def test_a_fund_bill_in_its_later_form_tells_the_same(world: World) -> None:
    """Since about 2019: other columns in another order, a tab behind every value, commas behind the lines below."""
    head, below = FUND.split("账务流水号,", 1)[0], FUND[FUND.index("#---", 200) :]
    names, *rows = (line.split(",") for line in FUND.splitlines()[4:11])
    order = (0, 1, 3, 4, 6, 7, 8, 9, 10, 11, 2, 5)
    later = [",".join(names[at] for at in order) + ",业务描述,业务基础订单号"]
    later += [
        "".join(f"{row[at].strip()}\t," for at in order) + "0010001|交易收款-交易收款\t,5116032541422009305"
        for row in rows
    ]
    commas = "".join(f"{line},,,,,,,\n" for line in below.splitlines())
    assert fund(world, head + "\n".join(later) + "\n" + commas) == fund(world)


def test_an_empty_bill_adds_up_to_nothing(world: World) -> None:
    head, rows = TRADE.split("备注\n")
    end = rows[rows.index("#") :]
    for told in ("1笔，商家实收共80.00", "2笔，商家实收退款共-31.00"):
        end = end.replace(told, "0笔" + told[2:].rstrip("-.0123456789") + "0.00")
    assert trade(world, head + "备注\n" + end) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bill: bill.replace(SELLER, "2088000000000777"),
        lambda bill: bill.replace("2026年11月23日 00", "2026年11月22日 00"),
        lambda bill: bill.replace("2026年11月24日 00", "2026年11月25日 00"),
        lambda bill: bill[: bill.index("#---", 300)],
        lambda bill: bill[: len(bill) // 2],
        lambda bill: bill[: bill.index("#交易合计")],
        lambda bill: bill.replace("共80.00元", "共80.01元"),
        lambda bill: bill.replace("#退款合计：2笔", "#退款合计：1笔"),
        lambda bill: bill.replace("88.88,80.00", "88.88,8O.00"),
        lambda bill: bill.replace("88.88,80.00", "-88.88,80.00"),
        lambda bill: bill.replace("-30.00,-30.00", "-30.00,30.00"),
        lambda bill: bill.replace("88.88,80.00", "88.88,80.00,0.00"),
        lambda bill: bill.replace("2026-11-23 10:55:23", "today"),
        lambda bill: bill.replace("交易\t", "打赏\t"),
        lambda bill: bill.replace("服务费（元）", "服务（元）"),
        lambda bill: bill.replace("业务明细查询", "账务明细查询"),
        lambda bill: bill[:0],
    ],
)
def test_a_bill_that_does_not_fit_is_refused(world: World, spoil: Callable[[str], str]) -> None:
    assert spoil(TRADE) != TRADE
    with pytest.raises(BillInvalid):
        trade(world, spoil(TRADE))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bill: bill.replace("共80.18元", "共80.17元"),
        lambda bill: bill.replace("80.00,,230.00", "80.00,1.00,230.00"),
        lambda bill: bill.replace("80.00,,230.00", ",,230.00"),
        lambda bill: bill.replace(",230.00", ",many"),
        lambda bill: bill.replace("#收入合计", "#收人合计"),
    ],
)
def test_a_fund_bill_that_does_not_fit_is_refused(world: World, spoil: Callable[[str], str]) -> None:
    with pytest.raises(BillInvalid):
        fund(world, spoil(FUND))


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("火龙果,两斤", "火龙\0果", 6, "not text"),
        ("火龙果,两斤", "火" * 70_000, 6, "a line without end"),
        ("询\n#账号", "询" + " " * 70_000 + "\n#账号", 1, "a line without end"),
        ("#导出时间", "#" * 70_000 + "\n#导出时间", 12, "a line without end"),
        (f"{TRADE_NO}\t,{NUMBER}\t,退款", f"\t,{NUMBER}\t,退款", 7, "a line without a number"),
    ],
)
def test_a_line_that_cannot_be_one_is_named(world: World, old: str, new: str, line: int, why: str) -> None:
    assert old in TRADE
    with pytest.raises(BillInvalid, match=why) as refusal:
        trade(world, TRADE.replace(old, new, 1))
    assert refusal.value.line == line


def test_a_flow_without_a_number_is_refused(world: World) -> None:
    with pytest.raises(BillInvalid, match="line 6: a line without a number"):
        fund(world, FUND.replace("54632446537376\t", "\t"))


def test_a_line_that_does_not_end_is_not_read_to_its_end(world: World) -> None:
    """A megabyte of zip that would be a gigabyte of line."""
    head = TRADE.replace("\n", "\r\n").split("#---", maxsplit=1)[0].encode("gbk")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle, bundle.open("1.csv", "w") as member:
        member.write(head)
        for _ in range(64):
            member.write(b"x" * (1 << 20))
    tracemalloc.start()
    with pytest.raises(BillInvalid, match="line 4: a line without end"):
        list(bills.trade_lines(world.access(), DAY, file))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_zip_of_very_many_files_is_no_bill(world: World) -> None:
    with pytest.raises(BillInvalid, match="17 files"):
        trade(world, *[TRADE] * 17)


@pytest.mark.parametrize("file", [b"", b"PK", b"<html>", packed(TRADE).getvalue()[:-40], packed(TRADE).getvalue()[40:]])
def test_what_is_no_bill_is_refused(world: World, file: bytes) -> None:
    with pytest.raises(BillInvalid):
        list(bills.trade_lines(world.access(), DAY, io.BytesIO(file)))


def test_a_bill_twice_in_one_file_or_in_another_encoding_is_refused(world: World) -> None:
    for tables, encoding in (((TRADE, TRADE), "gb18030"), ((TRADE,), "utf-16"), ((FUND,), "gb18030")):
        with pytest.raises(BillInvalid):
            trade(world, *tables, encoding=encoding)


# ── Fetching ─────────────────────────────────────────────────────────────────────────────────────────────────────────

BILLS = "alipay.data.dataservice.bill.downloadurl.query"


async def _fetch(world: World, said: Any, file: Any = b"zip", day: date = DAY) -> tuple[bool, bytes, list[Any]]:
    into, heard = io.BytesIO(), []

    def gateway(request: httpx.Request) -> Any:
        if request.method == "GET":
            return file(request) if callable(file) else file
        heard.append(asked(request)["biz_content"])
        return answer(BILLS, said)

    async with world.adapter(gateway) as alipay:
        found = await alipay.fetch(world.access(), StatementKind.FUND, day, into)
    return found, into.getvalue(), heard


async def test_a_bill_is_fetched_as_it_is(world: World) -> None:
    found, file, heard = await _fetch(world, good(bill_download_url="https://dwbill.invalid/f?fileId=1"))
    assert (found, file) == (True, b"zip")
    assert heard == [{"bill_type": "signcustomer", "bill_date": "2026-11-23"}]


async def test_a_day_that_has_no_bill_is_told_from_one_that_is_not_made_yet(world: World) -> None:
    gone = await _fetch(world, refused("isp.bill_not_exist"), day=date(2020, 1, 1))
    assert gone[:2] == (False, b"")
    with pytest.raises(ChannelUnavailable) as late:
        await _fetch(world, refused("isp.bill_not_exist"), day=date(2199, 1, 1))
    assert late.value.code == "bill_not_ready"


async def test_a_bill_that_is_not_ours_to_have_is_refused_for_good(world: World) -> None:
    with pytest.raises(ChannelRejected) as refusal:
        await _fetch(world, refused("isv.insufficient-isv-permissions", "40006"))
    assert refusal.value.code == "bill_not_permitted"


async def test_a_file_that_does_not_come_whole_is_asked_for_again(world: World) -> None:
    def fails(request: httpx.Request) -> None:
        raise httpx.ReadError("gone", request=request)

    for file in (fails, httpx.Response(403), httpx.Response(302)):
        with pytest.raises(ChannelUnavailable):
            await _fetch(world, good(bill_download_url="https://dwbill.invalid/f?fileId=1"), file)
