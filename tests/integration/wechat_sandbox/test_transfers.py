"""Transfers at the sandbox's WeChat Pay, through a third party's SDK: nobody gets money without confirming it."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from wechatpayv3.async_ import AsyncWeChatPay
from wechatpayv3.async_.type import RequestType

from tests.integration.wechat_sandbox.conftest import MCHID
from tests.unit.sandbox.box import Control, Merchant, new_number

OPENID, REPORT = "o-MYE42l80oelYMDE34nYD456Xoy", [{"info_type": "采购商品名称", "info_content": "火龙果"}]


async def send(sdk: AsyncWeChatPay, number: str, amount: int = 1234, **more: Any) -> tuple[int, dict[str, Any]]:
    asked = {"user_name": "张三", "transfer_scene_report_infos": REPORT} | more
    status, text = await sdk.mch_transfer_bills(number, "1009", OPENID, amount, "货款结算", **asked)
    return status, json.loads(text)


async def ask(sdk: AsyncWeChatPay, number: str) -> tuple[int, dict[str, Any]]:
    status, text = await sdk.mch_transfer_bills_query(out_bill_no=number)
    return status, json.loads(text)


async def ended(sdk: AsyncWeChatPay, number: str, *states: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while (answer := (await ask(sdk, number))[1])["state"] not in states:  # noqa: ASYNC110 - the far side moves by its own clock
            await asyncio.sleep(0.1)
    return answer


async def test_the_payee_confirms_and_the_merchant_is_told(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant
) -> None:
    control.post("settings", wechat_refund_seconds=0.1)
    number = new_number()
    status, made = await send(sdk, number, notify_url=merchant.url)
    assert (status, made["state"], made["out_bill_no"]) == (200, "WAIT_USER_CONFIRM", number)
    assert await send(sdk, number, notify_url=merchant.url) == (200, made)
    control.post("wechat/transfers", package_info=made["package_info"])
    answer = await ended(sdk, number, "SUCCESS")
    assert (answer["mch_id"], answer["transfer_amount"], answer["openid"]) == (MCHID, 1234, OPENID)
    assert sdk._core.decrypt(answer["user_name"]) == "张三"
    _, text = await sdk.mch_transfer_bills_query(transfer_bill_no=made["transfer_bill_no"])
    assert json.loads(text)["out_bill_no"] == number
    (notice,) = await merchant.wait_for(1)
    opened = sdk.callback(notice.headers, notice.body)
    assert opened["event_type"] == "MCHTRANSFER.BILL.FINISHED"
    wanted = {"out_bill_no": number, "transfer_bill_no": made["transfer_bill_no"], "state": "SUCCESS"}
    assert (wanted | {"transfer_amount": 1234}).items() <= opened["resource"].items()
    control.post("wechat/transfers", 404, package_info=made["package_info"])


async def test_a_payee_who_lets_the_day_pass_gets_nothing(sdk: AsyncWeChatPay, control: Control) -> None:
    number = new_number()
    _, made = await send(sdk, number)
    control.post("wechat/transfers", package_info=made["package_info"], action="leave")
    _, answer = await ask(sdk, number)
    assert (answer["state"], answer["fail_reason"]) == ("FAIL", "OVERDUE_CLOSE")


async def test_the_merchant_takes_it_back_before_it_is_confirmed(sdk: AsyncWeChatPay, control: Control) -> None:
    control.post("settings", wechat_refund_seconds=0.1)
    number = new_number()
    _, made = await send(sdk, number)
    # The SDK signs no body here and sends "null": the call is made by hand.
    path = f"/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{number}/cancel"
    status, text = await sdk._core.request(path, method=RequestType.POST, data={"_": ""})
    assert (status, json.loads(text)["state"]) == (200, "CANCELING")
    assert (await ended(sdk, number, "CANCELLED"))["fail_reason"] == "MCH_CANCEL"
    control.post("wechat/transfers", 404, package_info=made["package_info"])


@pytest.mark.parametrize(
    ("fault", "status", "code"), [("funds_short", 403, "NOT_ENOUGH"), ("transfer_refused", 400, "INVALID_REQUEST")]
)
async def test_a_transfer_that_is_not_taken_leaves_nothing_behind(
    sdk: AsyncWeChatPay, control: Control, fault: str, status: int, code: str
) -> None:
    number = new_number()
    control.post("faults", 201, channel="wechat", api="transfer", fault=fault)
    got, answer = await send(sdk, number)
    assert (got, answer["code"]) == (status, code)
    assert (await ask(sdk, number))[0] == 404
    assert (await send(sdk, number))[0] == 200


async def test_one_that_was_taken_may_fail_in_the_end(sdk: AsyncWeChatPay, control: Control) -> None:
    control.post("settings", wechat_refund_seconds=0.1)
    control.post("faults", 201, channel="wechat", api="transfer", fault="transfer_fails")
    number = new_number()
    _, made = await send(sdk, number)
    control.post("wechat/transfers", package_info=made["package_info"])
    assert (await ended(sdk, number, "FAIL"))["fail_reason"] == "NAME_NOT_CORRECT"


async def test_money_is_locked_before_anybody_can_confirm(sdk: AsyncWeChatPay, control: Control) -> None:
    control.post("faults", 201, channel="wechat", api="transfer", fault="transfer_waits", seconds=0.1)
    number = new_number()
    _, made = await send(sdk, number)
    assert (made["state"], "package_info" in made) == ("PROCESSING", False)
    await ended(sdk, number, "WAIT_USER_CONFIRM")
    assert (await send(sdk, number))[1]["package_info"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": 9}, "INVALID_REQUEST"),
        ({"amount": 200_000, "user_name": None}, None),
        ({"transfer_scene_report_infos": []}, "PARAM_ERROR"),
        ({"appid": "wx9999999999999999"}, "INVALID_REQUEST"),
        ({"notify_url": "https://pay.example/n?a=1"}, "PARAM_ERROR"),
    ],
)
async def test_what_the_documents_forbid_is_refused(
    sdk: AsyncWeChatPay, changes: dict[str, Any], code: str | None
) -> None:
    if code is None:
        with pytest.raises(Exception, match="user_name"):  # the SDK's own refusal
            await send(sdk, new_number(), **changes)
        return
    status, answer = await send(sdk, new_number(), **changes)
    assert (status, answer["code"]) == (400, code)


async def test_a_number_stands_for_one_transfer(sdk: AsyncWeChatPay) -> None:
    number = new_number()
    await send(sdk, number)
    status, answer = await send(sdk, number, 1235)
    assert (status, answer["message"]) == (400, "单号已存在但信息不一致，请查单后比较确认")


async def test_transfers_are_in_the_fund_bill_of_the_operation_account(sdk: AsyncWeChatPay, control: Control) -> None:
    control.post("settings", wechat_bills="now", wechat_refund_seconds=0.1)
    number = new_number()
    _, made = await send(sdk, number)
    control.post("wechat/transfers", package_info=made["package_info"], action="leave")
    day = made["create_time"][:10]
    path = f"/v3/bill/fundflowbill?bill_date={day}&account_type=OPERATION"
    _, text = await sdk._core.request(path)
    token = json.loads(text)["download_url"].partition("/v3/")[2]
    _, file = await sdk._core.request(f"/v3/{token}", skip_verify=True)
    lines = [line for line in file.decode().splitlines() if number in line]
    control.post("settings", wechat_bills="clock")
    assert [line.split(",`")[3:7] for line in lines] == [
        ["商家转账", "商家转账", "支出", "12.34"],
        ["商家转账退回", "商家转账退回", "收入", "12.34"],
    ]


async def test_the_payees_phone_shows_what_waits(sdk: AsyncWeChatPay, control: Control) -> None:
    number = new_number()
    _, made = await send(sdk, number)
    async with httpx.AsyncClient(base_url=control.base, trust_env=False) as browser:
        assert number in (await browser.get("/phone/wechat/transfers")).text
        gone = await browser.post("/phone/wechat/transfers", data={"package": made["package_info"], "action": "leave"})
        assert gone.status_code == 303
        assert number not in (await browser.get("/phone/wechat/transfers?lang=en")).text
