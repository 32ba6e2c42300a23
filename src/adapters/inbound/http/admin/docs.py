"""The OpenAPI documents of people's APIs, beside the merchant API's: /admin/docs, /merchant/docs."""

import typing
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from adapters.inbound.http.admin.guard import CONSOLE_HEADER, Rule, rule_of
from adapters.inbound.http.docs import CSP, Document, SwaggerPage, start_of
from adapters.inbound.http.openapi import Failures, document
from adapters.inbound.http.problems import Problem

_FAILURES: Failures = {
    400: ("The request cannot be read: malformed, mistyped, unknown or missing names.", "field_unknown"),
    401: ("There is no session or token, or it is not valid any more.", "session_invalid"),
    403: ("You do not hold the permission; or a duty or a fresh second factor comes first.", "permission_missing"),
    404: ("No such thing.", "not_found"),
    409: ("The state says no. With Retry-After: the same call is still running, repeat it.", "proposal_decided"),
    413: ("The body is larger than this call takes: 64 KiB, unless it says otherwise.", "body_too_large"),
    415: ("The body is not of the type that this call takes.", "media_type_unsupported"),
    422: ("A value is not allowed.", "value_invalid"),
    429: ("Too many tries. Wait for Retry-After.", "too_many_attempts"),
    500: ("Our fault. Repeating the call is safe.", "internal_error"),
    503: ("Our database or a channel cannot be reached. Repeat the call after Retry-After.", "temporarily_unavailable"),
    504: ("The outcome is not known yet. Repeat the same call after Retry-After.", "outcome_unknown"),
}


def people_docs(
    prefix: str, title: str, version: str, handlers: Sequence[HTTPRouteHandler], description: str
) -> OpenAPIConfig:
    """The document of the API below ``prefix``. Each operation says what it needs of its caller."""
    structs = _structs(handlers)
    rules = {str(handler.operation_id): rule_of(handler) for handler in handlers}

    def completed(schema: dict[str, Any]) -> dict[str, Any]:
        found = document(schema, structs, _FAILURES)
        for item in found["paths"].values():
            for operation in item.values():
                _say_who(operation, rules[operation["operationId"]])
        return found

    root = f"{prefix}/docs"
    return OpenAPIConfig(
        title=title,
        version=version,
        description=description,
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="A session's token (`pty_ss_…`, from `POST …/sessions`), or for machines a service "
                    f"token (`pty_st_…`). With the session in a cookie instead, send `{CONSOLE_HEADER}: 1`.",
                )
            }
        ),
        security=[{"bearer": []}],
        use_handler_docstrings=True,
        openapi_router=Router(
            root,
            route_handlers=[start_of(root)],
            include_in_schema=False,
            response_headers={"Content-Security-Policy": CSP},
        ),
        render_plugins=[SwaggerPage(root, title), Document(completed)],
    )


def _say_who(operation: dict[str, Any], rule: Rule) -> None:
    if rule == Rule():
        operation["security"] = []
        operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "Idempotency-Key"]
        return
    who = f"Needs `{rule.permission}`" if rule.permission else "For everybody who is signed in"
    fresh = ", and a second factor shown within five minutes" if rule.step_up else ""
    operation["description"] = f"{operation['description']}\n\n{who}{fresh}."
    if rule.permission:
        operation["x-permission"] = rule.permission
    operation["x-step-up"] = rule.step_up


def _structs(handlers: Sequence[HTTPRouteHandler]) -> list[type]:
    """Every struct that a handler takes or answers."""
    found: dict[type, None] = {Problem: None}
    for handler in handlers:
        hints = typing.get_type_hints(handler.fn)
        for hint in (hints.get("data"), hints["return"]):
            for kind in (hint, *typing.get_args(hint)):
                if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                    found[kind] = None
    return list(found)
