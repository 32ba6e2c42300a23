"""The cashier 收银台: the page behind an order's secret address, where a payer chooses how to pay and sees it happen.

The address is the authority: whoever holds its token may look and may start attempts. Opening the page (GET) starts
nothing, so link previews and crawlers leave no trace at a channel; the page's script, or the payer, then posts a
choice. Every POST is answered by a redirect to the page, so reloading never repeats one.
"""

import asyncio
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from litestar import Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import Provide
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ASGIApp

from adapters.inbound.web import devices, languages
from adapters.inbound.web.assets import Assets, serving
from adapters.inbound.web.codes import qr_code
from adapters.inbound.web.counter import counter, place
from adapters.inbound.web.desk import AnyRequest, AtDesk, CashierParts, Desk
from adapters.inbound.web.forms import FIELD, FormGuard
from adapters.inbound.web.languages import Language
from adapters.inbound.web.live import LiveStatus
from adapters.inbound.web.logins import BACK, Logins
from adapters.inbound.web.pages import HEADERS, Pages
from adapters.inbound.web.status import State, Status, milliseconds
from application.view_cashier import CashierView
from domain.attempts import Attempt
from domain.channels import ActionType, Channel, Method, Mode, PayerAction
from domain.choices import INSTALMENTS, Choice
from domain.errors import (
    ChannelError,
    ChannelRejected,
    ChannelUnavailable,
    Conflict,
    InProgress,
    NotFound,
    PitayaError,
)
from domain.money import Money

__all__ = ["CashierParts", "build_cashier"]

LEAST_IN_INSTALMENTS = Money(10_000)  # ours to say: Huabei decides again for each payer
_OFFERED_INSTALMENTS = frozenset(str(number) for number in INSTALMENTS)
YEAR = 365 * 24 * 3600

# Why the last choice led to no code. The page explains each; anything else in the address is ignored.
PROBLEMS = frozenset({"unavailable", "unknown", "rejected", "not_offered", "busy", "not_identified"})
# What each wallet's login calls the code that it sends back.
_CODES = {Channel.ALIPAY: "auth_code", Channel.WECHAT: "code"}
PAYER = "pitaya_payer"  # the attempt that this very browser was identified for


def build_cashier(parts: CashierParts) -> Router:
    """The cashier's routes and the static files of all pages, to be mounted at the root."""
    assets = Assets()
    logins = Logins(parts.secret, secure=parts.secure)
    live = LiveStatus(parts.clock, parts.changes)
    desk = Desk(parts, Pages(assets), FormGuard(secure=parts.secure), logins, live)

    def sorry(request: AnyRequest, error: PitayaError) -> Response[Any]:
        return _sorry(desk, request, error)

    return Router(
        path="/",
        route_handlers=[serving(assets), show, choose, identify, identified, status, events, counter, place],
        dependencies={"desk": Provide(lambda: desk, sync_to_thread=False)},
        exception_handlers={PitayaError: sorry},
        include_in_schema=False,
    )


@get("/pay/{token:str}")
async def show(request: AnyRequest, token: FromPath[str], desk: AtDesk) -> Response[str]:
    """The page as things are now."""
    problem = request.query_params.get("problem")
    return await _page(desk, request, token, problem=problem if problem in PROBLEMS else None)


@post("/pay/{token:str}", request_max_body_size=4096)
async def choose(request: AnyRequest, token: FromPath[str], desk: AtDesk) -> Response[Any]:
    """The payer wants to pay by ``method``. Repeating it is harmless: the same attempt, the same code."""
    form = await request.form()
    if not desk.guard.accepts(request, form.get(FIELD)):
        return await _page(desk, request, token, problem="stale", http_status=403)
    view = await desk.view(token)
    method = next((each for each in _methods(desk, view, request) if each == form.get("method")), None)
    if method is None or method.needs_payer:
        return _to_page(token, problem="not_offered")
    if method in devices.INSTALMENTS and form.get("go") is None:
        return _to_page(token, method=method)  # where the payer decides how, before anything is opened
    instalments = form.get("instalments")
    choice = Choice(
        method=method,
        instalments=int(instalments) if instalments in _OFFERED_INSTALMENTS and method in devices.INSTALMENTS else None,
        payer_ip=desk.parts.address_of(request),
        return_url=desk.parts.address(token),
    )
    problem, _ = await _start(desk, view, choice)
    return _to_page(token, problem=problem, method=method if problem else None)


@get("/pay/{token:str}/payer")
async def identify(request: AnyRequest, token: FromPath[str], desk: AtDesk) -> Response[Any]:
    """Inside a wallet: to the wallet's own login, which tells us who pays and asks the payer nothing."""
    view = await desk.view(token)
    method = next((each for each in _methods(desk, view, request) if each == request.query_params.get("method")), None)
    if method is None or not method.needs_payer:
        return _to_page(token, problem="not_offered")
    back, payers = desk.parts.public_url + BACK, desk.parts.identify_payer
    try:
        app_id = await payers.app(view.caller, view.order.id, method)
        login = desk.logins.begin(token, method, app_id, desk.parts.clock.now())
        page = await payers.page(view.caller, view.order.id, method, app_id=app_id, back=back, state=login.state)
    except Conflict:
        return _to_page(token)
    except ChannelError:
        return _to_page(token, problem="unavailable")
    return Redirect(page, status_code=303, headers=HEADERS, cookies=[login.cookie])


@get(BACK)
async def identified(request: AnyRequest, desk: AtDesk) -> Response[Any]:
    """Back from the login: the payment is opened for this payer, and the page of the order goes on from there."""
    login = desk.logins.end(request, desk.parts.clock.now())
    if login is None:
        raise NotFound("no login of this browser")
    view = await desk.view(login.token)
    code = request.query_params.get(_CODES[login.method.channel])
    if code is None or await desk.parts.identify_payer.used(login.state):
        return _to_page(login.token, problem=None if code else "not_identified")
    try:
        payer = await desk.parts.identify_payer(view.caller, view.order.id, login.method, code, login.app_id)
    except Conflict:
        return _to_page(login.token)
    except ChannelError:
        return _to_page(login.token, problem="not_identified")
    choice = Choice(
        method=login.method, payer_id=payer.id, payer_app=payer.app_id, payer_ip=desk.parts.address_of(request)
    )
    problem, attempt = await _start(desk, view, choice)
    answer = _to_page(login.token, problem=problem)
    if attempt is not None:
        path, secure = f"/pay/{login.token}", desk.parts.secure
        answer.cookies.append(Cookie(PAYER, value=attempt.id, path=path, secure=secure, httponly=True, samesite="lax"))
    answer.cookies.append(login.cookie)
    return answer


@get("/pay/{token:str}/status")
async def status(token: FromPath[str], desk: AtDesk) -> Response[dict[str, Any]]:
    """For pages that cannot keep a stream open."""
    return Response((await desk.status(token)).body(desk.parts.clock.now()), headers=HEADERS)


@get("/pay/{token:str}/events")
async def events(token: FromPath[str], desk: AtDesk) -> ASGIApp:
    """The same, pushed: an event ``status`` at once, and after every change."""
    view = await desk.view(token)
    return desk.live.stream(view.order.id, lambda: desk.status(token))


async def _start(desk: Desk, view: CashierView, choice: Choice) -> tuple[str | None, Attempt | None]:
    """What went wrong, if anything the page does not show by itself; and the attempt."""
    try:
        return None, await desk.parts.start_attempt(view.caller, view.order.id, choice)
    except ChannelUnavailable:
        return "unavailable", None
    except ChannelRejected:
        return "rejected", None
    except ChannelError:
        return "unknown", None
    except InProgress:
        return "busy", None
    except Conflict as conflict:
        if conflict.code in ("order_paid", "order_closed", "order_expired"):
            return None, None  # the page says so
        return "not_offered" if conflict.code.startswith("method_") else "busy", None
    except NotFound:
        raise
    except PitayaError:
        return "busy", None


def _to_page(token: str, *, problem: str | None = None, method: Method | None = None) -> Redirect:
    query = urlencode({name: value for name, value in (("problem", problem), ("method", method)) if value})
    return Redirect(f"/pay/{token}{'?' if query else ''}{query}", status_code=303, headers=HEADERS)


async def _page(
    desk: Desk, request: AnyRequest, token: str, *, problem: str | None = None, http_status: int = 200
) -> Response[str]:
    # The page is as old as the moment before it looked, and news as young as the moment after: so the script can tell
    # which of the two is newer.
    now = desk.parts.clock.now()
    view = await desk.view(token)
    status, methods = Status.of(view, now), _methods(desk, view, request)
    attempt = view.attempt if status.attempt and view.attempt and _may_see(view.attempt, methods, request) else None
    asked = next((each for each in methods if each == request.query_params.get("method")), None)
    if attempt and asked in devices.INSTALMENTS and asked is not attempt.method:
        attempt = None  # another code is open still, and the payer is about to decide how to pay instead
    action = attempt.action if attempt else None
    code = action.value if action and action.type is ActionType.QR_CODE else None
    language = languages.choose(request, view.order.request.locale)
    form_token = desk.guard.token(request)
    answer = desk.pages.page(
        "cashier/page.html",
        language,
        status=http_status,
        form_targets=desk.parts.form_targets,
        address=request.url.path,
        view=view,
        order=view.order,
        now_status=status,
        looked_at=milliseconds(now),
        seconds_left=status.seconds_left(now),
        seconds_all=max(1, round((view.order.expires_at - view.order.created_at).total_seconds())),
        methods=methods,
        method=attempt.method if attempt else asked,
        action=action,
        qr=await asyncio.to_thread(qr_code, code) if code else None,
        starts_by_itself=bool(methods) and methods[0] in devices.STARTS_BY_ITSELF,
        instalment_methods=devices.INSTALMENTS & set(methods),
        instalments=_instalments(view),
        chosen_instalments=attempt.instalments if attempt else None,
        problem=problem if status.state is State.PENDING and (action is None or problem == "stale") else None,
        return_url=web_address(view.order.request.return_url),
        sandbox=view.order.mode is Mode.TEST,
        phone_url=_phone_url(desk.parts, view, action),
        form_token=form_token,
    )
    _remember(answer, request, desk)
    desk.stay_inside(answer, request, view.order.mode)
    answer.cookies.append(desk.guard.cookie(form_token))
    return answer


def _sorry(desk: Desk, request: AnyRequest, error: PitayaError) -> Response[Any]:
    """No such page, or not now. Scripts get the same status with a code."""
    status = 404 if isinstance(error, NotFound) else 503
    if request.url.path.endswith(("/status", "/events")):
        return Response({"code": error.code}, status_code=status, headers=HEADERS)
    answer = desk.pages.page(
        "cashier/sorry.html", languages.choose(request), status=status, lost=status == 404, address=request.url.path
    )
    _remember(answer, request, desk)
    return answer


def _remember(answer: Response[str], request: AnyRequest, desk: Desk) -> None:
    """A language chosen by a click stays chosen."""
    if language := Language.of(request.query_params.get("lang")):
        secure = desk.parts.secure
        cookie = Cookie(languages.COOKIE, value=language, path="/", max_age=YEAR, secure=secure, samesite="lax")
        answer.cookies.append(cookie)


def _methods(desk: Desk, view: CashierView, request: AnyRequest) -> list[Method]:
    """What the payer may choose here, best first."""
    return devices.choices(desk.device(request, view.order.mode), view.methods)


def _may_see(attempt: Attempt, methods: list[Method], request: AnyRequest) -> bool:
    """A payment that was opened for one payer is shown in that payer's browser alone; the others on any device that
    can use them."""
    if attempt.method.needs_payer:
        return request.cookies.get(PAYER) == attempt.id
    return attempt.method in methods


def _instalments(view: CashierView) -> list[tuple[int, Money]]:
    """Number of instalments and what one of them is, without Huabei's own fee."""
    if view.order.amount < LEAST_IN_INSTALMENTS:
        return []
    amount = view.order.amount
    return [(number, Money(-(-amount.minor // number), amount.currency)) for number in INSTALMENTS]


def _phone_url(parts: CashierParts, view: CashierView, action: PayerAction | None) -> str | None:
    """Where the sandbox's payer pays this very payment, then returns. Shown in the sandbox's bar alone."""
    if action is None or action.type not in (ActionType.QR_CODE, ActionType.SDK) or parts.sandbox_phone_url is None:
        return None
    back = parts.address(view.order.cashier_token)
    return f"{parts.sandbox_phone_url}?code={quote(action.value, safe='')}&return={quote(back, safe='')}"


def web_address(url: str | None) -> str | None:
    """The merchant's address if a link may point there: http or https with a host, nothing that runs as a script."""
    if url is None or any(character <= " " for character in url):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and host else None
