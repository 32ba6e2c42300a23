"""The shop window, and the counter where a buyer chooses how to pay."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from sandbox.pages import language, page
from sandbox.shop import books
from sandbox.shop.client import RefusedError
from sandbox.shop.goods import INSTALMENTS, PLACES, PRODUCTS, WAYS
from sandbox.shop.paying import begin
from sandbox.world import World

_SHOWN_ORDERS = 8


@get("/shop")
async def shop(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str]:
    """The shop window."""
    orders = world.store.shop_orders()[-_SHOWN_ORDERS:][::-1]
    return page(request, "shop.html", products=PRODUCTS.values(), orders=orders, names=PRODUCTS)


@get("/shop/checkout")
async def checkout(request: Request[Any, Any, Any]) -> Response[str] | Redirect:
    """Every way to pay for one thing."""
    product = PRODUCTS.get(request.query_params.get("product", ""))
    if product is None:
        return Redirect("/shop", status_code=303)
    return page(
        request,
        "shop_checkout.html",
        product=product,
        ways=list(WAYS.values()),
        places=PLACES,
        instalments=INSTALMENTS,
    )


@post("/shop/buy")
async def buy(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str] | Redirect:
    """Places an order; without a method the buyer goes on to Pitaya's cashier, which offers what fits the device."""
    form = await books.form_of(request)
    product, method, lang = PRODUCTS.get(form.get("product", "")), form.get("method", ""), language(request)
    if product is None:
        return Redirect("/shop", status_code=303)
    if method in WAYS and WAYS[method].place == "till":
        return Redirect(f"/shop/till?product={product.key}&lang={lang}", status_code=303)
    order = books.begun(world, product.key, product.price)
    try:
        order = await books.placed(world, order, product.en if lang == "en" else product.zh, lang)
        if method in WAYS:
            return await begin(request, world, order, WAYS[method], form.get("instalments", ""))
    except RefusedError as error:
        return page(request, "shop_failed.html", status_code=502, order=order, reason=str(error))
    return Redirect(order.cashier_url, status_code=303)


handlers = [shop, checkout, buy]
