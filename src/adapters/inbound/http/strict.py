"""Strict reading: what Litestar would bend into shape (setup.md 3.3) is refused before a handler sees it."""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NoReturn, get_args
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.typing import FieldDefinition

from adapters.inbound.http.problems import BadRequest

MAX_BODY = 64 * 1024
MAX_DEPTH = 32

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_FIELD = re.compile(r"field `(?P<name>[^`]*)`")


class StrictRequest(Request[Any, Any, Any]):
    """A request whose ``json()`` is the handler's ``data`` struct, read without any leniency."""

    async def json(self) -> Any:
        media_type, options = self.content_type
        if media_type.lower() != "application/json" or options.get("charset", "utf-8").lower() != "utf-8":
            raise BadRequest("send application/json in UTF-8", "media_type_unsupported", status=415)
        wanted = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        return as_struct(parse(await self.body()), wanted)


def parse(body: bytes) -> Any:
    """JSON as RFC 8259 writes it: UTF-8 without a mark, no key twice, no NaN, no NUL, no half surrogates, not deep."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8", "encoding_invalid") from None
    except RecursionError:
        raise BadRequest(f"the body is nested deeper than {MAX_DEPTH}", "body_malformed") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}"[:200], "body_malformed") from None
    _check(value, MAX_DEPTH)
    return value


def as_struct(value: Any, wanted: Any) -> Any:
    """The value as a struct; 400 for a wrong type or field name, 422 for a value out of its limits."""
    try:
        return msgspec.convert(value, wanted, strict=True)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from None


async def readable(request: Request[Any, Any, Any]) -> None:
    """Refuse addresses that are not UTF-8 or hold U+0000, which PostgreSQL could neither store nor compare.

    Runs before the handler, not as a guard: for each guard Litestar copies its handler, in every request. A coroutine,
    though it awaits nothing: Litestar would give a plain function a thread.
    """
    for part in (request.scope.get("raw_path") or b"", request.scope["query_string"]):
        text = unquote_to_bytes(part)
        try:
            text.decode()
        except UnicodeDecodeError:
            raise BadRequest("the address is not UTF-8", "encoding_invalid") from None
        if b"\x00" in text:
            raise BadRequest("U+0000 is not allowed", "encoding_invalid")
    if "\x00" in request.scope["path"]:
        raise BadRequest("U+0000 is not allowed", "encoding_invalid")


async def check_query(request: Request[Any, Any, Any]) -> None:
    """Refuse what is not readable, and query parameters that stand there twice, that the handler does not know, or
    that it misses; numbers are plain digits."""
    await readable(request)
    fields = _query(request.route_handler)
    seen = set[str]()
    for name, value in request.query_params.multi_items():
        if name not in fields:
            raise BadRequest(f"unknown query parameter {name[:40]!r}", "parameter_unknown", parameter=name[:40])
        if name in seen:
            raise BadRequest(f"{name} stands there twice", "parameter_repeated", parameter=name)
        seen.add(name)
        wanted = fields[name].annotation
        if wanted is int and not (value.isascii() and value.isdigit() and len(value) < 10):
            raise BadRequest(f"{name}: expected a number", "parameter_invalid", status=422, parameter=name)
        # Litestar reads the text "null" as None wherever None is a default.
        if value.lower() == "null" and str not in (wanted, *get_args(wanted)):
            raise BadRequest(f"{name}: null is no value", "parameter_invalid", status=422, parameter=name)
    for name, field in fields.items():
        if name not in seen and not (field.has_default or field.is_optional):
            raise BadRequest(f"{name} is missing", "parameter_invalid", status=422, parameter=name)


@cache
def _query(handler: BaseRouteHandler) -> dict[str, FieldDefinition]:
    """The query's parameters, of the handler and of what it is given: a dependency reads the query as well."""
    given = handler.resolve_dependencies().values()
    signatures = [*(each.parsed_fn_signature for each in given), handler.parsed_fn_signature]
    return {
        name: field
        for signature in signatures
        for name, field in signature.parameters.items()
        if isinstance(field.kwarg_definition, QueryParameter)
    }


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if "\x00" in value or _SURROGATE.search(value):
            raise BadRequest("U+0000 and half surrogates are not allowed", "encoding_invalid")
        return
    if isinstance(value, dict | list):
        if depth == 0:
            raise BadRequest(f"the body is nested deeper than {MAX_DEPTH}", "body_malformed")
        for child in _children(value):
            _check(child, depth - 1)


def _children(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return [*value.keys(), *value.values()] if isinstance(value, dict) else value


def _refusal(message: str) -> BadRequest:
    """msgspec's message in our codes. Its wording is pinned by tests."""
    match = _PLACE.match(message)
    assert match is not None
    what, pointer = match["what"][:200], _pointer(match["path"] or "")
    if what.startswith("Object "):
        code = "field_missing" if what.startswith("Object missing required field") else "field_unknown"
        field = _FIELD.search(what)
        name = field["name"].replace("~", "~0").replace("/", "~1") if field else ""
        return BadRequest(what, code, pointer=f"{pointer}/{name}")
    if what.startswith("Expected `") and ", got `" in what:
        return BadRequest(what, "type_invalid", pointer=pointer)
    code = "currency_unsupported" if pointer == "/currency" else "value_invalid"
    return BadRequest(what, code, status=422, pointer=pointer)


def _pointer(path: str) -> str:
    """``.a.b[0]`` of msgspec as the JSON pointer ``/a/b/0``; inside a map msgspec does not name the key."""
    return re.sub(r"\[(\d+)\]", r"/\1", path.replace("[...]", "")).replace(".", "/")
