"""The sandbox's Alipay, driven by a third party's SDK that knows nothing but its base URL."""

import asyncio
import json
import time
import urllib.error
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from alipay import AliPay
from alipay.exceptions import AliPayException, AliPayValidationError

from tests.unit.sandbox.box import Control, Merchant, free_port, listening, new_key, new_number, running

APP, SELLER = "2021000000000001", "2088000000000001"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with running(port, tmp_path_factory.mktemp("sandbox")):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def control(base: str) -> Iterator[Control]:
    control = Control(base)
    yield control
    control.clear_faults()
    control.post("settings", notice_speed=1.0)


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    async with listening() as merchant:
        yield merchant


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    return new_key()


class Shop:
    """The SDK as a merchant uses it, off the event loop."""

    def __init__(self, control: Control, key: tuple[str, str], notify_url: str) -> None:
        told = control.post("alipay/apps", app_id=APP, seller_id=SELLER, public_key=key[1])
        self.sdk = AliPay(
            appid=APP,
            app_notify_url=notify_url,
            app_private_key_string=key[0],
            alipay_public_key_string=told["alipay_public_key"],
        )
        self.sdk._gateway = control.base + "/gateway.do"
        self.sdk._config.timeout = 2

    async def __call__(self, method: str, **biz: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await asyncio.to_thread(self.sdk.server_api, f"alipay.trade.{method}", biz)
        return answer

    async def qr(self, number: str, amount: str = "19.90", **biz: Any) -> str:
        """A code through the SDK's own call, which is the one that sends the notify_url."""
        call = self.sdk.api_alipay_trade_precreate
        told = await asyncio.to_thread(call, "火龙果/咖啡", number, amount, **biz)
        assert told["code"] == "10000", told
        code: str = told["qr_code"]
        return code


@pytest.fixture
def shop(control: Control, key: tuple[str, str], merchant: Merchant) -> Shop:
    return Shop(control, key, merchant.url)


def form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


async def test_a_trade_exists_only_after_the_payer_has_scanned(shop: Shop, control: Control) -> None:
    number = new_number()
    code = await shop.qr(number)
    assert code.startswith("https://qr.alipay.com/bax")
    assert (await shop("query", out_trade_no=number))["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    assert (await shop("close", out_trade_no=number))["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    control.post("scan", code=code)
    assert (await shop("query", out_trade_no=number))["trade_status"] == "WAIT_BUYER_PAY"


async def test_a_payment_is_told_by_a_notice_that_verifies(shop: Shop, control: Control, merchant: Merchant) -> None:
    number = new_number()
    await shop.qr(number)
    control.post("pay", channel="alipay", out_trade_no=number, received=1890, payer_paid=1790)
    told = form((await merchant.wait_for(1))[0].body)
    signature = told.pop("sign")
    assert shop.sdk.verify(dict(told), signature)
    assert not shop.sdk.verify(dict(told) | {"total_amount": "0.01"}, signature)
    wanted = {"app_id": APP, "seller_id": SELLER, "out_trade_no": number, "trade_status": "TRADE_SUCCESS"}
    wanted |= {"total_amount": "19.90", "receipt_amount": "18.90", "buyer_pay_amount": "17.90"}
    assert wanted.items() <= told.items()
    queried = await shop("query", out_trade_no=number)
    assert (queried["trade_status"], queried["trade_no"]) == ("TRADE_SUCCESS", told["trade_no"])
    assert queried["receipt_amount"] == "18.90"


async def test_a_notice_is_repeated_with_its_id_until_the_answer_is_exactly_success(
    shop: Shop, control: Control, merchant: Merchant
) -> None:
    merchant.answers = [(500, b""), (200, b"success\n"), (302, b""), (200, b"success")]
    control.post("settings", notice_speed=0.0005)
    number = new_number()
    await shop.qr(number)
    control.post("pay", channel="alipay", out_trade_no=number)
    await merchant.wait_for(4)
    await asyncio.sleep(1)
    log = control.get("notices", out_trade_no=number)
    assert [one["accepted"] for one in log] == [False, False, False, True]
    assert len({form(one.body)["notify_id"] for one in merchant.received}) == 1


async def test_the_same_order_again_gets_its_code_and_another_amount_does_not(shop: Shop, control: Control) -> None:
    number = new_number()
    code = await shop.qr(number)
    assert await shop.qr(number) == code
    changed = await shop("precreate", out_trade_no=number, total_amount="20.00", subject="火龙果/咖啡")
    assert changed["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"
    control.post("pay", code=code, notify=False)
    again = await shop("precreate", out_trade_no=number, total_amount="19.90", subject="火龙果/咖啡")
    assert again["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
    assert (await shop("close", out_trade_no=number))["sub_code"] == "ACQ.TRADE_STATUS_ERROR"


async def test_a_closed_trade_cannot_be_paid_but_may_be_by_force(shop: Shop, control: Control) -> None:
    number = new_number()
    control.post("scan", code=await shop.qr(number))
    assert (await shop("close", out_trade_no=number))["code"] == "10000"
    assert (await shop("query", out_trade_no=number))["trade_status"] == "TRADE_CLOSED"
    assert control.post("pay", 409, out_trade_no=number)["code"] == "NOT_PAYABLE"
    control.post("pay", out_trade_no=number, late=True)
    assert (await shop("query", out_trade_no=number))["trade_status"] == "TRADE_SUCCESS"


async def test_a_scanned_trade_closes_by_itself_at_its_end_and_says_so(
    shop: Shop, control: Control, merchant: Merchant
) -> None:
    number, end = new_number(), datetime.now(UTC) + timedelta(hours=8, seconds=2)
    code = await shop.qr(number, time_expire=end.strftime("%Y-%m-%d %H:%M:%S"))
    control.post("scan", code=code)
    told = form((await merchant.wait_for(1, seconds=6))[0].body)
    assert told["trade_status"] == "TRADE_CLOSED"
    assert "gmt_payment" not in told
    assert (await shop("query", out_trade_no=number))["trade_status"] == "TRADE_CLOSED"


async def test_cancelling_an_unscanned_order_kills_its_code(shop: Shop, control: Control) -> None:
    number = new_number()
    code = await shop.qr(number)
    assert (await shop("cancel", out_trade_no=number))["code"] == "10000"
    assert control.post("pay", 409, code=code)["code"] == "NOT_PAYABLE"


def call(base: str, shop: Shop, changes: dict[str, str], *, signed: bool = True) -> dict[str, Any]:
    """A raw call, with the SDK's signature over whatever was changed."""
    data = shop.sdk.build_body("alipay.trade.query", {"out_trade_no": "N"})
    data = {name: value for name, value in (data | changes).items() if value != ""}
    params = form(shop.sdk.sign_data(data).encode())
    if not signed:
        params["sign"] = params["sign"][:-8] + "AAAAAA=="
    answer: dict[str, Any] = httpx.post(base + "/gateway.do", data=params, trust_env=False).json()
    return answer


@pytest.mark.parametrize(
    ("changes", "code", "sub_code"),
    [
        ({"method": ""}, "40001", "isv.missing-method"),
        ({"app_id": ""}, "40001", "isv.missing-app-id"),
        ({"timestamp": ""}, "40001", "isv.missing-timestamp"),
        ({"app_id": "2021999999999999"}, "40002", "isv.invalid-app-id"),
        ({"timestamp": "2026-11-23T10:00:00"}, "40002", "isv.invalid-timestamp"),
        ({"sign_type": "MD5"}, "40002", "isv.invalid-signature-type"),
        ({"version": "2.0"}, "40002", "isv.invalid-version"),
        ({"method": "alipay.trade.fly"}, "40002", "isv.invalid-method"),
        ({"biz_content": "[]"}, "40002", "isv.invalid-parameter"),
        ({"biz_content": "[" * 50000}, "40002", "isv.invalid-parameter"),
    ],
)
def test_the_gateway_refuses_with_its_own_codes(
    base: str, shop: Shop, changes: dict[str, str], code: str, sub_code: str
) -> None:
    (node,) = (value for name, value in call(base, shop, changes).items() if name != "sign")
    assert (node["code"], node["sub_code"]) == (code, sub_code)


def test_a_wrong_signature_is_refused_and_the_refusal_is_signed(base: str, shop: Shop) -> None:
    answer = call(base, shop, {}, signed=False)
    assert answer["alipay_trade_query_response"]["sub_code"] == "isv.invalid-signature"
    assert answer["sign"]


def test_an_unknown_app_gets_no_signature(base: str, shop: Shop) -> None:
    assert "sign" not in call(base, shop, {"app_id": "2021999999999999"})


def test_slashes_are_escaped_in_what_is_sent_and_signed(base: str, shop: Shop) -> None:
    data = shop.sdk.build_body(
        "alipay.trade.precreate", {"out_trade_no": new_number(), "total_amount": "1.00", "subject": "s"}
    )
    text = httpx.get(f"{base}/gateway.do?{shop.sdk.sign_data(data)}", trust_env=False).text
    assert r"https:\/\/qr.alipay.com\/bax" in text
    assert shop.sdk._verify_and_return_sync_response(text, "alipay_trade_precreate_response")["code"] == "10000"


async def test_an_answer_in_half_is_an_error_of_the_wire_and_the_work_is_done(shop: Shop, control: Control) -> None:
    number = new_number()
    control.post("faults", 201, channel="alipay", api="precreate", fault="torn")
    with pytest.raises(Exception, match="IncompleteRead"):
        await shop.qr(number)
    assert control.get("trades", channel="alipay", out_trade_no=number)[0]["state"] == "unscanned"
    assert await shop.qr(number)


async def test_a_silent_gateway_has_done_the_work(shop: Shop, control: Control) -> None:
    number = new_number()
    control.post("faults", 201, channel="alipay", api="precreate", fault="silent")
    started = time.monotonic()
    with pytest.raises((TimeoutError, urllib.error.URLError)):
        await shop.qr(number)
    assert time.monotonic() - started > 1.9
    assert control.get("trades", channel="alipay", out_trade_no=number)


@pytest.mark.parametrize(("fault", "error"), [("bad_signature", AliPayValidationError), ("unsigned", AliPayException)])
async def test_an_answer_with_a_bad_signature_or_none_fails_at_the_merchant(
    shop: Shop, control: Control, fault: str, error: type[Exception]
) -> None:
    control.post("faults", 201, channel="alipay", api="query", fault=fault)
    with pytest.raises(error):
        await shop("query", out_trade_no="N")


async def test_a_payment_under_way_at_the_close_comes_through(shop: Shop, control: Control, merchant: Merchant) -> None:
    number = new_number()
    control.post("scan", code=await shop.qr(number))
    control.post("faults", 201, channel="alipay", api="close", fault="late_success", seconds=0.2)
    assert (await shop("close", out_trade_no=number))["code"] == "10000"
    statuses = [form(one.body)["trade_status"] for one in await merchant.wait_for(2)]
    assert sorted(statuses) == ["TRADE_CLOSED", "TRADE_SUCCESS"]


async def test_crafted_notices_are_what_they_are_said_to_be(shop: Shop, control: Control, merchant: Merchant) -> None:
    number = new_number()
    await shop.qr(number)
    control.post("pay", channel="alipay", out_trade_no=number)
    await merchant.wait_for(1)
    for sign, overrides in (("good", {"total_amount": "0.01"}), ("bad", {}), ("none", {}), ("other_app", {})):
        await control.apost("notices/send", channel="alipay", out_trade_no=number, sign=sign, overrides=overrides)
    honest, mutated, forged, unsigned, foreign = (form(one.body) for one in await merchant.wait_for(5))
    assert mutated["total_amount"] == "0.01"
    assert foreign["app_id"] != APP
    assert "sign" not in unsigned
    assert mutated["notify_id"] == honest["notify_id"]
    signatures = [told.pop("sign") for told in (honest, mutated, forged, foreign)]
    told = zip((honest, mutated, forged, foreign), signatures, strict=True)
    verdicts = [shop.sdk.verify(one, signature) for one, signature in told]
    assert verdicts == [True, True, False, True]


async def test_a_restart_keeps_codes_payable_and_notices_owed(tmp_path: Path, key: tuple[str, str]) -> None:
    port, number = free_port(), new_number()
    control = Control(f"http://127.0.0.1:{port}")
    async with listening() as merchant:
        merchant.answers = [(500, b""), (200, b"success")]
        with running(port, tmp_path):
            shop = Shop(control, key, merchant.url)
            code, other = await shop.qr(number), await shop.qr(new_number())
            control.post("settings", notice_speed=0.02)
            control.post("pay", code=code)
            await merchant.wait_for(1)
        with running(port, tmp_path):
            await merchant.wait_for(2, seconds=10)
            assert control.post("pay", code=other, notify=False)["state"] == "paid"
            assert (await shop("query", out_trade_no=number))["trade_status"] == "TRADE_SUCCESS"
        assert len({json.dumps(form(one.body)["notify_id"]) for one in merchant.received}) == 1
