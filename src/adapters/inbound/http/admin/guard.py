"""Who may call a route: a rule beside each one, and the guard that keeps it. A route without a rule does not start."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import Guard

from adapters.inbound.http.address import ClientAddress
from application.authenticate_person import AuthenticatePerson, Signed
from domain.actors import Origin
from domain.errors import Forbidden, Unauthenticated
from domain.permissions import PERMISSIONS, Realm
from domain.users import Duty

CONSOLE_HEADER = "X-Pitaya-Console"
_RULE = "rule"
_DUTY_CODES = {
    Duty.CHANGE_PASSWORD: ("change your password first", "password_change_required"),
    Duty.ENROL_TOTP: ("set up an authenticator first", "totp_enrolment_required"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """Exactly one of: a permission; ``own``, for what everybody may do with the own account; neither, for all."""

    permission: str | None = None
    own: bool = False
    step_up: bool = False


def needs(permission: str, *, step_up: bool = False, realm: Realm = Realm.PLATFORM) -> dict[str, Any]:
    """``opt=needs("merchants.suspend")``. With ``step_up``, a second factor shown within five minutes, too: for money
    and keys. Raises KeyError at import for a permission that is not in the table."""
    return {_RULE: Rule(PERMISSIONS[realm][permission].name, step_up=step_up)}


def own(*, step_up: bool = False) -> dict[str, Any]:
    """For everybody who is signed in as a person, about nobody but themselves."""
    return {_RULE: Rule(own=True, step_up=step_up)}


def anyone() -> dict[str, Any]:
    """For who is not signed in yet."""
    return {_RULE: Rule()}


def rule_of(handler: BaseRouteHandler) -> Rule:
    """Raises LookupError for a route that nobody has thought about: default deny, before it can be called."""
    rule: Rule | None = handler.opt.get(_RULE)
    if rule is None:
        raise LookupError(f"the route {handler} says nothing about who may call it: give it opt=needs(…)")
    return rule


def check_rules(handlers: Iterable[HTTPRouteHandler]) -> None:
    for handler in handlers:
        rule_of(handler)
        assert "OPTIONS" not in handler.http_methods, "the guard leaves OPTIONS to Litestar, which tells the methods"


def cookie_name(realm: Realm, *, secure: bool) -> str:
    """``__Host-``: no other host or path can set it (RFC 6265bis, 4.1.3.2). It needs https."""
    name = "pitaya_admin" if realm is Realm.PLATFORM else "pitaya_merchant"
    return f"__Host-{name}" if secure else name


def guard(authenticate: AuthenticatePerson, realm: Realm, addresses: ClientAddress, cookie: str) -> Guard:
    """Leaves Signed on the connection, for those whom the route's rule lets in."""

    async def let_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if connection.scope.get("method") == "OPTIONS":  # Litestar's own: it says which methods there are, and no more
            return
        rule = rule_of(handler)
        if rule == Rule():
            return
        signed = await authenticate(realm, _token(connection, cookie), origin_of(connection, addresses))
        structlog.contextvars.bind_contextvars(actor_id=signed.actor.id)
        _check(rule, signed)
        connection.scope["user"] = signed

    return let_in


def origin_of(connection: ASGIConnection[Any, Any, Any, Any], addresses: ClientAddress) -> Origin:
    known = structlog.contextvars.get_contextvars()
    return Origin(addresses.of(connection), connection.headers.get("user-agent"), known.get("request_id"))


def _check(rule: Rule, signed: Signed) -> None:
    if rule.own:
        if signed.session is None:
            raise Forbidden("a service token has no account of its own", code="permission_missing")
    else:
        assert rule.permission is not None
        signed.actor.require(rule.permission)
        for duty in signed.duties:
            text, code = _DUTY_CODES[duty]
            raise Forbidden(text, code=code)
    if rule.step_up and not signed.fresh:
        raise Forbidden("show a fresh code of your authenticator first", code="step_up_required")


def _token(connection: ASGIConnection[Any, Any, Any, Any], cookie: str) -> str:
    """The bearer token, or the cookie's where the header shows that our own page calls, not a foreign one."""
    headers = connection.headers.getall("authorization", [])
    if len(headers) > 1:
        raise Unauthenticated("more than one Authorization header", code="session_invalid")
    if headers:
        scheme, _, token = headers[0].strip(" \t").partition(" ")
        if scheme.lower() != "bearer" or not token.strip(" "):
            raise Unauthenticated("send Authorization: Bearer and your token", code="session_invalid")
        return token.strip(" ")
    token = connection.cookies.get(cookie, "")
    if not token:
        raise Unauthenticated("sign in first", code="not_signed_in")
    if not connection.headers.get(CONSOLE_HEADER):
        raise Forbidden(f"with a cookie, send the header {CONSOLE_HEADER} too", code="console_header_missing")
    return token
