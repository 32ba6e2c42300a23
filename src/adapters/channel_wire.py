"""What every channel adapter needs at its wire: keys of any shape, loaded once; exchanges that end in size and time."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from application.ports.world import Vault, credential_context
from domain.channels import Access, Credential
from domain.errors import ChannelUnavailable, InvalidRequest, OutcomeUnknown

LIMIT = 1 << 20  # bytes of an answer; real ones have a few kilobytes
CACHED = 1_000  # credentials whose keys are kept loaded
BITS = 2048  # the least that either channel takes

_ARMOUR = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*)-----END \1-----", re.DOTALL)

T = TypeVar("T")


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def private_key(source: Mapping[str, object], name: str) -> RSAPrivateKey:
    """An RSA private key from PEM (PKCS#1 or PKCS#8, any line ends) or from the bare base64 of either."""
    try:
        key = load_der_private_key(_der(source, name), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unusable(name, "not a private key") from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < BITS:
        raise unusable(name, f"not an RSA key of at least {BITS} bits")
    return key


def public_key(source: Mapping[str, object], name: str) -> RSAPublicKey:
    """An RSA public key from PEM or from the bare base64 that a channel's console shows."""
    try:
        key = load_der_public_key(_der(source, name))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unusable(name, "not a public key") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < BITS:
        raise unusable(name, f"not an RSA key of at least {BITS} bits")
    return key


def unsealed(vault: Vault, credential: Credential) -> Mapping[str, object]:
    """The secret part of a credential."""
    try:
        content = json.loads(vault.open(credential_context(credential.id), credential.sealed))
    except ValueError as error:
        raise InvalidRequest("the credential does not open", code="credential_unreadable") from error
    if not isinstance(content, dict):
        raise InvalidRequest("the credential is not an object", code="credential_unreadable")
    return content


def unusable(name: str, why: str) -> InvalidRequest:
    """The refusal of one field. Never the text itself: it may be a private key in the wrong field."""
    return InvalidRequest(f"{name}: {why}", code=f"{name}_invalid", pointer=f"/{name}")


class LoadedOnce(Generic[T]):
    """What ``load`` makes of a credential for a payee, kept until the credential's next version.

    Parsing a key takes up to 0.1 s, so it happens in a thread, and once for a burst of first calls. A credential that
    does not work is our fault, not that of whoever calls now, and nothing has been sent: ChannelUnavailable.
    """

    def __init__(self, load: Callable[[Credential, str], T]) -> None:
        self._load = load
        self._loaded: dict[tuple[object, ...], T] = {}
        self._loading = asyncio.Lock()

    async def of(self, access: Access) -> T:
        credential, payee = access.credential, access.account.payee
        key = (credential.id, credential.version, payee, access.account.mode)
        if key not in self._loaded:
            async with self._loading:
                if key not in self._loaded:
                    try:
                        loaded = await asyncio.to_thread(self._load, credential, payee)
                    except InvalidRequest as error:
                        raise ChannelUnavailable(str(error), code=error.code) from error
                    self._loaded[key] = loaded
                    if len(self._loaded) > CACHED:
                        del self._loaded[next(iter(self._loaded))]
        return self._loaded[key]


# ── Exchanges ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Unreadable(Exception):
    """Rightly signed, but not what the channel's documents describe. ``code`` says in what."""

    def __init__(self, message: str, code: str = "answer_invalid") -> None:
        super().__init__(message)
        self.code = code


class Transport(httpx.AsyncHTTPTransport):
    """httpx's own, which stumbles over a connection that is reset in the very moment it is made: on uvloop it has no
    socket any more, and anyio asks that for its address (seen with uvloop 0.23, anyio 4.16). Nothing has been sent."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AttributeError as stumbled:
            if (stumbled.obj, stumbled.name) != (None, "getpeername"):
                raise
            raise httpx.ConnectError("reset while connecting", request=request) from stumbled


@asynccontextmanager
async def in_time(channel: str, seconds: float) -> AsyncIterator[None]:
    """A total deadline over everything inside. Raises OutcomeUnknown."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise OutcomeUnknown(f"{channel} gave no answer within {seconds:g} s", code="deadline") from error


async def exchange(
    client: httpx.AsyncClient,
    channel: str,
    verb: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: str | bytes | None,
) -> tuple[httpx.Response, bytes]:
    """Raises ChannelUnavailable while nothing can have been sent, OutcomeUnknown as soon as something may have."""
    # No compression: small answers do not need it, and none can then unfold into a large one.
    headers = {**headers, "Accept-Encoding": "identity"}
    try:
        async with client.stream(verb, url, content=content, headers=headers) as response:
            return response, await _read(response, channel)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
        raise ChannelUnavailable(f"{channel} cannot be reached: {type(error).__name__}") from error
    except httpx.RequestError as error:
        raise OutcomeUnknown(f"no whole answer from {channel}: {type(error).__name__}") from error


async def _read(response: httpx.Response, channel: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LIMIT:
            raise OutcomeUnknown(f"{channel}'s answer does not end", code="answer_too_large")
    return bytes(body)


def _der(source: Mapping[str, object], name: str) -> bytes:
    text = source.get(name)
    if not isinstance(text, str) or not text.strip():
        raise unusable(name, "missing")
    armoured = _ARMOUR.fullmatch(text.strip())
    return base64.b64decode("".join((armoured[2] if armoured else text).split()), validate=True)
