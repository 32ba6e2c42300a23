"""Profit sharing at the sandbox's WeChat Pay, asked by the SDK, with the limits of its documents."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from wechatpayv3.async_ import AsyncWeChatPay
from wechatpayv3.async_.type import RequestType

from tests.integration.wechat_sandbox.conftest import MCHID, place
from tests.unit.sandbox.box import Control, new_number

PLATFORM, OTHER = "1900000777", "1900000778"


@pytest.fixture(autouse=True)
def quick(control: Control) -> None:
    control.post("settings", share_seconds=0, share_return_seconds=0)


async def paid(sdk: AsyncWeChatPay, control: Control, *, marked: bool = True) -> str:
    """The transaction of an order over 19.90."""
    number = new_number()
    more: dict[str, Any] = {"settle_info": {"profit_sharing": True}} if marked else {}
    await place(sdk, number, **more)
    trade = control.post("pay", channel="wechat", out_trade_no=number, notify=False)
    transaction: str = trade["transactions"][0]["transaction"]
    return transaction


async def know(sdk: AsyncWeChatPay, account: str = PLATFORM) -> dict[str, Any]:
    status, text = await sdk.profitsharing_add_receiver("MERCHANT_ID", account, "SERVICE_PROVIDER", "平台公司")
    assert status == 200, text
    answer: dict[str, Any] = json.loads(text)
    return answer


def part(account: str = PLATFORM, amount: int = 100) -> dict[str, Any]:
    return {"type": "MERCHANT_ID", "account": account, "amount": amount, "description": "分给平台"}


async def share(
    sdk: AsyncWeChatPay, transaction: str, *parts: dict[str, Any], number: str = "", unfreeze: bool = False
) -> tuple[int, dict[str, Any]]:
    status, text = await sdk.profitsharing_order(transaction, number or new_number(), list(parts), unfreeze)
    return status, json.loads(text)


async def left(sdk: AsyncWeChatPay, transaction: str) -> int:
    _, text = await sdk.profitsharing_amount_query(transaction)
    amount: int = json.loads(text)["unsplit_amount"]
    return amount


async def test_a_share_is_taken_then_done_and_told(sdk: AsyncWeChatPay, control: Control) -> None:
    control.post("settings", share_seconds=600)
    added = await know(sdk)
    assert added["account"] == PLATFORM
    assert added["name"] != "平台公司", "names are encrypted on the wire"
    transaction, number = await paid(sdk, control), new_number()
    assert await left(sdk, transaction) == 1990
    status, answer = await share(sdk, transaction, part(), number=number)
    assert (status, answer["state"], answer["out_order_no"]) == (200, "PROCESSING", number)
    assert answer["receivers"][0]["result"] == "PENDING"
    assert await share(sdk, transaction, part(), number=number) == (200, answer)
    assert await left(sdk, transaction) == 1890


async def test_each_receiver_has_a_result_of_its_own(sdk: AsyncWeChatPay, control: Control) -> None:
    await know(sdk)
    transaction, number = await paid(sdk, control), new_number()
    _, answer = await share(sdk, transaction, part(), part("1900000555"), number=number)
    assert answer["state"] == "FINISHED"
    told = [(one["account"], one["result"], one.get("fail_reason")) for one in answer["receivers"]]
    assert told == [(PLATFORM, "SUCCESS", None), ("1900000555", "CLOSED", "NO_RELATION")]
    status, text = await sdk.profitsharing_order_query(transaction, number)
    assert (status, json.loads(text)) == (200, answer)
    assert await left(sdk, transaction) == 1890


async def test_a_receiver_that_was_taken_out_gets_nothing(sdk: AsyncWeChatPay, control: Control) -> None:
    await know(sdk, OTHER)
    status, _ = await sdk.profitsharing_delete_receiver("MERCHANT_ID", OTHER)
    assert status == 200
    _, answer = await share(sdk, await paid(sdk, control), part(OTHER))
    assert answer["receivers"][0]["fail_reason"] == "NO_RELATION"


@pytest.mark.parametrize(
    ("amount", "marked", "refusal"),
    [
        (598, True, (403, "RULE_LIMIT")),
        (1991, True, (403, "NOT_ENOUGH")),
        (1, False, (400, "INVALID_REQUEST")),
    ],
)
async def test_what_cannot_be_shared_is_refused(
    sdk: AsyncWeChatPay, control: Control, amount: int, marked: bool, refusal: tuple[int, str]
) -> None:
    await know(sdk)
    status, answer = await share(sdk, await paid(sdk, control, marked=marked), part(amount=amount))
    assert (status, answer["code"]) == refusal


async def test_a_number_is_one_share(sdk: AsyncWeChatPay, control: Control) -> None:
    await know(sdk)
    transaction, number = await paid(sdk, control), new_number()
    await share(sdk, transaction, part(), number=number)
    assert (await share(sdk, transaction, part(amount=101), number=number))[0] == 400
    assert (await share(sdk, await paid(sdk, control), part(), number=number))[0] == 400


@pytest.mark.parametrize("by", ["share", "call"])
async def test_an_order_that_is_unfrozen_is_shared_no_more(sdk: AsyncWeChatPay, control: Control, by: str) -> None:
    await know(sdk)
    transaction, number = await paid(sdk, control), new_number()
    if by == "share":
        await share(sdk, transaction, part(), unfreeze=True)
    else:
        status, text = await sdk.profitsharing_unfreeze(transaction, number, "解冻全部剩余资金")
        assert (status, json.loads(text)["receivers"][0]["account"]) == (200, MCHID)
        assert json.loads((await sdk.profitsharing_order_query(transaction, number))[1])["state"] == "FINISHED"
    assert await left(sdk, transaction) == 0
    assert (await share(sdk, transaction, part()))[0] == 400


async def test_a_share_comes_back_once_a_number_and_never_beyond_it(sdk: AsyncWeChatPay, control: Control) -> None:
    await know(sdk)
    transaction, number, back = await paid(sdk, control), new_number(), new_number()
    await share(sdk, transaction, part(), number=number)
    for _ in range(2):
        status, text = await sdk.profitsharing_return(back, PLATFORM, 60, "用户退款", out_order_no=number)
        assert (status, json.loads(text)["result"]) == (200, "SUCCESS")
    status, text = await sdk.profitsharing_return_query(number, back)
    assert (status, json.loads(text)["amount"]) == (200, 60)
    status, _ = await sdk.profitsharing_return(new_number(), PLATFORM, 41, "用户退款", out_order_no=number)
    assert status == 400
    assert await left(sdk, transaction) == 1950


async def test_a_receiver_may_not_be_able_to_give_back(sdk: AsyncWeChatPay, control: Control) -> None:
    await know(sdk)
    transaction, number, back = await paid(sdk, control), new_number(), new_number()
    await share(sdk, transaction, part(), number=number)
    control.post("faults", 201, channel="wechat", api="share_return", fault="return_refused")
    _, text = await sdk.profitsharing_return(back, PLATFORM, 60, "用户退款", out_order_no=number)
    answer = json.loads(text)
    assert (answer["result"], answer["fail_reason"]) == ("FAILED", "PAYER_ACCOUNT_ABNORMAL")


async def test_names_that_are_not_encrypted_are_refused(sdk: AsyncWeChatPay) -> None:
    body = {"type": "MERCHANT_ID", "account": PLATFORM, "name": "平台公司", "relation_type": "PARTNER", "appid": "x"}
    body["appid"] = sdk._appid
    status, text = await sdk._core.request("/v3/profitsharing/receivers/add", method=RequestType.POST, data=body)
    assert (status, json.loads(text)["code"]) == (400, "PARAM_ERROR")


async def test_the_fund_bill_has_what_went_out_and_came_back(sdk: AsyncWeChatPay, control: Control) -> None:
    control.post("settings", wechat_bills="now")
    await know(sdk)
    transaction, number, back = await paid(sdk, control), new_number(), new_number()
    await share(sdk, transaction, part(), number=number)
    await sdk.profitsharing_return(back, PLATFORM, 60, "用户退款", out_order_no=number)
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date().isoformat()
    status, text = await sdk._core.request(f"/v3/bill/fundflowbill?bill_date={today}")
    assert status == 200, text
    _, bill = await sdk._core.request(json.loads(text)["download_url"].removeprefix(control.base), skip_verify=True)
    rows = [line.replace("`", "").split(",") for line in bill.decode().splitlines()]
    own = [row[3:7] for row in rows if row[-1] in (number, back)]
    assert own == [["分账", "分账", "支出", "1.00"], ["分账回退", "分账回退", "收入", "0.60"]]
