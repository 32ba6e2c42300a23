"""What Litestar's OpenAPI document lacks: closed structs, problem+json answers, the headers that every call knows."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adapters.inbound.http import (
    balance_views,
    bodies,
    code_views,
    invoice_views,
    refund_views,
    report_views,
    settlement_views,
    share_views,
    statement_views,
    views,
)
from adapters.inbound.http.problems import PROBLEM_JSON, Problem

_STRUCTS = (
    bodies.NewOrder,
    bodies.NewAttempt,
    bodies.NewPayer,
    bodies.NewCode,
    bodies.NewEndpoint,
    bodies.ResendMissed,
    bodies.NewKey,
    bodies.RollKey,
    views.OrderView,
    views.OrderPage,
    views.AttemptView,
    views.PayerView,
    code_views.CodeView,
    code_views.CodeList,
    balance_views.BalanceList,
    balance_views.TransferPage,
    bodies.NewRefund,
    refund_views.RefundView,
    refund_views.RefundList,
    report_views.OwnReport,
    share_views.NewShare,
    share_views.ShareView,
    share_views.ShareList,
    share_views.ReceiverList,
    invoice_views.InvoiceList,
    settlement_views.SettlementView,
    settlement_views.SettlementPage,
    settlement_views.NewSettlement,
    statement_views.StatementView,
    statement_views.StatementPage,
    views.EventPage,
    views.DeliveryList,
    views.DeliveryLog,
    views.ListedDelivery,
    views.DeliveryDetail,
    views.Resent,
    views.TestSent,
    views.EndpointView,
    views.EndpointList,
    views.SecretView,
    views.KeyView,
    views.MadeKeyView,
    views.KeyList,
    Problem,
)
Failures = Mapping[int, tuple[str, str]]  # status: what it means, an example's code
_FAILURES: Failures = {
    400: ("The request cannot be read: malformed, mistyped, unknown or missing names.", "field_unknown"),
    401: ("The API key is missing or not valid.", "api_key_invalid"),
    403: ("The API key lacks the scope that this call needs.", "scope_missing"),
    404: ("No such thing, or not yours, or of the other mode.", "not_found"),
    409: ("The state says no. With Retry-After: the same call is still running, repeat it.", "order_paid"),
    413: ("The body is larger than 64 KiB.", "body_too_large"),
    415: ("The body is not application/json.", "media_type_unsupported"),
    422: ("A value is not allowed, or the channel refused.", "value_invalid"),
    500: ("Our fault. Repeating the call is safe.", "internal_error"),
    503: ("The channel or our database cannot be reached. Repeat the call after Retry-After.", "channel_unavailable"),
    504: ("The outcome is not known yet. Repeat the same call after Retry-After.", "outcome_unknown"),
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeat a call with the same key and body and it happens once, with the same answer "
    "(`Idempotent-Replayed: true`). Kept for 7 days. Bare or quoted.",
    "schema": {"type": "string", "pattern": "^[!#-~][!-~]*$", "minLength": 1, "maxLength": 255},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
_REQUEST_ID = {"X-Request-Id": {"description": "Quote it when you ask us.", "schema": {"type": "string"}}}


def document(
    schema: dict[str, Any], structs: Sequence[type] = _STRUCTS, failures: Failures = _FAILURES
) -> dict[str, Any]:
    """Litestar's document, completed. The schemas are msgspec's own: what is documented is what is checked."""
    schema = copy.deepcopy(schema)
    _, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    schema["components"]["schemas"] = components
    schema["components"]["responses"] = {
        f"Problem{status}": _failure(status, *failure) for status, failure in failures.items()
    }
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            _complete(path, method, operation, failures)
            for body in (operation.get("requestBody", {}), *operation["responses"].values()):
                for content in body.get("content", {}).values():
                    content["example"] = _example(content["schema"], components)
    return schema


def _example(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """An example put together from the fields' own."""
    for word in ("examples", "enum"):
        if word in schema:
            return schema[word][0]
    if "$ref" in schema:
        return _example(components[schema["$ref"].rpartition("/")[2]], components)
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], components)
    if schema.get("type") == "array":
        return [_example(schema["items"], components)]
    if schema.get("type", "string") == "string" and "properties" not in schema:
        return "…"  # a file
    assert "properties" in schema, f"no example for {schema}"
    return {name: _example(field, components) for name, field in schema["properties"].items()}


def _complete(path: str, method: str, operation: dict[str, Any], failures: Failures) -> None:
    responses = {status: answer for status, answer in operation["responses"].items() if status < "400"}
    for answer in responses.values():
        answer["headers"] = _REQUEST_ID | ({"Idempotent-Replayed": _REPLAYED} if method == "post" else {})
    for status in _statuses(path, method, operation, failures):
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    operation["responses"] = responses
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        _plain(parameter)
    if method == "post":
        parameters.append(_IDEMPOTENCY_KEY)


_REPLAYED = {"description": "`true` when this is a stored answer.", "schema": {"type": "string", "const": "true"}}


def _statuses(path: str, method: str, operation: dict[str, Any], failures: Failures) -> list[int]:
    statuses = {400, 401, 403, 422, 500, 503}
    if "{" in path:
        statuses.add(404)
    if method != "get":
        statuses |= {404, 409, 413, 504}
    if 429 in failures:
        statuses.add(429)
    if "requestBody" in operation:
        statuses.add(415)
    return sorted(statuses)


def _plain(parameter: dict[str, Any]) -> None:
    """A query has no null: a parameter is there or it is not."""
    for word in ("allowEmptyValue", "allowReserved", "deprecated"):
        parameter.pop(word, None)
    choices = parameter["schema"].pop("oneOf", None)
    if choices:
        real = next(choice for choice in choices if choice.get("type") != "null")
        parameter["schema"] = parameter["schema"] | real
        parameter["schema"].pop("default", None)


def _failure(status: int, meaning: str, code: str) -> dict[str, Any]:
    example = {
        "type": f"/docs/errors#{code}",
        "title": "…",
        "status": status,
        "detail": "…",
        "code": code,
        "request_id": "4f0c2a1e9b7d4c6f8a3e5d7c9b1a0f2e",
    }
    headers: dict[str, Any] = dict(_REQUEST_ID)
    if status in (409, 429, 503, 504):
        headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "integer"}}
    if status == 401:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    return {
        "description": meaning,
        "headers": headers,
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }
