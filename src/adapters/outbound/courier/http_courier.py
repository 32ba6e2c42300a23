"""HttpCourier: posts notifications by Standard Webhooks 1.0 and reports what came of it, in bounded time and space."""

import asyncio
import base64
import hmac
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Self

import aiohttp
import msgspec

from adapters.outbound.courier.guard import (
    BlockedAddress,
    GuardedResolver,
    Lookup,
    guarded_connector,
    parse_url,
    system_lookup,
)
from domain.errors import InvalidRequest
from domain.events import Event
from domain.notifications import LONGEST_RETRY_AFTER, Answer

DEADLINE = 15.0  # seconds for everything: name, connection, TLS, request, answer
MOST_READ = 64 * 1024  # bytes of an answer that are read, so that a short one leaves the connection usable
MOST_KEPT = 1024  # characters of it that are kept for people
# Shorter than common servers keep idle connections, so that we never post into one that is just being closed.
KEEPALIVE = 1.5


class HttpCourier:
    """Posts one event to one URL.

    The status line is the answer: a body that is endless, slow or torn changes nothing about it and is only an excerpt
    for people. Where there was no status, ``Answer.error`` is a stable code, a colon, and a sentence for people:
    url_invalid, blocked_address, dns_error, connection_refused, connection_failed, connection_closed, tls_error,
    bad_response or timeout. Redirects are not followed: a 3xx is an answer like any other, and no success.
    """

    def __init__(
        self, session: aiohttp.ClientSession, *, allow_private: bool, allow_http: bool, deadline: float
    ) -> None:
        self._session = session
        self._allow_private = allow_private
        self._allow_http = allow_http
        self._deadline = deadline

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        allow_private: bool = False,
        allow_http: bool = False,
        deadline: float = DEADLINE,
        lookup: Lookup = system_lookup,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[Self]:
        """A courier with its connections, all guarded. ``tls``: whom to trust instead of the system's authorities."""
        resolver = GuardedResolver(allow_private=allow_private, lookup=lookup)
        connector = guarded_connector(resolver=resolver, allow_private=allow_private, keepalive=KEEPALIVE, tls=tls)
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # ours covers everything
            trust_env=False,
            auto_decompress=False,  # or a few kilobytes could become a gigabyte
            headers={"User-Agent": "Pitaya/1", "Accept-Encoding": "identity", "Content-Type": "application/json"},
        )
        try:
            async with session:
                yield cls(session, allow_private=allow_private, allow_http=allow_http, deadline=deadline)
        finally:
            await resolver.close()

    async def deliver(self, url: str, event: Event, secrets: Sequence[bytes], *, now: datetime) -> Answer:
        """Post the event, signed by each of the secrets. ``now`` is what the signature is dated with."""
        started = time.monotonic()
        try:
            target = parse_url(url, allow_private=self._allow_private, allow_http=self._allow_http)
        except InvalidRequest as refused:
            return Answer(error=f"url_invalid: {refused}")
        body = encode(event)
        headers = sign(event.id, int(now.timestamp()), body, secrets)
        response, excerpt, failure = None, bytearray(), None
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._session.post(target, data=body, headers=headers, allow_redirects=False)
                await _read(response, excerpt)
        except (aiohttp.ClientError, OSError) as error:
            failure = _explain(error)
        finally:
            if response is not None:
                response.close()
        took = round((time.monotonic() - started) * 1000)
        if response is None:
            return Answer(error=failure, duration_ms=took)
        wait = _retry_after(response, now)
        return Answer(status_code=response.status, body=_text(excerpt), retry_after=wait, duration_ms=took)


def encode(event: Event) -> bytes:
    """The body: compact JSON in UTF-8. These bytes are signed and these bytes are sent."""
    return msgspec.json.encode(event.body())


def sign(id: str, timestamp: int, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: HMAC-SHA256 over ``id.timestamp.body``, one signature for each secret."""
    signed = f"{id}.{timestamp}.".encode() + body
    digests = (hmac.digest(secret, signed, "sha256") for secret in secrets)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
    }


async def _read(response: aiohttp.ClientResponse, excerpt: bytearray) -> None:
    """Fills the excerpt as it comes, so that what came before a break is kept."""
    read, content = 0, response.content
    while read < MOST_READ and not content.at_eof():
        chunk = await content.readany()
        read += len(chunk)
        excerpt += chunk[: MOST_KEPT - len(excerpt)]


def _text(excerpt: bytearray) -> str:
    # PostgreSQL's text holds no NUL.
    return excerpt.decode(errors="replace").replace("\x00", "")


def _retry_after(response: aiohttp.ClientResponse, now: datetime) -> timedelta | None:
    """RFC 9110, 10.2.3: seconds or a date. Heeded with 429 and 503, for at most an hour."""
    if response.status not in (429, 503) or not (text := response.headers.get("Retry-After", "")):
        return None
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), 3600))
    else:
        try:
            wait = parsedate_to_datetime(text) - now
        except (ValueError, TypeError):  # no date, or one without a zone
            return None
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


def _explain(error: aiohttp.ClientError | OSError) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match error, cause:
        case TimeoutError(), _:
            return "timeout: no answer in time"
        case _, BlockedAddress():
            return f"blocked_address: {cause}"
        case aiohttp.ClientConnectorCertificateError(), _:
            reason = getattr(error.certificate_error, "verify_message", "") or "not trusted"
            return f"tls_error: the server's certificate was refused: {reason}"
        case aiohttp.ClientSSLError(), _:
            return "tls_error: no TLS connection could be made"
        case aiohttp.ClientConnectorDNSError(), _:
            return "dns_error: the host's name has no address"
        case _, ConnectionRefusedError():
            return "connection_refused: nothing listens there"
        case aiohttp.ClientConnectorError(), _:
            return "connection_failed: the host cannot be reached"
        case ((aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError()), _):
            return "connection_closed: the connection was closed before an answer"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError(), _:
            return "bad_response: the answer is not valid HTTP"
    return "connection_failed: the request could not be made"
