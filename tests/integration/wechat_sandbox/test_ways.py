"""Every other way to pay at the sandbox's WeChat Pay: inside WeChat, in an app, in a browser, and at the counter."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from wechatpayv3.async_ import AsyncWeChatPay, WeChatPayType
from wechatpayv3.async_.type import RequestType

from tests.integration.wechat_sandbox.conftest import APPID, MCHID, SECRET, SUB_APPID, SUB_MCHID, place, query
from tests.unit.sandbox.box import Control, Merchant, new_number

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
STORE = {"store_info": {"out_id": "A1111"}}


def call_of(sdk: AsyncWeChatPay, prepay_id: str, **changes: str) -> dict[str, str]:
    """What a page hands to WeixinJSBridge."""
    fields = {"appId": APPID, "timeStamp": "1414561699", "nonceStr": "n", "package": f"prepay_id={prepay_id}"}
    fields["paySign"] = sdk.sign(list(fields.values()))
    return fields | {"signType": "RSA"} | changes


def said(answer: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(answer[1])
    return content


async def charge(sdk: AsyncWeChatPay, number: str, code: str, **changes: Any) -> tuple[int, dict[str, Any]]:
    asked = {"payer": {"auth_code": code}, "scene_info": STORE, "pay_type": WeChatPayType.CODEPAY} | changes
    status, text = await sdk.pay("咖啡", number, {"total": 1990, "currency": "CNY"}, **asked)
    return status, json.loads(text)


# ── Inside WeChat, in an app, in a browser ───────────────────────────────────────────────────────────────────────────


async def test_a_page_inside_wechat_pays_with_a_signature_that_the_wallet_checks(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant
) -> None:
    number = new_number()
    status, answer = await place(sdk, number, pay_type=WeChatPayType.JSAPI, payer={"openid": OPENID})
    assert status == 200
    prepay_id = answer["prepay_id"]
    assert prepay_id.startswith("wx")
    for wrong in ({"paySign": "AAAA"}, {"nonceStr": "other"}, {"signType": "MD5"}, {"appId": SUB_APPID}):
        refused = control.post("wechat/invoke", fields=call_of(sdk, prepay_id, **wrong))
        assert refused["err_msg"] == "get_brand_wcpay_request:fail"
    assert control.post("wechat/invoke", fields=call_of(sdk, prepay_id), action="cancel")["err_msg"].endswith("cancel")
    assert (await query(sdk, number))["trade_state"] == "NOTPAY"
    assert control.post("wechat/invoke", fields=call_of(sdk, prepay_id))["err_msg"] == "get_brand_wcpay_request:ok"
    (notice,) = await merchant.wait_for(1)
    resource = sdk.callback(notice.headers, notice.body)["resource"]
    assert (resource["trade_type"], resource["payer"]) == ("JSAPI", {"openid": OPENID})
    assert control.post("wechat/invoke", fields=call_of(sdk, prepay_id))["err_desc"] == "paid"


async def test_an_app_pays_with_its_own_fields(sdk: AsyncWeChatPay, control: Control) -> None:
    number = new_number()
    _, answer = await place(sdk, number, pay_type=WeChatPayType.APP)
    signed = {"appid": APPID, "timestamp": "1414561699", "noncestr": "n", "prepayid": answer["prepay_id"]}
    signed["sign"] = sdk.sign(list(signed.values()))
    whole = signed | {"partnerid": MCHID, "package": "Sign=WXPay"}
    for wrong in (signed, whole | {"partnerid": "1900000002"}, whole | {"sign": "AAAA"}):
        assert control.post("wechat/invoke", fields=wrong)["err_msg"].endswith("fail")
    assert control.post("wechat/invoke", fields=whole)["err_msg"].endswith("ok")
    paid = await query(sdk, number)
    assert (paid["trade_state"], paid["trade_type"]) == ("SUCCESS", "APP")


async def test_a_browser_goes_to_the_wallet_and_back(sdk: AsyncWeChatPay, control: Control) -> None:
    number, scene = new_number(), {"payer_client_ip": "14.23.150.211", "h5_info": {"type": "Wap"}}
    _, answer = await place(sdk, number, pay_type=WeChatPayType.H5, scene_info=scene)
    back = "https://shop.example/done?a=1"
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True, headers={"Accept-Language": "en"}) as browser:
        page = await browser.get(answer["h5_url"], params={**_query(answer["h5_url"]), "redirect_url": back})
        assert 'data-state="payable"' in page.text
        form = {"code": _query(answer["h5_url"])["prepay_id"], "action": "pay", "return": back}
        paid = await browser.post(control.base + "/phone", data=form)
        assert 'data-state="paid_now"' in paid.text
        assert f'href="{back}"' in paid.text
        gone = await browser.get(answer["h5_url"].replace("package=", "package=9"))
        assert gone.status_code == 404
    assert (await query(sdk, number))["trade_type"] == "MWEB"


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.mark.parametrize(
    ("pay_type", "more", "field"),
    [
        (WeChatPayType.JSAPI, {"payer": {"name": "x"}}, "/payer"),
        (WeChatPayType.JSAPI, {"payer": {"openid": 7}}, "/payer"),
        (WeChatPayType.H5, {"scene_info": {"h5_info": {"type": "Wap"}}}, "/scene_info/payer_client_ip"),
        (WeChatPayType.H5, {"scene_info": {"payer_client_ip": "::1"}}, "/scene_info/h5_info/type"),
    ],
)
async def test_what_a_way_to_pay_needs_is_asked_for_by_name(
    sdk: AsyncWeChatPay, pay_type: WeChatPayType, more: dict[str, Any], field: str
) -> None:
    status, answer = await place(sdk, new_number(), pay_type=pay_type, **more)
    assert (status, answer["code"], answer["detail"]["field"]) == (400, "PARAM_ERROR", field)


async def test_a_number_keeps_its_way_to_pay(sdk: AsyncWeChatPay) -> None:
    number = new_number()
    first = await place(sdk, number, pay_type=WeChatPayType.APP)
    assert await place(sdk, number, pay_type=WeChatPayType.APP) == first
    status, answer = await place(sdk, number)
    assert (status, answer["code"]) == (403, "OUT_TRADE_NO_USED")


# ── At the counter ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_code_from_the_wallet_pays_at_once_and_once(sdk: AsyncWeChatPay, control: Control) -> None:
    code = control.post("codes", channel="wechat")["code"]
    assert (len(code), code[:2] in {"10", "11", "12", "13", "14", "15"}) == (18, True)
    number = new_number()
    status, answer = await charge(sdk, number, code)
    assert status == 200
    wanted = {
        "appid": APPID,
        "mchid": MCHID,
        "out_trade_no": number,
        "trade_state": "SUCCESS",
        "trade_type": "MICROPAY",
    }
    assert wanted.items() <= answer.items()
    assert answer["amount"] == {"total": 1990, "payer_total": 1990, "currency": "CNY", "payer_currency": "CNY"}
    assert await query(sdk, number) == answer
    assert (await charge(sdk, new_number(), code))[1]["code"] == "AUTH_CODE_INVALID"
    assert (await charge(sdk, number, code))[1]["code"] == "ORDERPAID"


async def test_a_payer_may_have_to_enter_a_password(sdk: AsyncWeChatPay, control: Control) -> None:
    for act, state in (("pay", "SUCCESS"), ("refuse", "PAYERROR")):
        number, code = new_number(), control.post("codes", channel="wechat", wallet="asks")["code"]
        for _ in range(2):  # the same again while the payer types
            status, answer = await charge(sdk, number, code)
            assert (status, answer["code"]) == (202, "USERPAYING")
        assert (await query(sdk, number))["trade_state"] == "USERPAYING"
        control.post(act, channel="wechat", out_trade_no=number)
        assert (await query(sdk, number))["trade_state"] == state


@pytest.mark.parametrize("code", ["130061098828009406", "160061098828009406", "12345", "28000000000000000000"])
async def test_a_code_that_no_wallet_shows_is_refused(sdk: AsyncWeChatPay, code: str) -> None:
    number = new_number()
    assert (await charge(sdk, number, code))[1]["code"] == "AUTH_CODE_INVALID"
    assert (await query(sdk, number))["code"] == "ORDER_NOT_EXIST"


async def test_a_code_is_good_for_a_while_and_for_its_own_channel(sdk: AsyncWeChatPay, control: Control) -> None:
    old = control.post("codes", channel="wechat", seconds=0)["code"]
    assert (await charge(sdk, new_number(), old))[1]["code"] == "AUTH_CODE_INVALID"


async def test_a_payer_without_money_pays_nothing(sdk: AsyncWeChatPay, control: Control) -> None:
    number, code = new_number(), control.post("codes", channel="wechat", wallet="poor")["code"]
    status, answer = await charge(sdk, number, code)
    assert (status, answer["code"]) == (403, "NOT_ENOUGH")
    assert (await query(sdk, number))["trade_state"] == "PAYERROR"
    another = control.post("codes", channel="wechat")["code"]
    assert (await charge(sdk, number, another))[1]["code"] == "OUT_TRADE_NO_USED"


@pytest.mark.parametrize(("fault", "state"), [("system_error", "SUCCESS"), ("lost", None)])
async def test_a_system_error_says_nothing_of_the_payment(
    sdk: AsyncWeChatPay, control: Control, fault: str, state: str | None
) -> None:
    number, code = new_number(), control.post("codes", channel="wechat")["code"]
    control.post("faults", 201, channel="wechat", api="codepay", fault=fault)
    status, answer = await charge(sdk, number, code)
    assert (status, answer["code"]) == (500, "SYSTEM_ERROR")
    assert (await query(sdk, number)).get("trade_state") == state


@pytest.mark.parametrize("scene", [{}, {"store_info": {}}, {"device_id": "1"}, {"store_info": {"id": ""}}])
async def test_a_charge_needs_a_store(sdk: AsyncWeChatPay, control: Control, scene: dict[str, Any]) -> None:
    code = control.post("codes", channel="wechat")["code"]
    status, answer = await charge(sdk, new_number(), code, scene_info=scene)
    assert (status, answer["code"]) == (400, "PARAM_ERROR")
    assert (await charge(sdk, new_number(), code))[0] == 200  # nothing was used up


@pytest.mark.parametrize("paid", [True, False])
async def test_a_reverse_gives_back_what_was_paid_and_ends_what_was_not(
    sdk: AsyncWeChatPay, control: Control, paid: bool
) -> None:
    number = new_number()
    code = control.post("codes", channel="wechat", wallet="pays" if paid else "asks")["code"]
    await charge(sdk, number, code)
    for _ in range(2):
        status, text = await sdk.codepay_reverse(number)
        assert (status, json.loads(text)) == (200, {"appid": APPID, "mchid": MCHID, "out_trade_no": number})
    assert (await query(sdk, number))["trade_state"] == "REVOKED"
    assert control.post("pay", 409, channel="wechat", out_trade_no=number)["code"] == "NOT_PAYABLE"
    assert (await charge(sdk, number, code))[1]["code"] == "ORDER_REVERSED"
    assert said(await sdk.close(number))["code"] == "ORDER_REVERSED"
    assert said(await sdk.refund("r" + number, {"refund": 1, "total": 1990, "currency": "CNY"}, out_trade_no=number))[
        "code"
    ] in {"INVALID_REQUEST", "RESOURCE_NOT_EXISTS"}


async def test_only_a_bar_code_payment_of_the_last_seven_days_can_be_reversed(
    sdk: AsyncWeChatPay, control: Control
) -> None:
    assert said(await sdk.codepay_reverse("nothere1"))["code"] == "ORDER_NOT_EXIST"
    native = new_number()
    await place(sdk, native)
    assert said(await sdk.codepay_reverse(native))["code"] == "INVALID_REQUEST"
    number, code = new_number(), control.post("codes", channel="wechat")["code"]
    await charge(sdk, number, code)
    control.post("wechat/age", out_trade_no=number, seconds=7 * 86400)
    assert said(await sdk.codepay_reverse(number))["code"] == "REVERSE_EXPIRE"
    assert (await query(sdk, number))["trade_state"] == "SUCCESS"


async def test_the_wallets_page_shows_a_code_to_be_scanned(sdk: AsyncWeChatPay, control: Control) -> None:
    async with httpx.AsyncClient(base_url=control.base, trust_env=False, headers={"Accept-Language": "en"}) as browser:
        page = await browser.get("/phone/wechat/code", params={"payer": "asks"})
        code = page.text.partition('data-auth-code="')[2].partition('"')[0]
        number = new_number()
        assert (await charge(sdk, number, code))[1]["code"] == "USERPAYING"
        assert f"codepay%3A{MCHID}%3A{number}" in (await browser.get("/phone/wechat/code")).text
        await browser.post("/phone", data={"code": f"codepay:{MCHID}:{number}", "action": "pay"})
    assert (await query(sdk, number))["trade_state"] == "SUCCESS"


# ── A service provider ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_service_provider_charges_reverses_and_refunds_for_its_sub_merchant(
    sdk: AsyncWeChatPay, control: Control, merchant: Merchant
) -> None:
    sdk._partner_mode = True
    sub = {"sub_mchid": SUB_MCHID}
    number, code = new_number(), control.post("codes", channel="wechat")["code"]
    status, answer = await charge(sdk, number, code, **sub, sub_appid=SUB_APPID)
    assert status == 200
    parties = {"sp_appid": APPID, "sp_mchid": MCHID, "sub_appid": SUB_APPID, "sub_mchid": SUB_MCHID}
    assert parties.items() <= answer.items()
    asked = {
        "out_trade_no": number,
        "notify_url": merchant.url,
        "amount": {"refund": 990, "total": 1990, "currency": "CNY"},
    }
    for wrong in ("1900000998", MCHID):
        assert said(await sdk.refund("r" + number, **asked, sub_mchid=wrong))["code"] == "RESOURCE_NOT_EXISTS"
    assert said(await sdk.refund("r" + number, **asked, **sub))["status"] == "PROCESSING"
    (notice,) = await merchant.wait_for(1)
    resource = sdk.callback(notice.headers, notice.body)["resource"]
    assert (resource["sp_mchid"], resource["sub_mchid"]) == (MCHID, SUB_MCHID)
    assert "mchid" not in resource
    assert said(await sdk.query_refund("r" + number, sub_mchid="1900000998"))["code"] == "RESOURCE_NOT_EXISTS"
    assert said(await sdk.query_refund("r" + number, **sub))["status"] == "SUCCESS"
    another, code = new_number(), control.post("codes", channel="wechat")["code"]
    await charge(sdk, another, code, **sub)
    assert said(await sdk.codepay_reverse(another, sub_mchid="1900000998"))["code"] == "ORDER_NOT_EXIST"
    assert said(await sdk.codepay_reverse(another, **sub))["sub_mchid"] == SUB_MCHID


# ── Who pays ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sns(control: Control, path: str, **asked: str) -> Mapping[str, Any]:
    answer = httpx.get(f"{control.base}/sns/{path}", params=asked, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")
    content: dict[str, Any] = json.loads(answer.text)
    return content


@pytest.mark.usefixtures("told")
def test_a_page_learns_who_pays_by_redirect(control: Control) -> None:
    back = "https://shop.example/pay?order=1"
    asked = {"appid": APPID, "redirect_uri": back, "response_type": "code", "scope": "snsapi_base", "state": "s1"}
    answer = httpx.get(f"{control.base}/connect/oauth2/authorize", params=asked, trust_env=False)
    assert answer.status_code == 302
    given = _query(answer.headers["location"])
    assert answer.headers["location"].startswith(back)
    assert given["state"] == "s1"
    token = {"appid": APPID, "secret": SECRET, "grant_type": "authorization_code"}
    for wrong, errcode in (
        ({"appid": "wx9"}, 40013),
        ({"secret": "x"}, 40125),
        ({"grant_type": "x"}, 40002),
        ({"code": ""}, 41008),
        ({"code": "x"}, 40029),
    ):
        assert _sns(control, "oauth2/access_token", **(token | {"code": given["code"]} | wrong))["errcode"] == errcode
    assert _sns(control, "jscode2session", **token, js_code=given["code"])["errcode"] == 40029
    found = _sns(control, "oauth2/access_token", **token, code=given["code"])
    assert {"access_token", "expires_in", "refresh_token", "openid", "scope"} == found.keys()
    assert len(found["openid"]) == 28
    assert _sns(control, "oauth2/access_token", **token, code=given["code"])["errcode"] == 40163


@pytest.mark.usefixtures("told")
async def test_a_mini_program_logs_in_and_a_person_is_another_to_each_app(
    sdk: AsyncWeChatPay, control: Control
) -> None:
    openids = {}
    for appid, secret in ((APPID, SECRET), (SUB_APPID, SECRET[::-1])):
        code = control.post("wechat/login_codes", appid=appid)["code"]
        grant = {"appid": appid, "secret": secret, "grant_type": "authorization_code"}
        found = _sns(control, "jscode2session", **grant, js_code=code)
        assert {"openid", "session_key"} == found.keys()
        openids[appid] = found["openid"]
    assert len(set(openids.values())) == 2
    status, answer = await place(sdk, new_number(), pay_type=WeChatPayType.JSAPI, payer={"openid": openids[SUB_APPID]})
    assert (status, answer["code"]) == (400, "PARAM_ERROR")
    assert (await place(sdk, new_number(), pay_type=WeChatPayType.JSAPI, payer={"openid": openids[APPID]}))[0] == 200


@pytest.mark.parametrize(
    "changes", [{"appid": "wx9"}, {"scope": "all"}, {"response_type": "token"}, {"redirect_uri": "javascript:alert(1)"}]
)
@pytest.mark.usefixtures("told")
def test_a_page_that_asks_wrongly_is_sent_nowhere(control: Control, changes: dict[str, str]) -> None:
    asked = {"appid": APPID, "redirect_uri": "https://a.example", "response_type": "code", "scope": "snsapi_base"}
    answer = httpx.get(f"{control.base}/connect/oauth2/authorize", params=asked | changes, trust_env=False)
    assert answer.status_code == 400


# ── Certificates ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_platform_certificates_change_step_by_step(sdk: AsyncWeChatPay, control: Control) -> None:
    control.post("settings", wechat_signer="certificate")
    assert (await place(sdk, new_number()))[0] == 200
    before = control.post("wechat/certificates/issue")
    assert before["listed"][-1] != before["signs"]
    assert control.post("wechat/certificates/retire", 409)["code"] == "STEP_NOT_POSSIBLE"
    after = control.post("wechat/certificates/switch")
    assert after["signs"] == before["listed"][-1]
    # The SDK fetches the list when it meets the new serial.
    assert (await place(sdk, new_number()))[0] == 200
    assert control.post("wechat/certificates/retire")["listed"] == [after["signs"]]
    _, text = await sdk._core.request("/v3/certificates", method=RequestType.GET)
    assert [one["serial_no"] for one in json.loads(text)["data"]] == [after["signs"]]


def test_the_signature_of_a_call_is_the_merchants_own(sdk: AsyncWeChatPay, key: tuple[str, str]) -> None:
    private = load_pem_private_key(key[0].encode(), None)
    message = b"wx0000000000000001\n1414561699\nn\nprepay_id=wx1\n"
    fields = call_of(sdk, "wx1")
    assert base64.b64encode(private.sign(message, PKCS1v15(), SHA256())).decode() == fields["paySign"]  # type: ignore[union-attr,call-arg,arg-type]
