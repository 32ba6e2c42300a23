"""…/sessions and …/me: signing in and out, and one's own account; the same for operators and merchants' users."""

from litestar import Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from adapters.inbound.http.admin.bodies import ProofBody, SignInBody
from adapters.inbound.http.admin.guard import anyone, cookie_name, origin_of, own
from adapters.inbound.http.admin.kit import Admin, Me, once
from adapters.inbound.http.admin.views import (
    MeView,
    OpenedView,
    SessionList,
    me_view,
    opened_view,
    session_view,
)
from adapters.inbound.http.kit import Req
from application.sign_in import Opened
from domain.permissions import Realm
from domain.sessions import LONGEST

TAGS = ["Sessions"]


@get("/sessions", summary="List your sessions", operation_id="listSessions", tags=TAGS, opt=own())
async def list_sessions(admin: Admin, me: Me) -> SessionList:
    """Your open sessions, wherever they are."""
    return SessionList(data=[session_view(each) for each in await admin.keep_sessions.open(me)])


@delete("/sessions/{session_id:str}", summary="End a session", operation_id="endSession", tags=TAGS, opt=own())
async def end_session(session_id: FromPath[str], admin: Admin, me: Me) -> None:
    """Sign out: of this session (`current`) or of another one of yours."""
    assert me.session is not None
    await admin.keep_sessions.end(me, me.session.id if session_id == "current" else session_id)


@delete("/sessions", summary="Sign out everywhere", operation_id="endAllSessions", tags=TAGS, opt=own())
async def end_all(admin: Admin, me: Me) -> None:
    """End every session of yours, this one too."""
    await admin.keep_sessions.end_all(me)


@get("/me", summary="Who am I", operation_id="getMe", tags=TAGS, opt=own())
async def get_me(admin: Admin, me: Me) -> MeView:
    """You, this session, and what you may do now."""
    assert me.session is not None
    user = await admin.keep_sessions.me(me)
    return me_view(user, me.session, me.actor, me.duties, fresh=me.fresh)


def session_handlers(realm: Realm) -> list[HTTPRouteHandler]:
    """The routes of one realm: each realm's sessions open its own doors only."""

    @post("/sessions", summary="Sign in", operation_id="signIn", tags=TAGS, opt=anyone())
    async def sign_in(data: JSONBody[SignInBody], request: Req, admin: Admin) -> Response[OpenedView]:
        """Open a session with login, password and, where an authenticator is set up, a code.

        It ends after 30 minutes without a call, and after 12 hours in any case. `duties` come first.
        """
        origin = origin_of(request, admin.addresses)
        opened = await admin.sign_in(realm, data.login, data.password, data.code, origin)
        cookies = [_cookie(admin, realm, opened.token)] if data.cookie else []
        return Response(opened_view(opened, show=not data.cookie), status_code=201, cookies=cookies)

    @post(
        "/sessions/current/prove",
        status_code=200,
        summary="Show a fresh second factor",
        operation_id="proveSession",
        tags=TAGS,
        opt=own(),
    )
    async def prove(data: JSONBody[ProofBody], request: Req, admin: Admin, me: Me) -> Response[OpenedView]:
        """Step-up: for five minutes, money and keys are open. The session goes on under a new token."""
        in_cookie = cookie_name(realm, secure=_secure(admin)) in request.cookies
        by_cookie = in_cookie and "authorization" not in request.headers
        opened: list[Opened] = []

        async def run() -> OpenedView:
            opened.append(await admin.keep_sessions.prove(me, data.code, data.password))
            return opened_view(opened[0], show=not by_cookie)

        answer = await once(admin, request, me.actor, data, run, status=200, shown_once=("token",), compared=False)
        if by_cookie and opened:
            answer.cookies.append(_cookie(admin, realm, opened[0].token))
        return answer

    return [sign_in, list_sessions, end_session, end_all, prove, get_me]


def _secure(admin: Admin) -> bool:
    return admin.public_url.startswith("https://")


def _cookie(admin: Admin, realm: Realm, token: str) -> Cookie:
    secure = _secure(admin)
    return Cookie(
        key=cookie_name(realm, secure=secure),
        value=token,
        max_age=int(LONGEST.total_seconds()),
        secure=secure,
        httponly=True,
        samesite="strict",
    )
