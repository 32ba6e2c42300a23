"""Idempotency-Key: the header, what a request is compared by, and the stored answer."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from litestar import Request, Response

from adapters.inbound.http.problems import PROBLEM_JSON, RETRYABLE, BadRequest, problem_of
from application.answer_once import AnswerOnce
from domain.errors import PitayaError
from domain.idempotency import IdempotencyKey
from domain.merchants import Caller

# An sf-string (draft-ietf-httpapi-idempotency-key-header) or the bare text that most clients send.
_QUOTED = re.compile(r'"((?:[!#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-~][!-~]*")
MAX_KEY = 255


async def once(
    answer_once: AnswerOnce,
    request: Request[Any, Any, Any],
    caller: Caller,
    body: msgspec.Struct | None,
    run: Callable[[], Awaitable[msgspec.Struct]],
    *,
    status: int = 201,
    shown_once: Sequence[str] = (),
    compared: bool = True,
) -> Response[Any]:
    """Run it, or answer what the first call with this key was answered, byte for byte.

    Successes and final refusals are kept. What is safe to repeat is raised, so that the key is free again. Fields of
    the answer named in ``shown_once`` are secret: they are not kept, and a repetition has null in their place. A body
    that holds a password is not ``compared``: what requests are compared by is kept, and is quick to compute for a
    guess.
    """
    shown: list[bytes] = []

    async def rendered() -> tuple[int, bytes]:
        try:
            answer = msgspec.json.encode(await run())
            shown.append(answer)
            return status, _without(answer, shown_once)
        except PitayaError as failure:
            if isinstance(failure, RETRYABLE):
                raise
            problem = problem_of(request, failure)
            return problem.status, msgspec.json.encode(problem)

    if body is None and await request.body() not in (b"", b"{}"):
        raise BadRequest("this operation takes no body", "body_unexpected")
    answered = await answer_once(_key(request, caller, body if compared else None), rendered)
    return Response(
        shown[0] if shown and not answered.replayed else answered.body,
        status_code=answered.status,
        media_type="application/json" if answered.status < 400 else PROBLEM_JSON,
        headers={"Idempotent-Replayed": "true"} if answered.replayed else {},
    )


def _without(answer: bytes, secrets: Sequence[str]) -> bytes:
    if not secrets:
        return answer
    kept = msgspec.json.decode(answer)
    return msgspec.json.encode({name: None if name in secrets else value for name, value in kept.items()})


def _key(request: Request[Any, Any, Any], caller: Caller, body: msgspec.Struct | None) -> IdempotencyKey | None:
    headers = request.headers.getall("idempotency-key", [])
    if not headers:
        return None
    if len(headers) > 1:
        raise BadRequest("more than one Idempotency-Key", "idempotency_key_invalid")
    # Compared as we understood it: spaces, the order of keys and spelled-out defaults make no other request.
    understood = msgspec.json.encode(body, order="deterministic") if body is not None else b""
    digest = hashlib.sha256(b"\n".join((request.method.encode(), request.url.path.encode(), understood))).digest()
    return IdempotencyKey(
        merchant_id=caller.merchant_id, mode=caller.mode, key=parse_key(headers[0]), fingerprint=digest
    )


def parse_key(header: str) -> str:
    """1 to 255 visible ASCII characters, bare or as a quoted string; both mean the same key."""
    text = header.strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not _BARE.fullmatch(text):
        text = ""
    if not 1 <= len(text) <= MAX_KEY:
        raise BadRequest("an Idempotency-Key has 1 to 255 visible ASCII characters", "idempotency_key_invalid")
    return text
