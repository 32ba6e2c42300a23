"""The page behind a static code: a payer says how much, and goes on to the cashier of an order placed just then."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from adapters.inbound.web import languages
from adapters.inbound.web.desk import AnyRequest, AtDesk, Desk
from adapters.inbound.web.forms import FIELD
from adapters.inbound.web.pages import HEADERS
from domain.errors import Conflict, InvalidRequest, NotFound, RateLimited
from domain.money import Money


@get("/c/{token:str}")
async def counter(request: AnyRequest, token: FromPath[str], desk: AtDesk) -> Response[str]:
    """Opening it places nothing."""
    return await _page(desk, request, token)


@post("/c/{token:str}", request_max_body_size=4096)
async def place(request: AnyRequest, token: FromPath[str], desk: AtDesk) -> Response[str] | Redirect:
    """The payer has said how much."""
    form = await request.form()
    if not desk.guard.accepts(request, form.get(FIELD)):
        return await _page(desk, request, token, problem="stale", http_status=403)
    language = languages.choose(request)
    try:
        order = await desk.parts.order_by_code(
            _known(token), yuan(form.get("amount")), payer_ip=desk.parts.address_of(request), locale=language.tag
        )
    except InvalidRequest:
        return await _page(desk, request, token, problem="amount", http_status=422)
    except Conflict:
        return await _page(desk, request, token)
    except RateLimited:
        return await _page(desk, request, token, problem="busy", http_status=429)
    return Redirect(f"/pay/{order.cashier_token}", status_code=303, headers=HEADERS)


async def _page(
    desk: Desk, request: AnyRequest, token: str, *, problem: str | None = None, http_status: int = 200
) -> Response[str]:
    code, payee = await desk.parts.order_by_code.code(_known(token))
    form_token = desk.guard.token(request)
    answer = desk.pages.page(
        "cashier/counter.html",
        languages.choose(request),
        status=http_status,
        address=request.url.path,
        code=code,
        payee=payee,
        problem=problem,
        form_token=form_token,
    )
    desk.stay_inside(answer, request, code.mode)
    answer.cookies.append(desk.guard.cookie(form_token))
    return answer


def _known(token: str) -> str:
    if not (token.isascii() and token.isalnum()):
        raise NotFound("no such code")
    return token


def yuan(text: object) -> Money | None:
    """What a payer types: ``12``, ``12.5``, ``12.50``; None for anything else, and for nothing."""
    if not isinstance(text, str) or len(text) > 12 or not text.isascii():
        return None
    whole, _, rest = text.strip().removeprefix("+").partition(".")
    if not whole.isdigit() or not (rest == "" or rest.isdigit()) or len(rest) > 2:
        return None
    return Money(int(whole) * 100 + int(rest.ljust(2, "0")))
