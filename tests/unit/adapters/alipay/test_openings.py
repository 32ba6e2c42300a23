"""Each way to pay: what Alipay is asked for, and what the payer's side gets."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest

from domain.channels import ActionType, Method, PayerAction
from domain.errors import ChannelUnavailable, OutcomeUnknown
from tests.unit.adapters.alipay.world import APP_ID, GATEWAY, NUMBER, SELLER, World, call, good, opening, sign

BACK = "https://shop.example/orders/1?a=b&c=d"
LOCAL = (Method.ALIPAY_PAGE, Method.ALIPAY_WAP, Method.ALIPAY_APP)


def _signed(fields: dict[str, str]) -> str:
    return sign("&".join(f"{name}={value}" for name, value in sorted(fields.items()) if name != "sign"), "app")


async def _form(world: World, method: Method, access: Any = None, **changes: Any) -> tuple[dict[str, str], Any]:
    """The fields that a browser or an app sends, and their biz_content."""
    action, heard = await call(
        world, {}, lambda alipay, who: alipay.open(who, opening(method=method, **changes)), access
    )
    assert heard == []  # the payer is the first that Alipay hears from
    fields = (
        dict(parse_qsl(action.value)) if action.type is ActionType.SDK else dict(action.fields) | {"charset": "utf-8"}
    )
    return fields, json.loads(fields["biz_content"])


@pytest.mark.parametrize(
    ("method", "api", "product"),
    [
        (Method.ALIPAY_PAGE, "alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
        (Method.ALIPAY_WAP, "alipay.trade.wap.pay", "QUICK_WAP_WAY"),
        (Method.ALIPAY_APP, "alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
    ],
)
async def test_what_the_payer_carries_to_alipay_is_signed_over_all_of_it(
    world: World, method: Method, api: str, product: str
) -> None:
    fields, biz = await _form(world, method, return_url=BACK)
    assert fields["sign"] == _signed(fields)
    assert (fields["method"], fields["app_id"], fields["notify_url"]) == (api, APP_ID, opening().notice_url)
    wanted = {"out_trade_no": NUMBER, "total_amount": "88.88", "product_code": product}
    assert wanted.items() <= biz.items()
    assert biz["time_expire"] == "2026-11-24 00:30:05"
    assert fields.get("return_url") == (None if method is Method.ALIPAY_APP else BACK)
    assert biz.get("quit_url") == (BACK if method is Method.ALIPAY_WAP else None)
    assert biz.get("seller_id") == (None if method is Method.ALIPAY_PAGE else SELLER)


@pytest.mark.parametrize("method", [Method.ALIPAY_PAGE, Method.ALIPAY_WAP])
async def test_a_browser_posts_a_form_however_long_the_subject(world: World, method: Method) -> None:
    action, _ = await call(world, {}, lambda alipay, who: alipay.open(who, opening(method=method, subject="龙" * 300)))
    assert (action.type, action.value) == (ActionType.FORM, f"{GATEWAY}?charset=utf-8")
    assert "charset" not in action.fields
    assert json.loads(action.fields["biz_content"])["subject"] == "龙" * 256


@pytest.mark.parametrize("method", [method for method in Method if method.channel == "alipay"])
async def test_instalments_are_asked_for_with_their_fee_on_the_payer(world: World, method: Method) -> None:
    if method in LOCAL:
        _, biz = await _form(world, method, instalments=6)
    else:
        paid = good(qr_code="q", trade_no="t", total_amount="88.88", gmt_payment="2026-11-24 00:10:05")
        asked = opening(method=method, instalments=6, payer_id="2088102177846880", auth_code="280000000000000001")
        _, heard = await call(
            world, paid, lambda a, who: a.charge(who, asked) if method.is_barcode else a.open(who, asked)
        )
        biz = heard[0]["biz_content"]
    assert biz["extend_params"] == {"hb_fq_num": "6", "hb_fq_seller_percent": "0"}


@pytest.mark.parametrize(
    ("payer", "said"),
    [
        ("2088102177846880", {"buyer_id": "2088102177846880"}),
        ("074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5", None),
        ("20881021778468801", None),
    ],
)
async def test_a_payer_inside_alipay_gets_a_trade_number(world: World, payer: str, said: dict[str, str] | None) -> None:
    trade = "2026112322001400000000000001"
    action, heard = await call(
        world,
        {"alipay.trade.create": good(trade_no=trade)},
        lambda alipay, who: alipay.open(who, opening(method=Method.ALIPAY_JSAPI, payer_id=payer)),
    )
    assert action == PayerAction(ActionType.SDK, trade)
    biz = heard[0]["biz_content"]
    assert {
        "product_code": "JSAPI_PAY",
        "op_app_id": APP_ID,
        **(said or {"buyer_open_id": payer}),
    }.items() <= biz.items()
    assert len(biz.keys() & {"buyer_id", "buyer_open_id"}) == 1


async def test_a_trade_number_for_another_number_is_not_handed_out(world: World) -> None:
    with pytest.raises(OutcomeUnknown):
        await call(
            world,
            good(trade_no="t") | {"out_trade_no": "PTY01K0000000000000000000000AC"},
            lambda alipay, who: alipay.open(who, opening(method=Method.ALIPAY_JSAPI, payer_id="2088102177846880")),
        )


@pytest.mark.parametrize("method", [Method.ALIPAY_QR, *LOCAL])
async def test_a_service_provider_says_for_whom_it_acts(world: World, method: Method) -> None:
    if method in LOCAL:
        fields, biz = await _form(world, method, world.provider())
    else:
        _, (fields,) = await call(world, good(qr_code="q"), lambda a, who: a.open(who, opening()), world.provider())
        biz = fields["biz_content"]
    assert fields["app_auth_token"] == "202611BBtoken"
    assert biz["extend_params"] == {"sys_service_provider_id": "2088999999999999"}


@pytest.mark.parametrize("call_", ["query", "close", "reverse"])
async def test_every_call_of_a_service_provider_carries_its_token(world: World, call_: str) -> None:
    node = good(trade_status="WAIT_BUYER_PAY", retry_flag="N")
    _, (sent,) = await call(world, node, lambda a, who: getattr(a, call_)(who, NUMBER), world.provider())
    assert sent["app_auth_token"] == "202611BBtoken"


@pytest.mark.parametrize("sealed", [["x"], {"app_auth_token": 7}, {"app_auth_token": ""}, "text"])
async def test_a_token_that_is_none_stops_the_call_before_it_is_made(world: World, sealed: object) -> None:
    with pytest.raises(ChannelUnavailable) as refusal:
        await call(world, good(), lambda a, who: a.query(who, NUMBER), world.access(sealed=sealed))
    assert refusal.value.code == "account_unreadable"


async def test_an_account_without_a_token_of_its_own_sends_none(world: World) -> None:
    node = good(trade_status="WAIT_BUYER_PAY")
    _, (sent,) = await call(world, node, lambda a, who: a.query(who, NUMBER), world.access(sealed={"other": 1}))
    assert "app_auth_token" not in sent


@pytest.mark.parametrize("method", LOCAL)
async def test_repeating_what_the_payer_carries_is_the_same_payment(world: World, method: Method) -> None:
    first, second = [(await _form(world, method))[1] for _ in range(2)]
    assert first == second
    later = (await _form(world, method, expires_at=opening().expires_at + timedelta(hours=1)))[1]
    assert later["time_expire"] != first["time_expire"]


async def test_the_payer_is_sent_to_alipays_page_beside_the_gateway(world: World) -> None:
    hosts = {
        "https://openapi.alipay.com/gateway.do": "https://openauth.alipay.com",
        "https://openapi-sandbox.dl.alipaydev.com/gateway.do": "https://openauth-sandbox.dl.alipaydev.com",
        "http://127.0.0.1:8400/gateway.do": "http://127.0.0.1:8400",
    }
    for gateway, base in hosts.items():
        async with world.adapter(lambda _: b"") as alipay:
            alipay._gateways = {world.access().account.mode: gateway}
            address = alipay.authorize_url(world.access(), BACK, "st&te")
        page, _, query = address.partition("?")
        assert page == f"{base}/oauth2/publicAppAuthorize.htm"
        wanted = {"app_id": [APP_ID], "scope": ["auth_base"], "redirect_uri": [BACK], "state": ["st&te"]}
        assert parse_qs(query) == wanted
