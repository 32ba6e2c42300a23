"""What each method sends to WeChat Pay, and what the payer's side gets to work with."""

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from domain.channels import ActionType, Method, PayerAction
from domain.errors import InvalidRequest, OutcomeUnknown
from tests.unit.adapters.wechat.world import (
    APP_ID,
    MCHID,
    PROVIDER,
    SUB_APP_ID,
    SUB_MCHID,
    World,
    answer,
    key,
    opening,
)

PREPAY = {"prepay_id": "wx24001005123456789000000000000001"}
H5 = {"h5_url": "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1&package=2"}
ANSWERS = {Method.WECHAT_H5: H5, Method.WECHAT_NATIVE: {"code_url": "weixin://x"}}
ALL: dict[str, Any] = {"payer_id": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "payer_ip": "2001:db8::1"}
OPENED = [method for method in sorted(Method) if method.channel == "wechat" and not method.is_barcode]


async def _opened(world: World, method: Method, access: Any = None, **changes: Any) -> tuple[Any, PayerAction]:
    """The path and body of the request, and the action."""
    heard: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return answer(200, ANSWERS.get(method, PREPAY))

    async with world.adapter(gateway) as wechat:
        action = await wechat.open(access or world.access(), opening(method=method, **(ALL | changes)))
    (request,) = heard
    return (request.url.path, json.loads(request.content)), action


def _signed_by_us(signature: str, *lines: str) -> None:
    message = "".join(f"{line}\n" for line in lines).encode()
    key("merchant").public_key().verify(base64.b64decode(signature), message, PKCS1v15(), SHA256())


@pytest.mark.parametrize("method", [Method.WECHAT_JSAPI, Method.WECHAT_MINIPROGRAM])
async def test_a_payment_inside_wechat_names_its_payer_and_is_called_with_a_signature_of_ours(
    world: World, method: Method
) -> None:
    (path, body), action = await _opened(world, method)
    assert path == "/v3/pay/transactions/jsapi"
    assert body["payer"] == {"openid": ALL["payer_id"]}
    assert (body["appid"], body["mchid"]) == (APP_ID, MCHID)
    fields = dict(action.fields)
    assert (action.type, action.value) == (ActionType.SDK, PREPAY["prepay_id"])
    assert set(fields) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
    assert (fields["appId"], fields["signType"]) == (APP_ID, "RSA")
    assert fields["package"] == "prepay_id=" + PREPAY["prepay_id"]
    assert re.fullmatch(r"\d{10}", fields["timeStamp"])
    assert re.fullmatch(r"\w{1,32}", fields["nonceStr"])
    _signed_by_us(fields["paySign"], APP_ID, fields["timeStamp"], fields["nonceStr"], fields["package"])


async def test_an_app_gets_what_the_open_platforms_sdk_takes(world: World) -> None:
    (path, body), action = await _opened(world, Method.WECHAT_APP)
    assert path == "/v3/pay/transactions/app"
    assert "payer" not in body
    fields = dict(action.fields)
    assert set(fields) == {"appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign"}
    assert (fields["appid"], fields["partnerid"], fields["package"]) == (APP_ID, MCHID, "Sign=WXPay")
    _signed_by_us(fields["sign"], APP_ID, fields["timestamp"], fields["noncestr"], fields["prepayid"])


async def test_a_browser_is_sent_to_wechat_with_the_way_back_escaped(world: World) -> None:
    back = "https://shop.example/done?order=1&x=果#top"
    (path, body), action = await _opened(world, Method.WECHAT_H5, return_url=back)
    assert path == "/v3/pay/transactions/h5"
    assert body["scene_info"] == {"payer_client_ip": "2001:db8::1", "h5_info": {"type": "Wap"}}
    assert action.type is ActionType.REDIRECT
    assert action.value.startswith(H5["h5_url"] + "&redirect_url=https%3A%2F%2F")
    assert parse_qs(urlsplit(action.value).query)["redirect_url"] == [back]
    _, action = await _opened(world, Method.WECHAT_H5)
    assert action.value == H5["h5_url"]


@pytest.mark.parametrize(
    ("method", "missing"),
    [
        (Method.WECHAT_JSAPI, "payer_id"),
        (Method.WECHAT_MINIPROGRAM, "payer_id"),
        (Method.WECHAT_H5, "payer_ip"),
    ],
)
async def test_an_opening_that_lacks_what_its_method_needs_is_never_sent(
    world: World, method: Method, missing: str
) -> None:
    def never(_: httpx.Request) -> None:
        raise AssertionError("nothing may be sent")

    async with world.adapter(never) as wechat:
        with pytest.raises(InvalidRequest) as refusal:
            await wechat.open(world.access(), opening(method=method, **(ALL | {missing: None})))
    assert (refusal.value.code, refusal.value.pointer) == (f"{missing}_required", f"/{missing}")


async def test_a_bar_code_is_not_opened(world: World) -> None:
    async with world.adapter(lambda _: answer(200, {})) as wechat:
        with pytest.raises(InvalidRequest):
            await wechat.open(world.access(), opening(method=Method.WECHAT_BARCODE, auth_code="130000000000000000"))


@pytest.mark.parametrize("method", OPENED)
async def test_every_method_carries_the_expiry_and_marks_a_shared_order_at_its_creation(
    world: World, method: Method
) -> None:
    (_, body), _ = await _opened(world, method, shared=True)
    assert body["time_expire"] == "2026-11-24T00:30:05+08:00"
    assert body["settle_info"] == {"profit_sharing": True}
    (_, body), _ = await _opened(world, method)
    assert "settle_info" not in body


@pytest.mark.parametrize("method", OPENED)
async def test_a_success_without_what_the_method_promises_leaves_the_outcome_unknown(
    world: World, method: Method
) -> None:
    async with world.adapter(lambda _: answer(200, {"other": 1})) as wechat:
        with pytest.raises(OutcomeUnknown):
            await wechat.open(world.access(), opening(method=method, **ALL))


# ── A service provider ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", OPENED)
async def test_a_provider_opens_on_the_partner_path_for_its_sub_merchant(world: World, method: Method) -> None:
    (path, body), _ = await _opened(world, method, world.sub_merchant())
    assert path.startswith("/v3/pay/partner/transactions/")
    assert (body["sp_appid"], body["sp_mchid"], body["sub_mchid"]) == (APP_ID, PROVIDER, SUB_MCHID)
    assert not {"appid", "mchid", "sub_appid"} & body.keys()


@pytest.mark.parametrize(("app", "name", "app_id"), [(False, "sp_openid", APP_ID), (True, "sub_openid", SUB_APP_ID)])
async def test_the_payer_is_known_to_the_app_that_calls_the_wallet(
    world: World, app: bool, name: str, app_id: str
) -> None:
    access = world.sub_merchant(app=app)
    (_, body), action = await _opened(world, Method.WECHAT_JSAPI, access)
    assert body["payer"] == {name: ALL["payer_id"]}
    assert body.get("sub_appid") == (SUB_APP_ID if app else None)
    assert action.fields["appId"] == app_id
    _, action = await _opened(world, Method.WECHAT_APP, access)
    assert (action.fields["appid"], action.fields["partnerid"]) == (app_id, SUB_MCHID)
    _signed_by_us(
        action.fields["sign"],
        *(app_id, action.fields["timestamp"], action.fields["noncestr"], action.fields["prepayid"]),
    )
