"""Who calls: the bearer key of a merchant, checked before anything of the request is read."""

from typing import Any

import structlog
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from adapters.inbound.http.address import ClientAddress
from adapters.inbound.http.kit import Api, Req
from application.authenticate import Authenticate
from domain.errors import Unauthenticated
from domain.merchants import Caller, Scope


def bearer(authenticate: Authenticate, addresses: ClientAddress) -> Guard:
    """A guard that lets only known keys pass, from where their merchant allows it and whose scopes have the route's,
    and leaves their Caller there."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        caller = await authenticate(_token(connection.headers.getall("authorization", [])), addresses.of(connection))
        if connection.scope.get("method") != "OPTIONS":  # Litestar's own: it says which methods there are, and no more
            caller.may(Scope(handler.opt["scope"]))
        structlog.contextvars.bind_contextvars(merchant_id=caller.merchant_id, mode=str(caller.mode))
        connection.scope["user"] = caller

    return guard


def caller_of(request: Req, api: Api) -> Caller:  # noqa: ARG001
    """The dependency ``caller`` of every guarded handler.

    It asks for ``api``, whose answer it does not need, to come after it: for two dependencies that are free of each
    other Litestar opens a task group, in every request.
    """
    caller = request.user
    assert isinstance(caller, Caller)
    return caller


def _token(headers: list[str]) -> str:
    if not headers:
        raise Unauthenticated("send Authorization: Bearer and your API key", code="api_key_missing")
    if len(headers) > 1:
        raise Unauthenticated("more than one Authorization header", code="api_key_invalid")
    scheme, _, token = headers[0].strip(" \t").partition(" ")
    if scheme.lower() != "bearer" or not token.strip(" "):
        raise Unauthenticated("send Authorization: Bearer and your API key", code="api_key_invalid")
    return token.strip(" ")
