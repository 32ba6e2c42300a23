"""The shop's till: it scans what a payer's wallet shows (付款码), and says at once what became of it."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from sandbox.model import ShopOrder
from sandbox.pages import language, page
from sandbox.shop import books
from sandbox.shop.client import Pitaya, RefusedError
from sandbox.shop.goods import PRODUCTS, WAYS
from sandbox.wire import fen
from sandbox.world import World

_COUNTER = "火龙果小铺"
_MOST_FEN = 50_000_00


@get("/shop/till")
async def till(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str]:
    """The next sale, and how the last one ended."""
    given = request.query_params
    sale, problem = world.store.shop_order(given.get("sale", "")), books.problem_of(request)
    whole = None
    if sale is not None and sale.order_id:
        try:
            whole = await books.whole(world, sale)
        except RefusedError as error:
            problem = problem or error.code
    attempt = whole.attempts[-1] if whole and whole.attempts else None
    return page(
        request,
        "shop_till.html",
        sale=sale,
        attempt=attempt,
        stands=_stands(sale, attempt.status if attempt else ""),
        product=PRODUCTS.get(given.get("product", "")),
        products=PRODUCTS.values(),
        ways=WAYS,
        problem=problem,
    )


def _stands(sale: ShopOrder | None, attempt: str) -> str:
    """In the till's words. An outcome that nobody knows yet is waited for: no second code before it is known."""
    if sale is None:
        return ""
    if sale.status in ("paid", "closed"):
        return sale.status
    if attempt == "succeeded":
        return "paid"
    return "again" if attempt in ("", "failed", "closed", "reversed") else "waiting"


@post("/shop/till")
async def scan(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Redirect:
    """A code was scanned: for a new sale, or for one whose last code brought nothing."""
    form, lang = await books.form_of(request), language(request)
    code, sale = "".join(form.get("auth_code", "").split()), world.store.shop_order(form.get("sale", ""))
    amount, product = fen(form.get("amount", "").strip()), PRODUCTS.get(form.get("product", ""))
    if sale is None and not (amount and amount <= _MOST_FEN):
        return _to_till(lang, sale, problem="amount")
    if not (code.isascii() and code.isdigit() and len(code) <= 32):
        return _to_till(lang, sale, problem="auth_code", product=product.key if product else "")
    try:
        if sale is None:
            fits = product is not None and product.price == amount
            sale = books.begun(world, product.key if product and fits else "", amount or 0, till=True)
        if not sale.order_id:
            sale = await books.placed(world, sale, _subject(sale, lang), lang)
        await Pitaya(world.store.settings()).start(sale.order_id, {"method": "barcode", "auth_code": code})
    except RefusedError as error:
        return _to_till(lang, sale, problem=error.code)
    return _to_till(lang, sale)


@post("/shop/till/{number:str}/cancel")
async def cancel(
    request: Request[Any, Any, Any], number: FromPath[str], world: NamedDependency[World]
) -> Response[str] | Redirect:
    """The payer walks away: whatever is open is undone before the sale is closed."""
    sale, lang = world.store.shop_order(number), language(request)
    if sale is None:
        return page(request, "shop_missing.html", status_code=404)
    try:
        await Pitaya(world.store.settings()).close(sale.order_id)
    except RefusedError as error:
        return _to_till(lang, sale, problem=error.code)
    return _to_till(lang, sale)


def _to_till(lang: str, sale: ShopOrder | None, **more: str) -> Redirect:
    """Always by another request: looking again must not charge again."""
    shown = {"sale": sale.merchant_order_no if sale else "", "lang": lang, **more}
    return Redirect(f"/shop/till?{urlencode({name: value for name, value in shown.items() if value})}", status_code=303)


@get("/shop/counter")
async def counter(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str]:
    """The code that hangs at the counter: the payer says how much, in either wallet."""
    try:
        code = await Pitaya(world.store.settings()).code(_COUNTER)
    except RefusedError as error:
        return page(request, "shop_failed.html", status_code=502, order=None, reason=str(error))
    return page(request, "shop_counter.html", code=code)


def _subject(sale: ShopOrder, lang: str) -> str:
    product = PRODUCTS.get(sale.product)
    if product is None:
        return "Sale at the till" if lang == "en" else "柜台收款"
    return product.en if lang == "en" else product.zh


handlers = [till, scan, cancel, counter]
