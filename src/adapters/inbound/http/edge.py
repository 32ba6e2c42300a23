"""What every request meets first and every answer last: its id, security headers, one log line, one measurement."""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import structlog
from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import (
    ControllerRouterHandler,
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Message,
    Receive,
    Scope,
    Send,
)
from structlog.contextvars import bind_contextvars, clear_contextvars

from adapters.inbound.http.metrics import Metrics

log = structlog.get_logger(__name__)

CSP = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
# A route that needs something else says it itself; these fill in what it left open.
SECURITY_HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_SANE_ID = re.compile(rb"[0-9A-Za-z_-]{1,64}")
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})


class Edge(Litestar):
    """The application, with the edge around its router, so that 404s and 405s pass it too."""

    def __init__(self, route_handlers: Sequence[ControllerRouterHandler], *, metrics: Metrics, **options: Any) -> None:
        self._metrics = metrics
        super().__init__(route_handlers, **options)

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        scope = cast("HTTPScope", scope)
        clear_contextvars()
        request_id = _request_id(scope)
        bind_contextvars(request_id=request_id)
        answer = _Answer(scope["method"], cast("Receive", receive), cast("Send", send), request_id)
        if answer.bodiless:
            scope = cast("HTTPScope", {**scope, "method": "GET"})
        try:
            await super().__call__(scope, answer.receive, answer.send)
        finally:
            self._record(scope, answer)

    def _record(self, scope: HTTPScope, answer: "_Answer") -> None:
        route = scope.get("path_template") or "unmatched"
        seconds = time.perf_counter() - answer.began
        self._metrics.answered(answer.method, str(route), answer.status, answer.seconds or seconds)
        say = log.debug if route in _QUIET else log.info
        say("request", method=answer.method, route=route, status=answer.status, milliseconds=round(seconds * 1000, 1))


@dataclass(slots=True)
class _Answer:
    """The answer on its way out. HEAD is a GET whose body stays here (RFC 9110, 9.3.2)."""

    method: str
    inner_receive: Receive
    inner_send: Send
    request_id: str
    began: float = field(default_factory=time.perf_counter)
    status: int = 0  # until there is one: the client went away, or we died
    seconds: float | None = None

    @property
    def bodiless(self) -> bool:
        return self.method == "HEAD"

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.seconds = message["status"], time.perf_counter() - self.began
            said = list(message.get("headers", ()))
            names = {name.lower() for name, _ in said}
            filled_in = [header for header in SECURITY_HEADERS if header[0] not in names]
            message = {**message, "headers": [*said, (b"x-request-id", self.request_id.encode()), *filled_in]}
        elif message["type"] == "http.response.body" and self.bodiless:
            message = {**message, "body": b""}
        await self.inner_send(message)

    async def receive(self) -> Any:
        if self.bodiless and self.seconds is not None:
            return {"type": "http.disconnect"}  # or a stream would go on for nobody
        return await self.inner_receive()


def _request_id(scope: Scope) -> str:
    """The caller's, if it is harmless to log and to send back; else one of ours."""
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _SANE_ID.fullmatch(given[0]):
        return given[0].decode()
    return secrets.token_hex(16)
