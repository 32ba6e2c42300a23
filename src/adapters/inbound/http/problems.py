"""Failures on the wire: RFC 9457 problem details with a stable code, one table from class to status."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import UNSET, Meta, UnsetType
from structlog.contextvars import get_contextvars

from adapters.inbound.http.codes import TITLES
from domain.errors import (
    ChannelError,
    ChannelRejected,
    ChannelUnavailable,
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    InProgress,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    PitayaError,
    RateLimited,
    Unauthenticated,
)

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 5

STATUS: dict[type[PitayaError], int] = {
    NotFound: 404,
    InvalidRequest: 422,
    Unauthenticated: 401,
    Forbidden: 403,
    Conflict: 409,
    RateLimited: 429,
    DatabaseUnavailable: 503,
    ChannelRejected: 422,
    ChannelUnavailable: 503,
    OutcomeUnknown: 504,
    ChannelError: 502,
    PitayaError: 500,
}
# Safe to repeat as they are: never stored as the answer to an Idempotency-Key.
RETRYABLE = (InProgress, RateLimited, DatabaseUnavailable, ChannelUnavailable, OutcomeUnknown)

# What Litestar itself refuses. Its texts are about Python, so they stay here.
_FRAMEWORK = {
    404: ("not_found", "there is nothing at this address"),
    405: ("http_method_not_allowed", "this address does not take that HTTP method"),
    413: ("body_too_large", "the body is larger than this call takes"),
    415: ("media_type_unsupported", "send application/json"),
}

_BUSY = "we could not finish this now; repeating the call unchanged is safe"

log = structlog.get_logger(__name__)


class BadRequest(Exception):
    """A request that we could not even read. ``code`` is public; ``parameter`` or ``pointer`` names the culprit."""

    def __init__(
        self, detail: str, code: str, *, status: int = 400, pointer: str | None = None, parameter: str | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.pointer = pointer
        self.parameter = parameter


class Fault(msgspec.Struct, kw_only=True):
    """One thing that is wrong: ``pointer`` is a JSON pointer into the body, ``parameter`` a query parameter."""

    pointer: Annotated[str | UnsetType, Meta(description="A JSON pointer into the body.", examples=["/amount"])] = UNSET
    parameter: Annotated[str | UnsetType, Meta(description="A query parameter.", examples=["limit"])] = UNSET
    code: Annotated[str, Meta(description="Stable.", examples=["value_invalid"])]
    detail: Annotated[str, Meta(description="For people; may change.", examples=["Expected `int` >= 1"])]


class Problem(msgspec.Struct, kw_only=True):
    """RFC 9457. Decide by ``code``; ``title`` follows Accept-Language, ``detail`` is for people and may change."""

    type: Annotated[str, Meta(description="Where the code is explained.", examples=["/docs/errors#value_invalid"])]
    title: Annotated[str, Meta(description="What the code means.", examples=["A value is not allowed"])]
    status: Annotated[int, Meta(description="The HTTP status again.", examples=[422])]
    detail: Annotated[str, Meta(description="For people; may change.", examples=["Expected `int` >= 1"])]
    code: Annotated[str, Meta(description="Stable.", examples=["value_invalid"])]
    request_id: Annotated[str, Meta(description="Quote it when you ask us.", examples=["01KB5P4Z0W3V7H2M9T8Q6R5N4C"])]
    errors: Annotated[list[Fault] | UnsetType, Meta(description="Which fields, where that is known.")] = UNSET


def problem(
    request: Request[Any, Any, Any],
    status: int,
    code: str,
    detail: str,
    *,
    pointer: str | None = None,
    parameter: str | None = None,
) -> Problem:
    title = TITLES[code]
    fault = Fault(pointer=pointer or UNSET, parameter=parameter or UNSET, code=code, detail=detail)
    return Problem(
        type=f"/docs/errors#{code}",
        title=title.zh if speaks_chinese(request.headers.get("accept-language", "")) else title.en,
        status=status,
        detail=detail,
        code=code,
        request_id=get_contextvars().get("request_id", ""),
        errors=[fault] if pointer or parameter else UNSET,
    )


def problem_of(request: Request[Any, Any, Any], failure: PitayaError) -> Problem:
    """An expected failure in its public form."""
    kinds = type(failure).__mro__
    status = next(STATUS[kind] for kind in kinds if kind in STATUS)
    code = failure.code
    if code not in TITLES:
        code = next(
            kind.default_code for kind in kinds if issubclass(kind, PitayaError) and kind.default_code in TITLES
        )
    # What our database says (hosts, constraints) is for the log.
    detail = _BUSY if isinstance(failure, DatabaseUnavailable) else str(failure)
    return problem(request, status, code, detail, pointer=failure.pointer)


def headers_of(failure: PitayaError) -> dict[str, str]:
    if isinstance(failure, Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(failure, InProgress | RateLimited):
        return {"Retry-After": str(failure.retry_after_seconds)}
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if isinstance(failure, RETRYABLE) else {}


def on_failure(request: Request[Any, Any, Any], failure: PitayaError) -> Response[Problem]:
    shown = problem_of(request, failure)
    log.info("request_refused", code=failure.code, shown=shown.code, status=shown.status, reason=str(failure))
    return _answer(shown, headers_of(failure))


def on_bad_request(request: Request[Any, Any, Any], bad: BadRequest) -> Response[Problem]:
    return _answer(problem(request, bad.status, bad.code, str(bad), pointer=bad.pointer, parameter=bad.parameter))


def on_framework_refusal(request: Request[Any, Any, Any], refusal: HTTPException) -> Response[Problem]:
    """What Litestar raises while it routes and reads: an unknown address, a method, a size, a query parameter."""
    if isinstance(refusal, ValidationException):
        return _invalid_parameters(request, refusal)
    if refusal.status_code >= 500:
        if refusal.detail != "client disconnected prematurely":
            return on_bug(request, refusal)
        return _answer(problem(request, 400, "request_incomplete", "the request ended before its body was complete"))
    code, detail = _FRAMEWORK.get(refusal.status_code, ("request_malformed", "this is not a request we understand"))
    status = refusal.status_code if refusal.status_code in _FRAMEWORK else 400
    return _answer(problem(request, status, code, detail), refusal.headers or {})


def on_bug(request: Request[Any, Any, Any], bug: Exception) -> Response[Problem]:
    """Anything unexpected. The log has the text, the caller only the request's id."""
    log.error("request_failed", exc_info=bug)
    return _answer(problem(request, 500, "internal_error", "something unexpected happened; repeating the call is safe"))


def _invalid_parameters(request: Request[Any, Any, Any], refusal: ValidationException) -> Response[Problem]:
    faults = refusal.extra if isinstance(refusal.extra, list) else []
    name, message = next(((str(f.get("key", "")), str(f.get("message", ""))) for f in faults), ("", ""))
    if name == "data" or not name:
        return _answer(problem(request, 400, "body_malformed", "this operation needs a JSON body"))
    return _answer(problem(request, 422, "parameter_invalid", f"{name}: {message}"[:200], parameter=name))


def _answer(shown: Problem, headers: Mapping[str, str] | None = None) -> Response[Problem]:
    return Response(shown, status_code=shown.status, media_type=PROBLEM_JSON, headers=dict(headers or {}))


def speaks_chinese(accept_language: str) -> bool:
    """Whether Chinese is wanted more than English (RFC 9110, 12.5.4). Equal weights: what stands first."""
    best, chinese = 0.0, False
    for part in accept_language[:200].split(","):
        tag, _, weight = part.strip().lower().partition(";q=")
        language = tag.split("-", maxsplit=1)[0]
        q = _weight(weight)
        if language in ("zh", "en") and q > best:
            best, chinese = q, language == "zh"
    return chinese


def _weight(text: str) -> float:
    if not text:
        return 1.0
    head, _, tail = text.partition(".")
    plain = head in ("0", "1") and len(tail) <= 3 and (tail == "" or (tail.isascii() and tail.isdigit()))
    return min(float(text), 1.0) if plain else 0.0


HANDLERS: dict[type[Exception], Any] = {
    PitayaError: on_failure,
    BadRequest: on_bad_request,
    HTTPException: on_framework_refusal,
    Exception: on_bug,
}
