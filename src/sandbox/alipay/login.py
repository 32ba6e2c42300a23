"""Who the payer is (支付宝「网页授权获取用户信息」): a page that sends a code back, and its exchange for an id."""

import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.response import Redirect

from sandbox.alipay.calls import Call, Refused
from sandbox.alipay.notices import BUYER
from sandbox.pages import page
from sandbox.world import World

_SCOPES = ("auth_base", "auth_user")
_LIFE = 86400.0


@get("/oauth2/publicAppAuthorize.htm")
async def authorize(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Redirect | Response[str]:
    """auth_base asks nothing, and so this page asks nothing: the payer's browser goes straight back with a code."""
    asked = {name: str(request.query_params.get(name, "")) for name in ("app_id", "scope", "redirect_uri", "state")}
    back = urlsplit(asked["redirect_uri"])
    if not _known(world, asked["app_id"]) or back.scheme not in ("http", "https") or asked["scope"] not in _SCOPES:
        return page(request, "alipay_error.html", status_code=400, says="redirect_uri / app_id / scope")
    code = secrets.token_hex(16)
    world.store.save_login(code, asked["app_id"], world.now() + _LIFE)
    added = {"app_id": asked["app_id"], "source": "alipay_wallet", "scope": asked["scope"], "auth_code": code}
    added |= {"state": asked["state"]} if asked["state"] else {}
    query = urlencode(parse_qsl(back.query, keep_blank_values=True) + list(added.items()))
    return Redirect(urlunsplit((back.scheme, back.netloc, back.path, query, back.fragment)))


def _known(world: World, app_id: str) -> bool:
    """Whether there is such an application, be it a merchant's that lets a provider act for it."""
    apps = [world.store.app(one) for one in world.store.accounts("alipay")]
    merchants = {merchant.app_id for app in apps if app for merchant in app.merchants.values()}
    return app_id in merchants or world.store.app(app_id) is not None


def token(world: World, call: Call) -> dict[str, Any]:
    """alipay.system.oauth.token: its parameters are public ones, and a success has no code."""
    if call.params.get("grant_type") != "authorization_code":
        raise Refused("40002", "isv.grant-type-invalid", "grant_type参数不正确")
    app_id = call.merchant.app_id if call.merchant else call.app.app_id
    if not world.store.take_login(call.params.get("code", ""), app_id, world.now()):
        raise Refused("40002", "isv.code-invalid", "授权码code无效")
    who = {"open_id": BUYER["buyer_open_id"]} if call.app.payer_as == "open_id" else {"user_id": BUYER["buyer_id"]}
    return {
        **who,
        "access_token": f"authusrB{secrets.token_hex(16)}",
        "refresh_token": f"authusrB{secrets.token_hex(16)}",
        "expires_in": 1296000,
        "re_expires_in": 2592000,
    }


handlers = [authorize]
