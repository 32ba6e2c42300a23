"""The payer's phone: a page that behaves as the wallets do when a code is scanned."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from sandbox import payer
from sandbox.alipay.calls import Refused
from sandbox.alipay.gateway import app_order
from sandbox.alipay.notices import signed_return
from sandbox.model import Trade
from sandbox.pages import language, page
from sandbox.world import World

_WALLETS = ("alipay", "wechat")
_RESULTS = {"pay": "paid_now", "twice": "paid_now", "refuse": "refused_now", "leave": "left_now"}


@get("/phone")
async def phone(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str]:
    """Opening this with a code is scanning it."""
    code, back = request.query_params.get("code", "").strip(), _way_back(request.query_params.get("return", ""))
    if not code:
        return page(request, "scan.html", back=back)
    trade = _opened(world, code)
    if trade is None and _way_back(code):
        return page(request, "phone_web.html", address=code, inside={one: _inside(code, one) for one in _WALLETS})
    code = trade.code if trade else code
    if trade is None:
        return page(request, "phone.html", status_code=404, trade=None, says="unknown", back=back, code=code)
    payer.close_expired(world)
    trade = world.store.trade_by_code(code) or trade
    payer.scan(world, trade)
    if trade.channel == "alipay" and trade.payments:
        back = signed_return(world.store, world.keys, world.authority, trade) or back
    now_says, says = trade.payable(world.now()), request.query_params.get("result", "")
    # A result is shown only while it is true: an address can be typed.
    if says not in _RESULTS.values() or (says == "paid_now") != (now_says == "paid"):
        says = now_says
    return page(request, "phone.html", trade=trade, says=says, payee=_payee(world, trade), back=back, code=code)


@post("/phone")
async def act(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Redirect:
    """What the payer's thumb does; then the same page again, so that reloading does not pay again."""
    form = {name: values[-1] for name, values in parse_qs((await request.body()).decode("utf-8", "replace")).items()}
    code, action = form.get("code", ""), form.get("action", "")
    shown = {"code": code, "return": _way_back(form.get("return", "")), "lang": language(request)}
    payer.close_expired(world)
    trade = world.store.trade_by_code(code)
    if trade and action in _RESULTS and _done(world, trade, action):
        shown["result"] = _RESULTS[action]
    return Redirect("/phone?" + urlencode({name: value for name, value in shown.items() if value}), status_code=303)


def _done(world: World, trade: Trade, action: str) -> bool:
    """Whether the wallet did it; an unpayable code is told by the page that follows."""
    try:
        if action in ("pay", "twice"):
            payer.pay(world, trade)
        if action == "twice":
            payer.pay(world, trade, force=True)
    except payer.NotPayableError:
        return False
    if action == "refuse":
        payer.refuse(world, trade)
    return True


def _opened(world: World, code: str) -> Trade | None:
    """The trade of a code; an order string is what a merchant's app hands to Alipay's."""
    if "alipay.trade.app.pay" in code:
        try:
            return app_order(world, code)
        except Refused:
            return None
    return world.store.trade_by_code(code)


def _inside(address: str, wallet: str) -> str:
    """A web page as a wallet's own browser opens it. A real one says so in its User-Agent, which a link cannot."""
    parts = urlsplit(address)
    query = f"{parts.query}&inside={wallet}" if parts.query else f"inside={wallet}"
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _way_back(address: str) -> str:
    """Only web addresses: a link must not run anything."""
    try:
        return address if urlsplit(address).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _payee(world: World, trade: Trade) -> str:
    app = world.store.app(trade.account) if trade.channel == "alipay" else None
    return app.seller_id if app else trade.account


handlers = [phone, act]
