"""Who a payer is to an app: OAuth of official accounts and log-in of mini-programs (open. and api.weixin.qq.com).

https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/Wechat_webpage_authorization.html
https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html
"""

import base64
import hashlib
import json
import secrets
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.response import Redirect
from litestar.types import ASGIApp

from sandbox.faults import Answer, plain_500
from sandbox.model import Merchant
from sandbox.world import World

_CODE_LIFE = 5 * 60.0
Kind = Literal["page", "mini"]


class Payer(msgspec.Struct):
    """An openid that was told to somebody: it belongs to one app."""

    appid: str


class LoginCode(msgspec.Struct):
    """What an app turns into an openid, once, within five minutes."""

    appid: str
    openid: str
    kind: Kind
    expires_at: float
    used: bool = False


class Unknown(Exception):
    """An answer with an errcode; these hosts say 200 all the same."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errmsg)
        self.answer = {"errcode": errcode, "errmsg": errmsg}


def openid_of(appid: str, person: str) -> str:
    """The same person is another one to each app."""
    digest = hashlib.sha256(f"{appid} {person}".encode()).digest()
    return "o" + base64.urlsafe_b64encode(digest).decode()[:27]


def log_in(world: World, appid: str, kind: Kind, person: str = "payer") -> str:
    """A code for an app, as its page gets it by redirect and a mini-program from wx.login. Raises Unknown."""
    if _secret(world, appid) is None:
        raise Unknown(40013, "invalid appid")
    code, openid = f"0{secrets.token_urlsafe(24)}"[:32], openid_of(appid, person)
    world.store.put("login_code", code, LoginCode(appid, openid, kind, world.now() + _CODE_LIFE))
    return code


@get("/connect/oauth2/authorize")
async def authorize(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str] | Redirect:
    """`snsapi_base`: back at once, without a question. The cookie `payer` tells people apart."""
    asked = request.query_params
    back = urlsplit(asked.get("redirect_uri", ""))
    if asked.get("response_type") != "code" or asked.get("scope") not in ("snsapi_base", "snsapi_userinfo"):
        return Response("Scope 参数错误或没有 Scope 权限", status_code=400, media_type="text/plain")
    if back.scheme not in ("http", "https") or not back.netloc:
        return Response("redirect_uri 参数错误", status_code=400, media_type="text/plain")
    try:
        code = log_in(world, asked.get("appid", ""), "page", request.cookies.get("payer", "payer"))
    except Unknown:
        return Response("AppID 参数错误", status_code=400, media_type="text/plain")
    added = urlencode({"code": code, "state": asked.get("state", "")})
    query = f"{back.query}&{added}" if back.query else added
    return Redirect(urlunsplit((back.scheme, back.netloc, back.path, query, "")))


@get("/sns/oauth2/access_token")
async def access_token(request: Request[Any, Any, Any], world: NamedDependency[World]) -> ASGIApp:
    """「通过code换取网页授权access_token」."""
    told = _exchanged(world, request, "page", "code")
    token = {"access_token": secrets.token_urlsafe(60), "expires_in": 7200, "refresh_token": secrets.token_urlsafe(60)}
    return _answer(world, told | (token | {"scope": "snsapi_base"} if "openid" in told else {}))


@get("/sns/jscode2session")
async def jscode2session(request: Request[Any, Any, Any], world: NamedDependency[World]) -> ASGIApp:
    """「小程序登录」."""
    told = _exchanged(world, request, "mini", "js_code")
    session = {"session_key": base64.b64encode(secrets.token_bytes(16)).decode()}
    return _answer(world, told | (session if "openid" in told else {}))


def _exchanged(world: World, request: Request[Any, Any, Any], kind: Kind, name: str) -> dict[str, Any]:
    try:
        return {"openid": _openid(world, request.query_params, kind, name)}
    except Unknown as error:
        return error.answer


def _openid(world: World, asked: Any, kind: Kind, name: str) -> str:
    secret = _secret(world, asked.get("appid", ""))
    if secret is None:
        raise Unknown(40013, "invalid appid")
    if not secret or asked.get("secret") != secret:
        raise Unknown(40125, "invalid appsecret")
    if asked.get("grant_type") != "authorization_code":
        raise Unknown(40002, "invalid grant_type")
    if not asked.get(name):
        raise Unknown(41008, "missing code")
    code = world.store.thing("login_code", asked[name], LoginCode)
    if code is None or (code.appid, code.kind) != (asked["appid"], kind) or world.now() > code.expires_at:
        raise Unknown(40029, "invalid code")
    if code.used:
        raise Unknown(40163, "code been used")
    code.used = True
    world.store.put("login_code", asked[name], code)
    world.store.put("openid", code.openid, Payer(code.appid))
    return code.openid


def _secret(world: World, appid: str) -> str | None:
    """The secret of an app; empty where it was registered without, None where nobody has it."""
    for mchid in world.store.accounts("wechat"):
        merchant = world.store.merchant(mchid) or Merchant("", "", "", "", "")
        if appid in merchant.secrets:
            return merchant.secrets[appid]
        if appid and appid == merchant.appid:
            return ""
    return None


def _answer(world: World, content: dict[str, Any]) -> ASGIApp:
    faults = world.faults.take("wechat", "login")
    if "error_500" in faults:
        return plain_500(faults, world.stopping)
    if "rate_limited" in faults:
        content = {"errcode": 45011, "errmsg": "api minute-quota reach limit, mustslower, retry next minute"}
    if "system_error" in faults:
        content = {"errcode": -1, "errmsg": "system error"}
    # As text, not as JSON: that is how these hosts have it.
    return Answer(
        200, json.dumps(content).encode(), [("Content-Type", "text/plain")], faults=faults, stopping=world.stopping
    )


handlers = [authorize, access_token, jscode2session]
