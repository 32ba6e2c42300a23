"""An order as its buyer and its seller see it: how it stands, what Pitaya tells of it, and money back."""

import re
import secrets
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from sandbox.pages import language, page
from sandbox.shop import books
from sandbox.shop.client import Pitaya, RefusedError
from sandbox.shop.goods import PRODUCTS, WAYS
from sandbox.shop.paying import open_attempt
from sandbox.wire import fen
from sandbox.world import World

_REFUND_NO = re.compile(r"R[0-9A-F]{16}")


@get("/shop/orders/{number:str}")
async def show(request: Request[Any, Any, Any], number: FromPath[str], world: NamedDependency[World]) -> Response[str]:
    """The order; its page looks for news as long as it is open."""
    order = world.store.shop_order(number)
    if order is None:
        return page(request, "shop_missing.html", status_code=404)
    try:
        whole, away = (await books.whole(world, order) if order.order_id else None), ""
    except RefusedError as error:
        whole, away = None, str(error)
    return page(
        request,
        "shop_order.html",
        order=order,
        product=PRODUCTS.get(order.product),
        whole=whole,
        away=away,
        ways=WAYS,
        going_on=open_attempt(whole),
        problem=books.problem_of(request),
        refund_no=f"R{secrets.token_hex(8).upper()}",
    )


@get("/shop/orders/{number:str}/status")
async def status(number: FromPath[str], world: NamedDependency[World]) -> Response[dict[str, str | int]]:
    """What the order page asks every half second: verified webhooks alone change it."""
    order = world.store.shop_order(number)
    headers = {"Cache-Control": "no-store"}
    if order is None:
        return Response({"status": "missing"}, status_code=404, headers=headers)
    return Response({"status": order.status, "seen": len(order.verified_notifications)}, headers=headers)


@post("/shop/orders/{number:str}/refunds")
async def refund(
    request: Request[Any, Any, Any], number: FromPath[str], world: NamedDependency[World]
) -> Response[str] | Redirect:
    """Money back, all or a part. The number was made with the form: sending it twice is one refund."""
    order, form = world.store.shop_order(number), await books.form_of(request)
    if order is None or not _REFUND_NO.fullmatch(form.get("number", "")):
        return page(request, "shop_missing.html", status_code=404)
    amount, shown = fen(form.get("amount", "").strip()), {"lang": str(language(request))}
    asked = {"merchant_refund_no": form["number"], "order_id": order.order_id, "amount": amount}
    reason = re.sub(r"[\x00-\x1f\x7f]", " ", form.get("reason", "").strip())[:80]
    try:
        if amount:
            await Pitaya(world.store.settings()).refund(asked | ({"reason": reason} if reason else {}))
        else:
            shown["problem"] = "amount"
    except RefusedError as error:
        shown["problem"] = error.code
    return Redirect(f"/shop/orders/{number}?{urlencode(shown)}", status_code=303)


handlers = [show, status, refund]
