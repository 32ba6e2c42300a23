"""The sandbox's WeChat Pay, driven by a third party's SDK that knows nothing but its base URL."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from wechatpayv3.async_ import AsyncWeChatPay

from tests.integration.wechat_sandbox.conftest import APIV3_KEY, APPID, MCHID, SERIAL, place, query
from tests.unit.sandbox.box import Control, Merchant, new_key, new_number


async def test_an_order_is_placed_queried_and_closed_with_verified_answers(sdk: AsyncWeChatPay) -> None:
    number = new_number()
    status, answer = await place(sdk, number)
    assert status == 200
    assert answer["code_url"].startswith("weixin://wxpay/bizpayurl?pr=")
    assert (await query(sdk, number))["trade_state"] == "NOTPAY"
    assert await sdk.close(number) == (204, b"")
    assert (await query(sdk, number))["trade_state"] == "CLOSED"
    status, text = await sdk.close(number)
    assert (status, json.loads(text)["code"]) == (400, "ORDER_CLOSED")


async def test_a_payment_is_told_by_a_notice_that_the_sdk_verifies_and_opens(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant
) -> None:
    number = new_number()
    await place(sdk, number, attach="附加")
    control.post("pay", channel="wechat", out_trade_no=number, received=1900, payer_paid=1800)
    (notice,) = await merchant.wait_for(1)
    opened = sdk.callback(notice.headers, notice.body)
    assert opened["event_type"] == "TRANSACTION.SUCCESS"
    resource = opened["resource"]
    wanted = {"mchid": MCHID, "appid": APPID, "out_trade_no": number, "trade_state": "SUCCESS", "attach": "附加"}
    assert wanted.items() <= resource.items()
    assert (resource["amount"]["total"], resource["amount"]["payer_total"]) == (1990, 1800)
    coupons = {one["type"]: one["amount"] for one in resource["promotion_detail"]}
    assert coupons == {"NOCASH": 90, "CASH": 100}
    queried = await query(sdk, number)
    assert queried["transaction_id"] == resource["transaction_id"]
    _, by_id = await sdk.query(transaction_id=resource["transaction_id"])
    assert json.loads(by_id) == queried
    status, text = await sdk.close(number)
    assert (status, json.loads(text)["code"]) == (400, "ORDERPAID")


async def test_a_notice_is_repeated_with_its_id_until_it_is_taken(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant
) -> None:
    merchant.answers = [(500, b"{}"), (302, b""), (200, b"whatever")]
    control.post("settings", notice_speed=0.01)
    number = new_number()
    await place(sdk, number)
    control.post("pay", channel="wechat", out_trade_no=number)
    notices = await merchant.wait_for(3)
    assert len({json.loads(one.body)["id"] for one in notices}) == 1
    assert all(sdk.callback(one.headers, one.body) for one in notices)


async def test_the_same_order_again_gets_a_code_and_a_changed_one_does_not(
    sdk: AsyncWeChatPay, control: Control
) -> None:
    number = new_number()
    first = await place(sdk, number)
    assert await place(sdk, number) == first
    status, answer = await place(sdk, number, total=1991)
    assert (status, answer["code"]) == (403, "OUT_TRADE_NO_USED")
    control.post("pay", channel="wechat", out_trade_no=number, notify=False)
    status, answer = await place(sdk, number)
    assert (status, answer["code"]) == (400, "ORDERPAID")


@pytest.mark.parametrize("mode", ["certificate", "both"])
async def test_the_platform_certificate_can_be_fetched_and_signs(
    sdk: AsyncWeChatPay, control: Control, told: dict[str, str], mode: str
) -> None:
    control.post("settings", wechat_signer=mode)
    number = new_number()
    # The SDK fetches /v3/certificates by itself when an answer carries a serial that it does not know.
    for _ in range(8):
        assert (await place(sdk, number))[0] == 200
    status, text = await sdk._core.request("/v3/certificates")
    (certificate,) = json.loads(text)["data"]
    assert (status, certificate["serial_no"]) == (200, told["platform_serial"])
    sealed = certificate["encrypt_certificate"]
    from wechatpayv3.utils import aes_decrypt

    opened = aes_decrypt(sealed["nonce"], sealed["ciphertext"], sealed["associated_data"], APIV3_KEY)
    assert opened == told["platform_certificate"]


async def test_a_request_signed_with_another_key_is_refused(sdk: AsyncWeChatPay, control: Control) -> None:
    control.post(
        "wechat/merchants", mchid=MCHID, appid=APPID, serial_no=SERIAL, public_key=new_key()[1], apiv3_key=APIV3_KEY
    )
    status, answer = await place(sdk, new_number())
    assert (status, answer["code"]) == (401, "SIGN_ERROR")


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"number": "short"}, 400, "PARAM_ERROR", "/out_trade_no"),
        ({"total": 0}, 400, "PARAM_ERROR", "/amount/total"),
        ({"total": "1"}, 400, "PARAM_ERROR", "/amount/total"),
        ({"description": "长" * 128}, 400, "PARAM_ERROR", "/description"),
        ({"notify_url": "ftp://x"}, 400, "PARAM_ERROR", "/notify_url"),
        ({"time_expire": "2026-01-01 00:00:00"}, 400, "PARAM_ERROR", "/time_expire"),
        ({"appid": "wx9"}, 400, "APPID_MCHID_NOT_MATCH", None),
        ({"mchid": "1999999999"}, 400, "MCH_NOT_EXISTS", None),
    ],
)
async def test_a_bad_order_is_refused_with_its_code_and_its_field(
    sdk: AsyncWeChatPay, changes: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    got, answer = await place(sdk, changes.pop("number", new_number()), **changes)
    assert (got, answer["code"]) == (status, code)
    assert (answer.get("detail") or {}).get("field") == field


async def test_a_last_payable_moment_less_than_a_minute_away_is_refused(sdk: AsyncWeChatPay, control: Control) -> None:
    number, soon = new_number(), datetime.now(UTC) + timedelta(seconds=10)
    status, answer = await place(sdk, number, time_expire=soon.isoformat(timespec="seconds"))
    assert (status, answer["detail"]["field"]) == (400, "/time_expire")
    assert control.post("pay", 404, channel="wechat", out_trade_no=number)["code"] == "TRADE_NOT_FOUND"


async def test_an_unknown_order_and_an_unknown_interface_are_404(sdk: AsyncWeChatPay) -> None:
    assert (await query(sdk, "nothere1"))["code"] == "ORDER_NOT_EXIST"
    status, text = await sdk._core.request("/v3/nothing/here")
    assert (status, json.loads(text)["code"]) == (404, "RESOURCE_NOT_EXISTS")


@pytest.mark.parametrize(
    ("fault", "status", "placed"),
    [("rate_limited", 429, False), ("error_500", 500, False), ("system_error", 500, True)],
)
async def test_a_failing_channel_answers_with_its_status_and_only_a_system_error_has_done_the_work(
    sdk: AsyncWeChatPay, control: Control, fault: str, status: int, placed: bool
) -> None:
    number = new_number()
    control.post("faults", 201, channel="wechat", api="native", fault=fault)
    answer = await sdk.pay("x", number, {"total": 1})
    assert answer[0] == status
    assert bool(control.get("trades", channel="wechat", out_trade_no=number)) is placed


@pytest.mark.parametrize("fault", ["torn", "reset"])
async def test_a_broken_answer_is_an_error_of_the_wire_and_the_order_exists(
    sdk: AsyncWeChatPay, control: Control, fault: str
) -> None:
    number = new_number()
    control.post("faults", 201, channel="wechat", api="native", fault=fault)
    with pytest.raises(httpx.TransportError):
        await place(sdk, number)
    assert (await query(sdk, number))["trade_state"] == "NOTPAY"


@pytest.mark.parametrize("fault", ["bad_signature", "unsigned"])
async def test_an_answer_without_a_good_signature_fails_at_the_merchant(
    sdk: AsyncWeChatPay, control: Control, fault: str
) -> None:
    control.post("faults", 201, channel="wechat", api="native", fault=fault)
    with pytest.raises(Exception, match=r"."):
        await place(sdk, new_number())


async def test_a_slow_answer_comes_late(sdk: AsyncWeChatPay, control: Control) -> None:
    control.post("faults", 201, channel="wechat", api="native", fault="slow", seconds=0.5)
    started = datetime.now(UTC)
    assert (await place(sdk, new_number()))[0] == 200
    assert datetime.now(UTC) - started > timedelta(seconds=0.5)


async def test_a_signature_probe_comes_beside_the_genuine_notice_and_does_not_verify(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant
) -> None:
    number = new_number()
    await place(sdk, number)
    control.post("faults", 201, channel="wechat", api="notice", fault="signature_probe")
    control.post("pay", channel="wechat", out_trade_no=number)
    probe, genuine = await merchant.wait_for(2)
    assert probe.headers["wechatpay-signature"].startswith("WECHATPAY/SIGNTEST/")
    assert sdk.callback(probe.headers, probe.body) is None
    assert sdk.callback(genuine.headers, genuine.body)


async def test_crafted_notices_are_what_they_are_said_to_be(
    sdk: AsyncWeChatPay, control: Control, told: dict[str, str], merchant: Merchant
) -> None:
    number = new_number()
    await place(sdk, number)
    crafts: list[dict[str, Any]] = [
        {"overrides": {"amount.total": 1}},
        {"sign": "bad"},
        {"sign": "other_app"},
        {"timestamp_offset": -3600},
        {"overrides": {"envelope.resource_type": "plain"}},
    ]
    for craft in crafts:
        await control.apost("notices/send", channel="wechat", out_trade_no=number, url=merchant.url, **craft)
    mutated, forged, foreign, old, odd = (sdk.callback(one.headers, one.body) for one in merchant.received)
    assert mutated["resource"]["amount"]["total"] == 1
    assert foreign["resource"]["mchid"] != MCHID
    assert (forged, odd) == (None, None)
    assert old["resource"]["out_trade_no"] == number
    assert int(merchant.received[3].headers["wechatpay-timestamp"]) < datetime.now(UTC).timestamp() - 3500


async def test_a_notice_of_a_number_nobody_knows_can_be_sent(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant
) -> None:
    await control.apost("notices/send", channel="wechat", out_trade_no="nobody01", url=merchant.url)
    assert (
        sdk.callback(merchant.received[0].headers, merchant.received[0].body)["resource"]["out_trade_no"] == "nobody01"
    )


async def test_paying_twice_makes_two_transactions_of_one_number(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant
) -> None:
    number = new_number()
    await place(sdk, number)
    told = control.post("pay", channel="wechat", out_trade_no=number, times=2)
    assert len({one["transaction"] for one in told["transactions"]}) == 2
    assert len(await merchant.wait_for(2)) == 2


async def test_notices_can_be_sent_again_fifty_at_once(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant
) -> None:
    number = new_number()
    await place(sdk, number)
    control.post("pay", channel="wechat", out_trade_no=number)
    await merchant.wait_for(1)
    sent = await control.apost("notices/resend", out_trade_no=number, times=50, concurrency=50)
    assert [one["accepted"] for one in sent] == [True] * 50
    assert len({json.loads(one.body)["id"] for one in merchant.received}) == 1


async def test_a_service_provider_places_and_queries_for_its_sub_merchant(
    sdk: AsyncWeChatPay, control: Control, key: tuple[str, str], merchant: Merchant
) -> None:
    body = {"sp_appid": APPID, "sp_mchid": MCHID, "sub_mchid": "1900000999", "description": "x"}
    number = new_number()
    body |= {"out_trade_no": number, "notify_url": merchant.url, "amount": {"total": 5}}  # type: ignore[dict-item]
    path = "/v3/pay/partner/transactions"
    from wechatpayv3.async_.type import RequestType

    status, text = await sdk._core.request(path + "/native", method=RequestType.POST, data=body)
    assert status == 200, text
    control.post("pay", code=json.loads(text)["code_url"])
    (notice,) = await merchant.wait_for(1)
    assert sdk.callback(notice.headers, notice.body)["resource"]["sub_mchid"] == "1900000999"
    status, _ = await sdk._core.request(f"{path}/out-trade-no/{number}?sp_mchid={MCHID}&sub_mchid=1900000999")
    assert status == 200
    status, _ = await sdk._core.request(f"{path}/out-trade-no/{number}?sp_mchid={MCHID}&sub_mchid=1900000998")
    assert status == 404
