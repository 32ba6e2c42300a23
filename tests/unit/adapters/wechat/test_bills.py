"""WeChat Pay's bills: fetched by a signed hash, read line by line, refused where anything does not fit."""

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any

import httpx
import pytest

from domain.channels import Access
from domain.errors import AccountRefused, BillInvalid, ChannelError, ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.money import Money
from domain.statements import FundLine, Line, LineKind, LineStatus, Movement, StatementKind
from tests.unit.adapters.wechat.world import (
    GATEWAY,
    MCHID,
    NUMBER,
    PROVIDER,
    REFUND_NUMBER,
    SUB_MCHID,
    World,
    answer,
    authorized,
    refused,
    unsigned,
)

DAY = date(2026, 11, 24)
FILE = f"{GATEWAY}/v3/billdownload/file?token=abc"
HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMMARY = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
PAID = (
    f"`2026-11-24 17:07:11,`wx1,`{MCHID},`0,`,`4200000925202611244997714292,`{NUMBER},`ofyak5qR,`NATIVE,`SUCCESS,"
    '`OTHERS,`CNY,`80.00,`0.00,`0,`0,`0.00,`0.00,`,`,`火龙果, 两斤 \\ "甜",`,`0.30400,`0.38%,`88.88,`0.00,`'
)
BACK = (
    f"`2026-11-24 18:00:00,`wx1,`{MCHID},`0,`,`4200000925202611244997714292,`{NUMBER},`ofyak5qR,`NATIVE,`REFUND,"
    f"`OTHERS,`CNY,`0.00,`0.00,`50300806962026112400001,`{REFUND_NUMBER},`8.00,`0.00,`ORIGINAL,`PROCESSING,`火龙果,`,"
    "`-0.03000,`0.38%,`0.00,`8.88,`"
)
TOTAL = "`2,`80.00,`8.00,`0.00,`0.27400,`88.88,`8.88"
TRADE = "\r\n".join([HEADER, PAID, BACK, SUMMARY, TOTAL, ""])
FUND = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,"
    "业务凭证号\n"
    "`2026-11-24 13:54:01,`4200000925202611244997714292,`4200000920202611247964319284,`交易,`交易,`收入,`80.00,`80.00,"
    f"`system,`结算总金额,`{NUMBER}\n"
    "`2026-11-24 13:54:01,`4200000925202611244997714292,`4200000920202611247964319285,`交易,`扣除交易手续费,`支出,"
    f"`0.30,`79.70,`system,`,`{NUMBER}\n"
    "`2026-11-24 14:00:45,`50300806962026112400001,`4200000846202611247461830397,`退款,`退款,`支出,`7.97,`71.73,"
    f"`1601959334API,`退款总金额8.00元;含手续费0.03元,`{REFUND_NUMBER}\n"
    "`2026-11-24 15:00:00,`1,`4200000846202611247461830398,`其他,`说不清,`支出,`1.00,`70.73,`system,`,`\n"
    "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\n"
    "`4.0,`1.0,`80.00,`3.0,`9.27\n"
)


def _access(world: World, provider: bool = False) -> Access:
    return world.sub_merchant() if provider else world.access()


async def _trade(world: World, text: str | bytes = TRADE, day: date = DAY, provider: bool = False) -> list[Line]:
    content = text if isinstance(text, bytes) else text.encode()
    async with world.adapter(lambda _: answer(500, {})) as wechat:
        return list(chain.from_iterable(wechat.trade_lines(_access(world, provider), day, io.BytesIO(content))))


async def _fund(world: World, text: str = FUND) -> list[FundLine]:
    async with world.adapter(lambda _: answer(500, {})) as wechat:
        return list(wechat.fund_lines(world.access(), DAY, io.BytesIO(text.encode()), fund="BASIC"))


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_trade_bill_is_read_to_the_fen(world: World) -> None:
    paid, back = await _trade(world)
    assert paid == Line(
        n=2,
        day=DAY,
        kind=LineKind.PAYMENT,
        number=NUMBER,
        payment_number=NUMBER,
        transaction_id="4200000925202611244997714292",
        total=Money(8888),
        received=Money(8000),
        fee=30,
        status=LineStatus.SUCCEEDED,
        at=datetime(2026, 11, 24, 9, 7, 11, tzinfo=UTC),
        method="NATIVE",
    )
    assert (back.kind, back.number, back.payment_number) == (LineKind.REFUND, REFUND_NUMBER, NUMBER)
    assert (back.total, back.received, back.fee, back.status) == (Money(888), Money(800), -3, LineStatus.SUCCEEDED)
    assert back.transaction_id == "50300806962026112400001"


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\r\n", "\n")])
async def test_marks_and_line_ends_do_not_matter(world: World, change: Callable[[str], str]) -> None:
    assert await _trade(world, change(TRADE)) == await _trade(world)


async def test_a_refund_that_failed_one_from_the_console_and_one_that_was_undone(world: World) -> None:
    failed = await _trade(world, TRADE.replace("`PROCESSING", "`FAIL"))
    console = await _trade(world, TRADE.replace(REFUND_NUMBER, "50300806962026112400099"))
    undone = await _trade(world, TRADE.replace("`REFUND,", "`REVOKED,").replace(REFUND_NUMBER, "0"))
    assert failed[1].status is LineStatus.FAILED
    assert (console[1].number, console[1].payment_number) == ("", NUMBER)
    assert (undone[1].number, undone[1].status) == (NUMBER, LineStatus.REVERSED)


async def test_a_provider_reads_its_sub_merchants_bill(world: World) -> None:
    text = TRADE.replace(f"`{MCHID},`0,", f"`{PROVIDER},`{SUB_MCHID},")
    assert len(await _trade(world, text, provider=True)) == 2
    for foreign in (TRADE, text.replace(SUB_MCHID, "1900000110"), text.replace(PROVIDER, "1900000010")):
        with pytest.raises(BillInvalid):
            await _trade(world, foreign, provider=True)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (TOTAL, "", 5),
        (SUMMARY + "\r\n" + TOTAL + "\r\n", "", 3),
        (TRADE[len(TRADE) // 2 :], "", 3),
        (BACK + "\r\n", "", 4),
        ("`80.00,`0.00", "`80.01,`0.00", 5),
        ("`8.00,`0.00,`ORIGINAL", "`8.01,`0.00,`ORIGINAL", 5),
        ("-0.03000", "-0.04000", 5),
        ("`88.88,`0.00,`\r\n", "`88.89,`0.00,`\r\n", 5),
        ("`2,`80.00,`8.00", "`3,`80.00,`8.00", 5),
        (f"`{MCHID},`0", "`1900000002,`0", 2),
        (f"`{MCHID},`0", f"`{MCHID},`1900000110", 2),
        ("2026-11-24 17:07:11", "2026-11-23 17:07:11", 2),
        ("2026-11-24 17:07:11", "2026-11-24T17:07:11", 2),
        ("`SUCCESS,", "`USERPAYING,", 2),
        ("`CNY,`80.00", "`USD,`80.00", 2),
        ("`80.00,`0.00", "`8e1,`0.00", 2),
        ("`80.00,`0.00", "`80.001,`0.00", 2),
        ("`80.00,`0.00", "`-80.00,`0.00", 2),
        (f"`{NUMBER},`ofyak5qR,`NATIVE,`SUCCESS", "`,`ofyak5qR,`NATIVE,`SUCCESS", 2),
        ("`火龙果, 两斤", "`火龙果,` 两斤", 2),
        ("手续费,费率", "手续费,手续费", 1),
        ("商户退款单号", "别的", 1),
        (HEADER, FUND.split("\n", maxsplit=1)[0], 1),
        (TRADE, "", 1),
        (TRADE, "<html>", 1),
        (TRADE, TRADE + "`1", 6),
    ],
)
async def test_a_bill_that_does_not_fit_names_its_line(world: World, old: str, new: str, line: int) -> None:
    assert old in TRADE
    with pytest.raises(BillInvalid) as refusal:
        await _trade(world, TRADE.replace(old, new, 1))
    assert refusal.value.line == line


@pytest.mark.parametrize("content", [TRADE.encode().replace("火".encode(), b"\xff"), b"`" * 70_000, b"\x1f\x8b\x08"])
async def test_what_is_no_text_is_no_bill(world: World, content: bytes) -> None:
    with pytest.raises(BillInvalid):
        await _trade(world, content)


async def test_a_fund_bill_is_read_with_its_signs_and_its_balance(world: World) -> None:
    lines = await _fund(world)
    assert [(line.movement, line.amount, line.balance) for line in lines] == [
        (Movement.PAYMENT, 8000, 8000),
        (Movement.FEE, -30, 7970),
        (Movement.REFUND, -797, 7173),
        (Movement.OTHER, -100, 7073),
    ]
    assert (lines[2].transaction_id, lines[2].number) == ("50300806962026112400001", REFUND_NUMBER)
    assert (lines[0].flow_id, lines[0].fund) == ("4200000920202611247964319284", "BASIC")
    assert await _fund(world, FUND.replace("(元)", "（元）")) == lines


@pytest.mark.parametrize(
    ("old", "new"),
    [("`4.0,", "`5.0,"), ("`80.00\n", "`80.01\n"), ("`9.27", "`9.28"), ("`收入", "`转入"), ("`7.97,", "`-7.97,"),
     ("4200000920202611247964319284", ""), ("2026-11-24 13", "2026-11-26 13"), ("收支类型", "别的")],
)  # fmt: skip
async def test_a_fund_bill_that_does_not_fit_is_refused(world: World, old: str, new: str) -> None:
    changed = FUND.replace(old, new, 1) if old in FUND else FUND.replace("`80.00,`3.0", "`80.01,`3.0")
    with pytest.raises(BillInvalid):
        await _fund(world, changed)


# ── Fetching ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _published(content: bytes, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return {"hash_type": "SHA1", "hash_value": digest, "download_url": FILE} | changes


async def _fetch(
    world: World,
    told: Callable[[], httpx.Response],
    file: bytes = TRADE.encode(),
    *,
    kind: StatementKind = StatementKind.TRADE,
    provider: bool = False,
    status: int = 200,
) -> tuple[bytes | None, list[str]]:
    """What was written, and which addresses were asked."""
    asked: list[str] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        authorized(request)
        return httpx.Response(status, content=file) if "billdownload" in asked[-1] else told()

    into = io.BytesIO()
    async with world.adapter(gateway) as wechat:
        there = await wechat.fetch(_access(world, provider), kind, DAY, into)
    return (into.getvalue() if there else None), asked


async def test_a_bill_is_fetched_as_it_is(world: World) -> None:
    content, asked = await _fetch(world, lambda: answer(200, _published(TRADE.encode())))
    assert content == TRADE.encode()
    assert asked == ["/v3/bill/tradebill?bill_date=2026-11-24&bill_type=ALL", "/v3/billdownload/file?token=abc"]
    _, asked = await _fetch(world, lambda: answer(200, _published(TRADE.encode())), kind=StatementKind.FUND)
    assert asked[0] == "/v3/bill/fundflowbill?bill_date=2026-11-24&account_type=BASIC"
    _, asked = await _fetch(world, lambda: answer(200, _published(TRADE.encode())), provider=True)
    assert asked[0].endswith(f"&bill_type=ALL&sub_mchid={SUB_MCHID}")


@pytest.mark.parametrize("code", ["NO_STATEMENT_EXIST", "NO_BILL_EXIST"])
async def test_no_bill_is_a_word_of_the_channels(world: World, code: str) -> None:
    assert (await _fetch(world, lambda: answer(400, refused(code))))[0] is None
    with pytest.raises(OutcomeUnknown):
        await _fetch(world, lambda: unsigned(400, refused(code)))


@pytest.mark.parametrize(
    ("status", "content", "error", "code"),
    [
        (400, refused("STATEMENT_CREATING"), ChannelUnavailable, "bill_not_ready"),
        (400, refused("BILL_CREATING"), ChannelUnavailable, "bill_not_ready"),
        (403, refused("NO_AUTH"), AccountRefused, "NO_AUTH"),
        (500, refused("SYSTEM_ERROR"), OutcomeUnknown, "outcome_unknown"),
        (500, refused("NO_STATEMENT_EXIST"), OutcomeUnknown, "outcome_unknown"),
        (200, _published(b"", hash_type="MD5"), OutcomeUnknown, "answer_invalid"),
        (200, _published(b"", hash_value="abc"), OutcomeUnknown, "answer_invalid"),
        (200, _published(b"", download_url=None), OutcomeUnknown, "answer_invalid"),
        (200, _published(b"", download_url="https://evil.invalid/v3/billdownload"), OutcomeUnknown, "answer_invalid"),
        (200, _published(b"", download_url=GATEWAY + ".evil.invalid/x"), OutcomeUnknown, "answer_invalid"),
        (200, _published(b"another file"), OutcomeUnknown, "bill_changed"),
    ],
)
async def test_what_is_no_bill_yet_or_not_the_announced_one(
    world: World, status: int, content: Any, error: type[ChannelError], code: str
) -> None:
    with pytest.raises(error) as raised:
        await _fetch(world, lambda: answer(status, content))
    assert (type(raised.value), raised.value.code) == (error, code)


async def test_a_file_that_does_not_come_is_fetched_again(world: World) -> None:
    with pytest.raises(ChannelUnavailable):
        await _fetch(world, lambda: answer(200, _published(b"")), status=400)


async def test_a_fund_bill_may_not_be_had(world: World) -> None:
    with pytest.raises(ChannelRejected) as refusal:
        await _fetch(world, lambda: answer(403, refused("NO_AUTH")), kind=StatementKind.FUND)
    assert refusal.value.code == "bill_not_permitted"
    with pytest.raises(ChannelRejected) as refusal:
        await _fetch(world, lambda: answer(200, {}), kind=StatementKind.FUND, provider=True)
    assert refusal.value.code == "bill_not_permitted"
