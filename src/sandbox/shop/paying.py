"""Paying an order by one method (直连): who pays, where the method must know; then what the payer's side has to do."""

import secrets
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from sandbox.model import ShopOrder
from sandbox.pages import language, page
from sandbox.shop import books
from sandbox.shop.client import Payer, Pitaya, RefusedError, Whole
from sandbox.shop.goods import INSTALMENTS, WAYS, Way
from sandbox.world import World


async def begin(
    request: Request[Any, Any, Any], world: World, order: ShopOrder, way: Way, instalments: str = ""
) -> Redirect:
    """Opens the payment, or asks the wallet first who pays. ``instalments`` count on Alipay's page alone. Raises
    RefusedError."""
    lang = language(request)
    if way.method not in ("alipay_jsapi", "wechat_jsapi", "wechat_miniprogram"):
        parts = instalments if way.method == "alipay_page" and instalments in INSTALMENTS else ""
        return await _start(request, world, order, way.method, instalments=parts)
    order.login_state, order.login_method = secrets.token_urlsafe(16), way.method
    world.store.save_shop_order(order)
    if way.method == "wechat_miniprogram":
        return Redirect(f"{_address(order)}/mini?lang={lang}", status_code=303)
    return Redirect(_login_page(world, order, way.method, lang), status_code=303)


async def _start(
    request: Request[Any, Any, Any],
    world: World,
    order: ShopOrder,
    method: str,
    payer: Payer | None = None,
    *,
    instalments: str = "",
) -> Redirect:
    asked: dict[str, Any] = {"method": method}
    if payer is not None:
        asked |= {"payer_id": payer.payer_id, "payer_app_id": payer.payer_app_id}
    if instalments:
        asked["instalments"] = int(instalments)
    if method == "wechat_h5":
        asked["payer_ip"] = request.client.host if request.client else "127.0.0.1"
    await Pitaya(world.store.settings()).start(order.order_id, asked)
    shown = urlencode({"method": method, "lang": language(request)})
    return Redirect(f"{_address(order)}/pay?{shown}", status_code=303)


def _login_page(world: World, order: ShopOrder, method: str, lang: str) -> str:
    """The wallet's own page, which sends the payer's browser straight back with a code (网页授权, silent)."""
    settings = world.store.settings()
    back = {"redirect_uri": f"{world.public_url}{_address(order)}/payer?lang={lang}", "state": order.login_state}
    if method == "alipay_jsapi":
        asked = {"app_id": settings.shop_alipay_app_id, "scope": "auth_base", **back}
        return f"/oauth2/publicAppAuthorize.htm?{urlencode(asked)}"
    asked = {"appid": settings.shop_wechat_appid, "response_type": "code", "scope": "snsapi_base", **back}
    return f"/connect/oauth2/authorize?{urlencode(asked)}#wechat_redirect"


@get("/shop/orders/{number:str}/ways")
async def ways(request: Request[Any, Any, Any], number: FromPath[str], world: NamedDependency[World]) -> Response[str]:
    """Another way for an order that is there already."""
    order = world.store.shop_order(number)
    if order is None:
        return page(request, "shop_missing.html", status_code=404)
    elsewhere = [way for way in WAYS.values() if way.place != "till"]
    return page(request, "shop_ways.html", order=order, ways=elsewhere, instalments=INSTALMENTS)


@post("/shop/orders/{number:str}/attempts")
async def choose(
    request: Request[Any, Any, Any], number: FromPath[str], world: NamedDependency[World]
) -> Response[str] | Redirect:
    """The buyer wants to pay by one method; Pitaya closes what was open by another."""
    form = await books.form_of(request)
    order, way = world.store.shop_order(number), WAYS.get(form.get("method", ""))
    if order is None or way is None:
        return page(request, "shop_missing.html", status_code=404)
    try:
        return await begin(request, world, order, way, form.get("instalments", ""))
    except RefusedError as error:
        return page(request, "shop_failed.html", status_code=502, order=order, reason=str(error))


@get("/shop/orders/{number:str}/mini")
async def mini(request: Request[Any, Any, Any], number: FromPath[str], world: NamedDependency[World]) -> Response[str]:
    """The shop's mini program: it logs in by wx.login before it can pay."""
    order = world.store.shop_order(number)
    if order is None or order.login_method != "wechat_miniprogram":
        return page(request, "shop_missing.html", status_code=404)
    appid = world.store.settings().shop_wechat_appid
    back = f"{_address(order)}/payer?lang={language(request)}&state={order.login_state}"
    return page(request, "shop_mini.html", order=order, appid=appid, back=back)


@get("/shop/orders/{number:str}/payer")
async def identified(
    request: Request[Any, Any, Any], number: FromPath[str], world: NamedDependency[World]
) -> Response[str] | Redirect:
    """Back from the wallet's login: Alipay brings `auth_code`, WeChat `code`; Pitaya turns it into who pays."""
    order, given = world.store.shop_order(number), request.query_params
    if order is None or not order.login_state or given.get("state") != order.login_state:
        return page(request, "shop_missing.html", status_code=404)
    method = order.login_method
    order.login_state = ""  # good for one return
    world.store.save_shop_order(order)
    settings, of_alipay = world.store.settings(), method == "alipay_jsapi"
    code = given.get("auth_code" if of_alipay else "code", "")
    app_id = settings.shop_alipay_app_id if of_alipay else settings.shop_wechat_appid
    try:
        payer = await Pitaya(settings).payer(order.order_id, method, code, app_id)
        return await _start(request, world, order, method, payer)
    except RefusedError as error:
        return page(request, "shop_failed.html", status_code=502, order=order, reason=str(error))


@get("/shop/orders/{number:str}/pay")
async def pay(
    request: Request[Any, Any, Any], number: FromPath[str], world: NamedDependency[World]
) -> Response[str] | Redirect:
    """What the payer's side has to do: a code, a form, an address, or fields for an SDK."""
    order, way = world.store.shop_order(number), WAYS.get(request.query_params.get("method", ""))
    if order is None or way is None:
        return page(request, "shop_missing.html", status_code=404)
    try:
        whole = await books.whole(world, order)
    except RefusedError as error:
        return page(request, "shop_failed.html", status_code=502, order=order, reason=str(error))
    attempt = next((one for one in reversed(whole.attempts) if one.method == way.method), None)
    if order.status == "paid" or attempt is None or attempt.action is None:
        return Redirect(f"{_address(order)}?lang={language(request)}", status_code=303)
    action, back = attempt.action, f"{world.public_url}{_address(order)}?lang={language(request)}"
    return page(
        request,
        "shop_pay.html",
        order=order,
        way=way,
        action=action,
        back=back,
        phone="/phone?" + urlencode({"code": action.value, "return": back, "lang": language(request)}),
    )


def _address(order: ShopOrder) -> str:
    return f"/shop/orders/{order.merchant_order_no}"


def open_attempt(whole: Whole | None) -> str:
    """The method of a payment that can be gone on with; empty where there is none."""
    attempts = whole.attempts if whole and whole.status == "pending" else []
    return next((one.method for one in reversed(attempts) if one.status == "pending" and one.action), "")


handlers = [ways, choose, mini, identified, pay]
