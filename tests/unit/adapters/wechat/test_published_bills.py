"""Bills in the shapes in which WeChat Pay has published them, to the byte: other data, other merchants.

The shapes: the fixture of WeChat Pay's own PHP SDK (wechatpay-apiv3/wechatpay-php, tests/fixtures/bill.ALL.csv, 2019:
LF, in no order, sums with one decimal); bills of merchants whose form is still that of before 免充值券 (2017 to 2021,
https://pay.weixin.qq.com/docs/merchant/products/bill-download/format-trade.html, 注意事项: 少部分商户目前的账单格式停留
在历史早期版本); a service provider's (小程序云托管, 2022).
"""

from collections.abc import Sequence

import pytest

from domain.errors import BillInvalid
from domain.money import Money
from domain.numbers import channel_number
from domain.statements import Line, LineKind, LineStatus
from tests.unit.adapters.wechat.test_bills import DAY, HEADER, SUMMARY, _trade
from tests.unit.adapters.wechat.world import MCHID, NUMBER, PROVIDER, SUB_MCHID, World

OTHER = channel_number("01K0000000000000000000000D")
BACK = channel_number("01K0000000000000000000000E")
OLD_HEADER = (
    "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "总金额,{coupon}金额,微信退款单号,商户退款单号,退款金额,{coupon}退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率"
)
OLD_SUMMARY = "总交易单数,总交易额,总退款金额,总{coupon}退款金额,手续费总金额"


def bill(*lines: str, end: str = "\r\n") -> bytes:
    return "".join(line + end for line in lines).encode()


def old(coupon: str) -> bytes:
    return bill(
        OLD_HEADER.format(coupon=coupon),
        f"`2026-11-24 17:43:52,`wx0e25d797adcdc399,`{MCHID},`0,`,`4200000480202611243149128488,`{NUMBER},`od-im5MNG,"
        "`JSAPI,`SUCCESS,`BOSH_CREDIT,`CNY,`0.12,`0.00,`0,`0,`0.00,`0.00,`,`,`咖啡 大杯,`,`0.00000,`1.00%",
        f"`2026-11-24 09:04:17,`wx0e25d797adcdc399,`{MCHID},`0,`WEB,`4200000475202611241040513552,`{OTHER},`od-im5MNG,"
        "`APP,`SUCCESS,`CFT,`CNY,`209.00,`0.00,`0,`0,`0.00,`0.00,`,`,`购买商品,`上海店,`1.25000,`0.60%",
        f"`2026-11-24 20:00:00,`wx0e25d797adcdc399,`{MCHID},`0,`WEB,`4200000475202611241040513552,`{OTHER},`od-im5MNG,"
        f"`APP,`REFUND,`CFT,`CNY,`0.00,`0.00,`50000309860019112408485990,`{BACK},`9.00,`0.00,`ORIGINAL,`SUCCESS,"
        "`购买商品,`上海店,`-0.05000,`0.60%",
        OLD_SUMMARY.format(coupon=coupon),
        "`3,`209.12,`9.00,`0.00,`1.20000",
    )


def told(lines: Sequence[Line]) -> list[tuple[LineKind, str, int, int, int]]:
    return [(line.kind, line.number, line.total.minor, line.received.minor, line.fee) for line in lines]


@pytest.mark.parametrize("coupon", ["企业红包", "代金券或立减优惠"])
async def test_a_bill_in_its_early_form_tells_the_same(world: World, coupon: str) -> None:
    assert told(await _trade(world, old(coupon))) == [
        (LineKind.PAYMENT, NUMBER, 12, 12, 0),
        (LineKind.PAYMENT, OTHER, 20_900, 20_900, 125),
        (LineKind.REFUND, BACK, 900, 900, -5),
    ]


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [("`209.12", "`209.13", 6), ("`9.00,`0.00,`1.2", "`9.01,`0.00,`1.2", 6), ("`0,`,`42", "`1900000110,`,`42", 2)],
)
async def test_a_bill_in_its_early_form_has_to_fit_as_well(world: World, before: str, after: str, line: int) -> None:
    content = old("企业红包").decode()
    assert before in content
    with pytest.raises(BillInvalid) as refusal:
        await _trade(world, content.replace(before, after, 1))
    assert refusal.value.line == line


async def test_the_bill_of_the_official_sdk_is_read(world: World) -> None:
    content = bill(
        HEADER,
        f"`2026-11-24 05:01:46,`wxab8acd895ab1638a,`{MCHID},`0,`harryma007,`4200000263202611217700134212,"
        "`autotest_20261121081946_82335,`oHkLxtx0vUqe-18p_A,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00,"
        "`50000709672026112408420787,`REF4200000263202611217700963919,`0.01,`0.00,`ORIGINAL,`SUCCESS,"
        "`系统拨测-test_micropay_succ,`,`0.00000,`39.00%,`0.00,`0.01,`",
        f"`2026-11-24 01:52:32,`wxab8acd895ab1638a,`{MCHID},`0,`,`4200000263202611247700134902,`{NUMBER},"
        "`wxab8acb865bb1637e,`NATIVE,`SUCCESS,`OTHERS,`CNY,`0.03,`0.00,`0,`0,`0.00,`0.00,`,`,`autotest,`,"
        "`0.01000,`39.00%,`0.03,`0.00,`",
        f"`2026-11-24 18:53:38,`wxab8acd895ab1638a,`{MCHID},`0,`,`4200000263202611247700134987,`{OTHER},"
        "`wxab8acb865bb1637e,`NATIVE,`SUCCESS,`OTHERS,`CNY,`0.03,`0.01,`0,`0,`0.00,`0.00,`,`,`autotest,`,"
        "`0.01000,`39.00%,`0.03,`0.00,`",
        SUMMARY,
        "`3.0,`0.06,`0.01,`0.0,`0.02,`0.06,`0.01",
        end="\n",
    )
    back, first, second = await _trade(world, content)
    assert (back.number, back.transaction_id) == ("", "50000709672026112408420787")
    assert back.payment_number == "autotest_20261121081946_82335"
    assert (back.received, back.fee, back.status) == (Money(1), 0, LineStatus.SUCCEEDED)
    assert told([first, second]) == [
        (LineKind.PAYMENT, NUMBER, 3, 3, 1),
        (LineKind.PAYMENT, OTHER, 3, 3, 1),
    ]


async def test_a_service_providers_bill_of_one_sub_merchant_is_read(world: World) -> None:
    content = bill(
        HEADER,
        f"`2026-11-24 13:51:31,`wxfdc955f7104ad557,`{PROVIDER},`{SUB_MCHID},`,`4200001403202611247486132206,`{NUMBER},"
        "`oZWaCKXip5njeEiloC4oeOV1TTsk,`JSAPI,`SUCCESS,`OTHERS,`CNY,`0.01,`0.00,`0,`0,`0.00,`0.00,`,`,`微信支付测试,`,"
        "`0.00000,`0.90%,`0.01,`0.00,`",
        SUMMARY,
        "`1,`0.01,`0.00,`0.00,`0.00000,`0.01,`0.00",
        end="\n",
    )
    (line,) = await _trade(world, content, provider=True)
    assert (line.number, line.received, line.day) == (NUMBER, Money(1), DAY)


async def test_a_bill_of_refunds_alone_is_not_the_days_bill(world: World) -> None:
    """bill_type REFUND has all its columns and two more: read as the day's, it would have lost every payment."""
    header = HEADER.replace("微信退款单号", "退款申请时间,退款成功时间,微信退款单号")
    with pytest.raises(BillInvalid, match="line 1"):
        await _trade(world, bill(header, SUMMARY, "`0,`0.00,`0.00,`0.00,`0.00,`0.00,`0.00"))
