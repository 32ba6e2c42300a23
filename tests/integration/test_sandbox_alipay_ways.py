"""The sandbox's further Alipay, driven by a third party's SDK: bar codes, refunds, certificates, refusals."""

import asyncio
from typing import Any

import httpx
import pytest
from alipay import DCAliPay

from tests.integration.test_sandbox_alipay import APP, SELLER, Shop, base, control, key, merchant
from tests.unit.sandbox.box import Control, Merchant, new_key, new_number

__all__ = ["base", "control", "key", "merchant"]  # fixtures
pytestmark = pytest.mark.filterwarnings("ignore:X509:DeprecationWarning")  # the SDK's, in certificate mode


@pytest.fixture
def shop(control: Control, key: tuple[str, str], merchant: Merchant) -> Shop:
    return Shop(control, key, merchant.url)


async def paid(shop: Shop, control: Control, amount: str = "19.90") -> str:
    number = new_number()
    await shop.qr(number, amount)
    control.post("pay", channel="alipay", out_trade_no=number, notify=False)
    return number


async def charged(shop: Shop, control: Control, wallet: str, number: str = "") -> dict[str, Any]:
    code = control.post("codes", channel="alipay", wallet=wallet)["code"]
    assert 25 <= int(code[:2]) <= 30
    assert len(code) == 18
    order = {"out_trade_no": number or new_number(), "total_amount": "19.90", "subject": "茶"}
    return await shop("pay", scene="bar_code", auth_code=code, **order)


async def test_a_bar_code_pays_at_once_asks_or_is_refused(shop: Shop, control: Control) -> None:
    done = await charged(shop, control, "pays")
    assert (done["code"], done["receipt_amount"], done["total_amount"]) == ("10000", "19.90", "19.90")
    assert done["gmt_payment"]
    waiting = await charged(shop, control, "asks")
    assert (waiting["code"], waiting["msg"].strip()) == ("10003", "order success pay inprocess")
    number = waiting["out_trade_no"]
    control.post("pay", channel="alipay", out_trade_no=number, notify=False)
    assert (await shop("query", out_trade_no=number))["trade_status"] == "TRADE_SUCCESS"
    assert (await charged(shop, control, "poor"))["sub_code"] == "ACQ.BUYER_BALANCE_NOT_ENOUGH"
    assert (await charged(shop, control, "pays", number))["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
    order = {"out_trade_no": new_number(), "total_amount": "1.00", "subject": "茶"}
    unknown = await shop("pay", scene="bar_code", auth_code="280000000000000000", **order)
    assert unknown["sub_code"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"


async def test_the_wallets_page_shows_a_code_and_what_waits_for_a_password(
    shop: Shop, control: Control, base: str
) -> None:
    waiting = await charged(shop, control, "asks")
    async with httpx.AsyncClient(base_url=base, trust_env=False) as browser:
        page = await browser.get("/phone/alipay/code?payer=asks")
        assert "data-auth-code=" in page.text
        code = control.get("trades", out_trade_no=waiting["out_trade_no"])[0]["code"]
        assert f"/phone?code={code}" in page.text
        done = await browser.post("/phone", data={"code": code, "action": "pay"})
        assert "result=paid_now" in done.headers["Location"]


async def test_refunds_have_the_codes_of_the_documents(shop: Shop, control: Control) -> None:
    number = await paid(shop, control)

    async def refund(**biz: Any) -> dict[str, Any]:
        return await shop("refund", **({"out_trade_no": number} | biz))

    assert (await refund(refund_amount="5.00"))["sub_code"] == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    done = await refund(refund_amount="5.00", out_request_no="R1")
    assert (done["fund_change"], done["refund_fee"], done["send_back_fee"]) == ("Y", "5.00", "5.00")
    assert (await refund(refund_amount="5.00", out_request_no="R1"))["fund_change"] == "N"
    assert (await refund(refund_amount="5.01", out_request_no="R1"))["sub_code"] == "ACQ.DISCORDANT_REPEAT_REQUEST"
    assert (await refund(refund_amount="14.91", out_request_no="R2"))["sub_code"] == "ACQ.REASON_TRADE_REFUND_FEE_ERR"
    assert (await refund(out_trade_no=new_number(), refund_amount="1.00"))["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    control.post("faults", 201, channel="alipay", api="refund", fault="funds_short")
    assert (await refund(refund_amount="1.00", out_request_no="R3"))["sub_code"] == "ACQ.SELLER_BALANCE_NOT_ENOUGH"
    last = await refund(refund_amount="14.90", out_request_no="R4")
    assert last["refund_fee"] == "19.90"
    assert (await shop("query", out_trade_no=number))["trade_status"] == "TRADE_CLOSED"
    assert (await refund(refund_amount="1.00", out_request_no="R5"))["sub_code"] == "ACQ.TRADE_HAS_CLOSE"
    waiting = await charged(shop, control, "asks")
    unpaid = await refund(out_trade_no=waiting["out_trade_no"], refund_amount="19.90")
    assert unpaid["sub_code"] == "ACQ.TRADE_STATUS_ERROR"


@pytest.fixture
def certified(control: Control) -> DCAliPay:
    private, public = new_key()
    told = control.post(
        "alipay/apps", app_id="2021000000000077", seller_id=SELLER, public_key=public, certificates=True
    )
    sdk = DCAliPay(
        appid="2021000000000077",
        app_private_key_string=private,
        app_public_key_cert_string=told["app_certificate"],
        alipay_public_key_cert_string=told["alipay_certificate"],
        # The SDK parts the file at blank lines.
        alipay_root_cert_string=told["alipay_root_certificate"].replace("E-----\n-----B", "E-----\n\n-----B"),
    )
    sdk._gateway = control.base + "/gateway.do"
    sdk._config.timeout = 5
    return sdk


async def test_another_sdks_certificate_mode_is_understood(control: Control, certified: DCAliPay) -> None:
    number = new_number()
    told = await asyncio.to_thread(certified.api_alipay_trade_precreate, "茶", number, "1.00")
    assert told["code"] == "10000"
    control.post("pay", channel="alipay", out_trade_no=number, notify=False)
    queried = await asyncio.to_thread(certified.api_alipay_trade_query, number)
    assert queried["trade_status"] == "TRADE_SUCCESS"


@pytest.mark.parametrize(
    ("changes", "sub_code"),
    [
        ({"app_cert_sn": ""}, "isv.missing-app-cert-sn"),
        ({"alipay_root_cert_sn": ""}, "isv.missing-alipay-root-cert-sn"),
        ({"app_cert_sn": "0" * 32}, "isv.app-cert-not-exist"),
        ({"alipay_root_cert_sn": "0" * 32}, "isv.invalid-alipay-root-cert-sn"),
    ],
)
def test_certificates_that_are_not_named_rightly_are_refused(
    base: str, certified: DCAliPay, changes: dict[str, str], sub_code: str
) -> None:
    data = certified.build_body("alipay.trade.query", {"out_trade_no": "N"}) | changes
    data = {name: value for name, value in data.items() if value != ""}
    answer = httpx.get(f"{base}/gateway.do?{certified.sign_data(data)}", trust_env=False).json()
    assert answer["alipay_trade_query_response"]["sub_code"] == sub_code
    assert answer["alipay_cert_sn"]


def test_a_merchant_that_authorised_nobody_is_not_served(base: str, shop: Shop) -> None:
    data = shop.sdk.build_body("alipay.trade.query", {"out_trade_no": "N"}) | {"app_auth_token": "202611BBnobody"}
    answer = httpx.get(f"{base}/gateway.do?{shop.sdk.sign_data(data)}", trust_env=False).json()
    node = answer["alipay_trade_query_response"]
    assert (node["code"], node["sub_code"]) == ("20001", "aop.invalid-app-auth-token")


@pytest.mark.parametrize("changes", [{"app_id": "2021"}, {"scope": "auth_all"}, {"redirect_uri": "javascript:1"}])
async def test_a_login_page_that_is_asked_for_wrongly_leads_nowhere(
    base: str, shop: Shop, changes: dict[str, str]
) -> None:
    asked = {"app_id": APP, "scope": "auth_base", "redirect_uri": "https://shop.example/"} | changes
    async with httpx.AsyncClient(base_url=base, trust_env=False) as browser:
        answer = await browser.get("/oauth2/publicAppAuthorize.htm", params=asked)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
