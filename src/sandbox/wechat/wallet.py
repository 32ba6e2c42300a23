"""The wallet's end of a payment that a page, a mini-program or an app starts: it checks what the merchant signed."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from sandbox import payer
from sandbox.keys import public_key, verified
from sandbox.model import Trade, Wallet
from sandbox.pages import page
from sandbox.wechat import identity
from sandbox.world import World

_JSAPI = ("appId", "timeStamp", "nonceStr", "package")
_APP = ("appid", "timestamp", "noncestr", "prepayid")


class NotCallable(Exception):
    """The wallet says no before anybody sees an amount."""


def called(world: World, fields: Mapping[str, str]) -> Trade:
    """The order behind the fields of WeixinJSBridge, wx.requestPayment or the open platform's SDK (PayReq), whose
    signature is right. Raises NotCallable."""
    in_app = "prepayid" in fields
    names, signature = (_APP, fields.get("sign")) if in_app else (_JSAPI, fields.get("paySign"))
    if not signature or not all(isinstance(fields.get(name), str) for name in names):
        raise NotCallable("缺少参数")
    if in_app and fields.get("package") != "Sign=WXPay":
        raise NotCallable("package应为Sign=WXPay")
    if not in_app and (fields.get("signType") != "RSA" or not fields["package"].startswith("prepay_id=")):
        raise NotCallable("signType应为RSA，package应以prepay_id=开头")
    trade = world.store.trade_by_code(fields[names[3]].removeprefix("prepay_id="))
    merchant = world.store.merchant(trade.account) if trade else None
    if trade is None or merchant is None or trade.channel != "wechat":
        raise NotCallable("prepay_id不存在或已失效")
    parties = trade.echo["parties"]
    if fields[names[0]] not in {value for name, value in parties.items() if name.endswith("appid")}:
        raise NotCallable("appid与下单时不一致")
    if in_app and fields.get("partnerid") not in (parties.get("sub_mchid"), parties.get("mchid")):
        raise NotCallable("partnerid与下单时不一致")
    message = "".join(f"{fields[name]}\n" for name in names).encode()
    if not verified(public_key(merchant.public_key), message, signature):
        raise NotCallable("支付验证签名失败")
    return trade


@get("/phone/wechat/pay")
async def invoke(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str] | Redirect:
    """What WeixinJSBridge and the SDKs do: the wallet over the merchant's page. `return` leads back there."""
    given = request.query_params
    try:
        trade = called(world, dict(given.items()))
    except NotCallable:
        return page(request, "phone.html", status_code=400, trade=None, says="bad_call", back="", code="")
    shown = {"code": trade.code, "return": given.get("return", ""), "lang": given.get("lang", "")}
    return Redirect("/phone?" + urlencode({name: value for name, value in shown.items() if value}))


@post("/phone/wechat/login", status_code=200)
async def login(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[dict[str, str]]:
    """wx.login: a code for the mini program that asks."""
    try:
        code = identity.log_in(world, request.query_params.get("appid", ""), "mini")
    except identity.Unknown as error:
        return Response({"errMsg": f"login:fail {error}"}, status_code=400)
    return Response({"code": code, "errMsg": "login:ok"})


@get("/cgi-bin/mmpayweb-bin/checkmweb")
async def h5(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str] | Redirect:
    """`h5_url`: from the browser into the wallet, and back to `redirect_url`."""
    given = request.query_params
    trade = world.store.trade_by_code(given.get("prepay_id", ""))
    if trade is None or given.get("package") != trade.echo.get("package") or world.now() > trade.code_expires_at:
        return page(request, "phone.html", status_code=404, trade=None, says="unknown", back="", code="")
    shown = {"code": trade.code, "return": given.get("redirect_url", "")}
    return Redirect("/phone?" + urlencode({name: value for name, value in shown.items() if value}))


@get("/phone/wechat/code")
async def show_code(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str]:
    """The bar code that a payer shows at the counter; `payer` says what happens when it is scanned."""
    asked = str(request.query_params.get("payer", "pays"))
    known: dict[str, Wallet] = {"pays": "pays", "asks": "asks", "poor": "poor"}
    code = payer.show_code(world, "wechat", known.get(asked, "pays"))
    waiting = [
        trade
        for trade in world.store.trades("wechat")
        if trade.echo.get("trade_type") == "MICROPAY" and trade.state == "waiting" and not trade.refused_at
    ]
    return page(request, "wallet.html", channel="wechat", code=code, waiting=waiting, ways=list(known))


handlers = [invoke, login, h5, show_code]
