"""Refunds at the sandbox's WeChat Pay, with the limits of its documents."""

import json
from typing import Any

import pytest
from wechatpayv3.async_ import AsyncWeChatPay

from tests.integration.wechat_sandbox.conftest import MCHID, place, query
from tests.unit.sandbox.box import Control, Merchant, new_number


async def paid(sdk: AsyncWeChatPay, control: Control, **how: Any) -> str:
    number = new_number()
    await place(sdk, number)
    control.post("pay", channel="wechat", out_trade_no=number, notify=False, **how)
    return number


async def refund(
    sdk: AsyncWeChatPay, number: str, amount: int, refund_number: str = "", **more: Any
) -> tuple[int, dict[str, Any]]:
    asked = {"refund": amount, "total": more.pop("total", 1990), "currency": "CNY"}
    status, text = await sdk.refund(refund_number or new_number(), asked, out_trade_no=number, **more)
    return status, json.loads(text)


async def state_of(sdk: AsyncWeChatPay, refund_number: str) -> str:
    _, text = await sdk.query_refund(refund_number)
    answer = json.loads(text)
    state: str = answer.get("status") or answer["code"]
    return state


async def test_a_refund_is_taken_then_done_and_told(sdk: AsyncWeChatPay, control: Control, merchant: Merchant) -> None:
    number, refund_number = await paid(sdk, control, received=1900, payer_paid=1800), new_number()
    status, answer = await refund(sdk, number, 995, refund_number, reason="不想要了", notify_url=merchant.url)
    assert (status, answer["status"]) == (200, "PROCESSING")
    assert (answer["out_refund_no"], answer["out_trade_no"]) == (refund_number, number)
    assert answer["amount"] == {
        "total": 1990,
        "refund": 995,
        "from": [],
        "payer_total": 1800,
        "payer_refund": 900,
        "settlement_refund": 950,
        "settlement_total": 1900,
        "discount_refund": 95,
        "currency": "CNY",
    }
    assert await refund(sdk, number, 995, refund_number) == (200, answer)
    (notice,) = await merchant.wait_for(1)
    opened = sdk.callback(notice.headers, notice.body)
    assert (opened["event_type"], opened["resource"]["refund_status"]) == ("REFUND.SUCCESS", "SUCCESS")
    wanted = {"mchid": MCHID, "out_refund_no": refund_number, "out_trade_no": number, "refund_id": answer["refund_id"]}
    assert wanted.items() <= opened["resource"].items()
    assert opened["resource"]["amount"] == {"total": 1990, "refund": 995, "payer_total": 1800, "payer_refund": 900}
    assert await state_of(sdk, refund_number) == "SUCCESS"
    assert (await query(sdk, number))["trade_state"] == "REFUND"
    assert len(control.get("wechat/refunds", out_trade_no=number)) == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("funds_short", 403, "NOT_ENOUGH"), ("account_abnormal", 403, "USER_ACCOUNT_ABNORMAL")],
)
async def test_a_refund_that_is_not_taken_leaves_nothing_behind(
    sdk: AsyncWeChatPay, control: Control, fault: str, status: int, code: str
) -> None:
    number, refund_number = await paid(sdk, control), new_number()
    control.post("faults", 201, channel="wechat", api="refund", fault=fault)
    got, answer = await refund(sdk, number, 1990, refund_number)
    assert (got, answer["code"]) == (status, code)
    assert await state_of(sdk, refund_number) == "RESOURCE_NOT_EXISTS"
    assert (await refund(sdk, number, 1990, refund_number))[0] == 200


@pytest.mark.parametrize(("fault", "status"), [("refund_abnormal", "ABNORMAL"), ("refund_closed", "CLOSED")])
async def test_a_refund_that_was_taken_may_end_badly(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant, fault: str, status: str
) -> None:
    number, refund_number = await paid(sdk, control), new_number()
    control.post("settings", wechat_refund_seconds=0, wechat_refund_gap=0)
    control.post("faults", 201, channel="wechat", api="refund", fault=fault)
    _, taken = await refund(sdk, number, 1990, refund_number, notify_url=merchant.url)
    (notice,) = await merchant.wait_for(1)
    opened = sdk.callback(notice.headers, notice.body)
    assert (opened["event_type"], opened["resource"]["refund_status"]) == (f"REFUND.{status}", status)
    assert "success_time" not in opened["resource"]
    assert await state_of(sdk, refund_number) == status
    # A closed one gives its amount free again, an abnormal one does not: its money is still on the way.
    again, _ = await refund(sdk, number, 1990)
    assert again == (200 if status == "CLOSED" else 400)
    path = {"refund_id": taken["refund_id"], "out_refund_no": refund_number, "type": "MERCHANT_BANK_CARD"}
    got, text = await sdk.abnormal_refund(**path)
    assert got == (400 if status == "CLOSED" else 200), text
    if status == "ABNORMAL":
        assert json.loads(text)["status"] == "PROCESSING"
        opened = sdk.callback((await merchant.wait_for(2))[1].headers, merchant.received[1].body)
        assert opened["event_type"] == "REFUND.SUCCESS"


async def test_two_refunds_of_an_order_are_a_minute_apart(sdk: AsyncWeChatPay, control: Control) -> None:
    number = await paid(sdk, control)
    assert (await refund(sdk, number, 100))[0] == 200
    status, answer = await refund(sdk, number, 100)
    assert (status, answer["code"]) == (429, "FREQUENCY_LIMITED")
    control.post("settings", wechat_refund_gap=0)
    assert (await refund(sdk, number, 100))[0] == 200


async def test_an_order_takes_fifty_refunds_and_their_parts_add_up(sdk: AsyncWeChatPay, control: Control) -> None:
    number = await paid(sdk, control, received=1900, payer_paid=1801)
    control.post("settings", wechat_refund_gap=0)
    for _ in range(49):
        assert (await refund(sdk, number, 7))[0] == 200
    assert (await refund(sdk, number, 1990 - 49 * 7 - 1))[0] == 200
    status, answer = await refund(sdk, number, 1)
    assert (status, answer["code"]) == (400, "INVALID_REQUEST")
    amounts = [one["amount"] for one in control.get("wechat/refunds", out_trade_no=number)]
    assert len(amounts) == 50
    assert sum(one["refund"] for one in amounts) == 1989
    assert sum(one["payer_refund"] for one in amounts) == 1989 * 1801 // 1990
    assert sum(one["settlement_refund"] for one in amounts) == 1989 * 1900 // 1990


async def test_a_year_is_the_longest(sdk: AsyncWeChatPay, control: Control) -> None:
    number = await paid(sdk, control)
    control.post("wechat/age", out_trade_no=number, seconds=365 * 86400 - 60)
    control.post("settings", wechat_refund_gap=0)
    assert (await refund(sdk, number, 1))[0] == 200
    control.post("wechat/age", out_trade_no=number, seconds=120)
    status, answer = await refund(sdk, number, 1)
    assert (status, answer["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("amount", "more", "wanted"),
    [
        (1991, {}, (400, "INVALID_REQUEST")),
        (100, {"total": 1991}, (400, "INVALID_REQUEST")),
        (0, {}, (400, "PARAM_ERROR")),
        (100, {"refund_number": "a b"}, (400, "PARAM_ERROR")),
        (100, {"refund_number": "x" * 65}, (400, "PARAM_ERROR")),
        (100, {"reason": "长" * 81}, (400, "PARAM_ERROR")),
        (100, {"notify_url": "https://a.example/?x=1"}, (400, "PARAM_ERROR")),
    ],
)
async def test_a_bad_request_is_refused_with_its_code(
    sdk: AsyncWeChatPay, control: Control, amount: int, more: dict[str, Any], wanted: tuple[int, str]
) -> None:
    number = await paid(sdk, control)
    got, answer = await refund(sdk, number, amount, **more)
    assert (got, answer["code"]) == wanted
    assert control.get("wechat/refunds", out_trade_no=number) == []


async def test_a_number_stands_for_one_refund(sdk: AsyncWeChatPay, control: Control) -> None:
    number, other, refund_number = await paid(sdk, control), await paid(sdk, control), new_number()
    assert (await refund(sdk, number, 100, refund_number))[0] == 200
    for order, amount in ((number, 101), (other, 100)):
        assert (await refund(sdk, order, amount, refund_number))[1]["code"] == "INVALID_REQUEST"


async def test_only_a_paid_order_is_refunded_in_full_once(sdk: AsyncWeChatPay, control: Control) -> None:
    unpaid = new_number()
    await place(sdk, unpaid)
    for number in (unpaid, "nothere1"):
        status, answer = await refund(sdk, number, 1)
        assert (status, answer["code"]) == (404, "RESOURCE_NOT_EXISTS")
    number = await paid(sdk, control)
    control.post("settings", wechat_refund_gap=0)
    assert (await refund(sdk, number, 1990))[0] == 200
    status, answer = await refund(sdk, number, 1)
    assert (status, answer["code"], answer["message"]) == (400, "INVALID_REQUEST", "订单已全额退款")


async def test_a_refund_may_be_made_in_the_console(sdk: AsyncWeChatPay, control: Control, merchant: Merchant) -> None:
    number = await paid(sdk, control)
    made = control.post("wechat/refunds", out_trade_no=number, amount=500)
    (notice,) = await merchant.wait_for(1)
    resource = sdk.callback(notice.headers, notice.body)["resource"]
    assert (resource["out_refund_no"], resource["amount"]["refund"]) == (made["out_refund_no"], 500)
    assert control.post("wechat/refunds", 409, out_trade_no=number, amount=1491)["code"] == "NOT_REFUNDABLE"
    assert await state_of(sdk, made["out_refund_no"]) == "SUCCESS"


@pytest.mark.parametrize(("fault", "taken"), [("system_error", True), ("lost", False), ("rate_limited", False)])
async def test_an_error_of_the_system_may_have_taken_it(
    sdk: AsyncWeChatPay, control: Control, fault: str, taken: bool
) -> None:
    number, refund_number = await paid(sdk, control), new_number()
    control.post("faults", 201, channel="wechat", api="refund", fault=fault)
    assert (await refund(sdk, number, 100, refund_number))[0] in (429, 500)
    assert (await state_of(sdk, refund_number) != "RESOURCE_NOT_EXISTS") is taken
