"""Who is paying: the page the payer is sent to, and what a code is good for."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from domain.channels import Method, Mode
from domain.errors import ChannelError, ChannelRejected, ChannelUnavailable, InvalidRequest, OutcomeUnknown
from tests.unit.adapters.wechat.world import APP_ID, HOST, PAGE, SUB_APP_ID, World

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
SECRET = {"app_secret": "0123456789abcdef0123456789abcdef"}
BACK = "https://pay.example/c/abc?x=1&y=果"


def _told(content: Any, status: int = 200) -> httpx.Response:
    # text/plain, as WeChat has it.
    return httpx.Response(status, headers={"Content-Type": "text/plain"}, content=json.dumps(content).encode())


async def _payer(world: World, said: Any, access: Any = None, code: str = "041aBc", **how: Any) -> str:
    async with world.adapter(said if callable(said) else lambda _: said) as wechat:
        return await wechat.payer_id(access or world.access(world.credential(sealed=SECRET)), code, **how)


@pytest.mark.parametrize("app", [False, True])
async def test_the_page_gets_its_parameters_in_the_only_order_that_wechat_takes(world: World, app: bool) -> None:
    async with world.adapter(lambda _: _told({})) as wechat:
        access = world.sub_merchant(app=True) if app else world.access()
        url = urlsplit(wechat.authorize_url(access, BACK, "s1"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == PAGE
    assert url.fragment == "wechat_redirect"
    assert parse_qsl(url.query) == [
        ("appid", SUB_APP_ID if app else APP_ID),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "snsapi_base"),
        ("state", "s1"),
    ]


@pytest.mark.parametrize("state", ["", "a b", "a&b", "x" * 129, "ä", "a\n"])
async def test_a_state_that_wechat_would_change_is_refused(world: World, state: str) -> None:
    async with world.adapter(lambda _: _told({})) as wechat:
        with pytest.raises(InvalidRequest):
            wechat.authorize_url(world.access(), BACK, state)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        (Method.WECHAT_JSAPI, "/sns/oauth2/access_token", "code"),
        (Method.WECHAT_MINIPROGRAM, "/sns/jscode2session", "js_code"),
    ],
)
async def test_a_code_is_turned_into_an_openid_where_it_came_from(
    world: World, method: Method, path: str, name: str
) -> None:
    heard: list[httpx.Request] = []

    def host(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return _told({"openid": OPENID, "session_key": "secret", "access_token": "secret"})

    assert await _payer(world, host, method=method) == OPENID
    (request,) = heard
    assert str(request.url).startswith(HOST + path + "?")
    assert dict(request.url.params) == {
        "appid": APP_ID,
        "secret": SECRET["app_secret"],
        name: "041aBc",
        "grant_type": "authorization_code",
    }


async def test_a_sub_merchants_own_app_has_its_own_secret(world: World) -> None:
    heard: list[httpx.Request] = []

    def host(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return _told({"openid": OPENID})

    await _payer(world, host, world.sub_merchant(app=True, sealed=SECRET))
    await _payer(world, host, world.sub_merchant(sealed=SECRET))
    own, providers = (dict(request.url.params) for request in heard)
    assert (own["appid"], own["secret"]) == (SUB_APP_ID, "subsecret")
    assert (providers["appid"], providers["secret"]) == (APP_ID, SECRET["app_secret"])


@pytest.mark.parametrize(
    ("said", "error", "code"),
    [
        (_told({"errcode": 40029, "errmsg": "invalid code"}), ChannelRejected, "payer_code_invalid"),
        (_told({"errcode": 40163, "errmsg": "code been used"}), ChannelRejected, "payer_code_invalid"),
        (_told({"errcode": 42003, "errmsg": "code expired"}), ChannelRejected, "payer_code_invalid"),
        (_told({"errcode": 40226, "errmsg": "code blocked"}), ChannelRejected, "payer_code_invalid"),
        (_told({"errcode": -1, "errmsg": "system error"}), ChannelUnavailable, "channel_unavailable"),
        (_told({"errcode": 45011, "errmsg": "minute-quota"}), ChannelUnavailable, "channel_unavailable"),
        (_told({}, 429), ChannelUnavailable, "channel_unavailable"),
        (_told({"errcode": 40013, "errmsg": "invalid appid"}), ChannelUnavailable, "payer_identity_refused"),
        (_told({"errcode": 40125, "errmsg": "invalid appsecret"}), ChannelUnavailable, "payer_identity_refused"),
        (_told({"errcode": 40164, "errmsg": "invalid ip"}), ChannelUnavailable, "payer_identity_refused"),
        (_told({"access_token": "x"}), OutcomeUnknown, "answer_invalid"),
        (_told({"openid": ""}), OutcomeUnknown, "answer_invalid"),
        (_told({"openid": "x" * 129}), OutcomeUnknown, "answer_invalid"),
        (_told({"openid": "a b"}), OutcomeUnknown, "answer_invalid"),
        (_told({"openid": OPENID}, 500), OutcomeUnknown, "answer_invalid"),
        (_told([]), OutcomeUnknown, "answer_invalid"),
        (httpx.Response(200, content=b"<html>"), OutcomeUnknown, "answer_invalid"),
    ],
)
async def test_a_code_is_refused_only_when_wechat_says_so(
    world: World, said: httpx.Response, error: type[ChannelError], code: str
) -> None:
    with pytest.raises(error) as raised:
        await _payer(world, lambda _: httpx.Response(said.status_code, content=said.content))
    assert (type(raised.value), raised.value.code) == (error, code)
    assert SECRET["app_secret"] not in str(raised.value)


@pytest.mark.parametrize("code", ["", "a b", "a&secret=x", "x" * 513, "ä"])
async def test_what_is_no_code_is_never_sent(world: World, code: str) -> None:
    def never(_: httpx.Request) -> None:
        raise AssertionError("nothing may be sent")

    with pytest.raises(ChannelRejected):
        await _payer(world, never, code=code)


async def test_without_a_secret_or_an_address_nobody_is_asked(world: World) -> None:
    def never(_: httpx.Request) -> None:
        raise AssertionError("nothing may be sent")

    for access, code in (
        (world.access(), "app_secret_missing"),
        (world.access(world.credential(sealed=SECRET), mode=Mode.LIVE), "gateway_missing"),
    ):
        with pytest.raises(ChannelUnavailable) as refusal:
            await _payer(world, never, access)
        assert refusal.value.code == code
    async with world.adapter(never) as wechat:
        with pytest.raises(ChannelUnavailable):
            wechat.authorize_url(world.access(mode=Mode.LIVE), BACK, "s")


async def test_a_lost_answer_is_unknown_and_the_code_may_be_gone(world: World) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer", request=request)

    with pytest.raises(OutcomeUnknown):
        await _payer(world, silent)
