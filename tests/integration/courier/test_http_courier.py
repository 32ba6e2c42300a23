"""The courier against real sockets: merchants who answer well, badly, never, or with too much."""

import asyncio
import base64
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.outbound.courier.http_courier import HttpCourier, encode, sign
from domain.channels import Mode
from domain.events import Event
from domain.webhooks import encode_secret

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)  # of deliveries whose signature nobody verifies
SECRET, PREVIOUS = bytes(range(32)), bytes(range(32, 64))
EVENT = Event(
    id="evt_01ARYZ6S41ABCDEFGHJKMNPQRS",
    type="order.paid",
    object_id="ord_01ARYZ6S41ABCDEFGHJKMNPQRS",
    merchant_id="mch_1",
    mode=Mode.TEST,
    at=NOW,
    data={"id": "ord_01ARYZ6S41ABCDEFGHJKMNPQRS", "subject": '火龙果 <&> "x" \u2028', "amount": 100},
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Receiver:
    """A merchant's server made by hand, so that it can break any rule."""

    behave: Behaviour
    url: str = ""
    connections: int = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await _head(reader):
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                body = await reader.readexactly(int(headers["Content-Length"]))
                self.requests.append((headers, body))
                await self.behave(writer)
        except OSError:
            pass
        finally:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""


@asynccontextmanager
async def receiver(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    it = Receiver(behave)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    it.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"
    try:
        yield it
    finally:
        server.close()


def saying(answer: bytes) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return behave


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def closing(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resetting(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def dripping_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def dripping_head(writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)


@pytest.fixture
async def courier() -> AsyncIterator[HttpCourier]:
    async with HttpCourier.open(allow_private=True, deadline=5) as courier:
        yield courier


@pytest.fixture
async def hasty() -> AsyncIterator[HttpCourier]:
    async with HttpCourier.open(allow_private=True, deadline=0.3) as courier:
        yield courier


# ── What is sent ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_independent_library_verifies_what_arrives(courier: HttpCourier) -> None:
    async with receiver(saying(OK)) as merchant:
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=datetime.now(UTC))
    assert (answer.accepted, answer.status_code, answer.body, answer.error) == (True, 200, "ok", None)
    ((headers, body),) = merchant.requests
    seen = Webhook(encode_secret(SECRET)).verify(body, headers)
    assert seen == json.loads(json.dumps(EVENT.body()))
    assert headers["webhook-id"] == EVENT.id
    assert headers["Content-Type"] == "application/json"


async def test_during_a_rotation_both_secrets_verify_and_no_other(courier: HttpCourier) -> None:
    async with receiver(saying(OK)) as merchant:
        await courier.deliver(merchant.url, EVENT, [SECRET, PREVIOUS], now=datetime.now(UTC))
    ((headers, body),) = merchant.requests
    for secret in (SECRET, PREVIOUS):
        Webhook(encode_secret(secret)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(encode_secret(b"another" * 4)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(encode_secret(SECRET)).verify(body + b" ", headers)


async def test_the_bytes_on_the_wire_are_those_of_encode(courier: HttpCourier) -> None:
    async with receiver(saying(OK)) as merchant:
        await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert merchant.requests[0][1] == encode(EVENT)
    assert "火龙果".encode() in encode(EVENT)
    assert b'"amount":100' in encode(EVENT)


async def test_every_try_of_an_event_has_one_id_and_its_own_date(courier: HttpCourier) -> None:
    async with receiver(saying(OK)) as merchant:
        for minute in range(3):
            await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW + timedelta(minutes=minute))
    assert {headers["webhook-id"] for headers, _ in merchant.requests} == {EVENT.id}
    assert len({headers["webhook-timestamp"] for headers, _ in merchant.requests}) == 3


async def test_a_cookie_is_never_sent_back(courier: HttpCourier) -> None:
    async with receiver(saying(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")) as merchant:
        for _ in range(2):
            await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert all("Cookie" not in headers for headers, _ in merchant.requests)
    assert merchant.connections == 1  # and the connection is used again


async def test_a_proxy_named_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver(saying(OK)) as merchant, receiver(saying(OK)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with HttpCourier.open(allow_private=True) as courier:
            assert (await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)).accepted
    assert (merchant.connections, proxy.connections) == (1, 0)


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [204, 299])
async def test_any_2xx_is_accepted(courier: HttpCourier, status: int) -> None:
    async with receiver(saying(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())) as merchant:
        assert (await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)).accepted


@pytest.mark.parametrize("status", [300, 400, 404, 410, 500, 503])
async def test_any_other_status_is_reported_as_it_is(courier: HttpCourier, status: int) -> None:
    async with receiver(saying(f"HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\nno!".encode())) as merchant:
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert (answer.accepted, answer.status_code, answer.body, answer.error) == (False, status, "no!", None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(courier: HttpCourier, status: int) -> None:
    async with receiver(saying(OK)) as elsewhere:
        redirect = f"HTTP/1.1 {status} X\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode()
        async with receiver(saying(redirect)) as merchant:
            answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert (answer.status_code, answer.accepted, elsewhere.connections) == (status, False, 0)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "120", 120),
        (503, "0", 0),
        (429, "3600", 3600),
        (429, "3601", 3600),
        (429, "9" * 5000, 3600),
        (503, format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (503, format_datetime(NOW + timedelta(days=9), usegmt=True), 3600),
        (429, format_datetime(NOW - timedelta(days=9), usegmt=True), 0),
        (429, "-1", None),
        (429, "soon", None),
        (429, "①", None),
        (429, "Wed, 21 Oct 2015 07:28:00 -0000", None),
        (500, "120", None),
        (200, "120", None),
    ],
)
async def test_retry_after_is_heeded_with_429_and_503_for_an_hour_at_most(
    courier: HttpCourier, status: int, header: str, seconds: int | None
) -> None:
    answer_text = f"HTTP/1.1 {status} X\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode()
    async with receiver(saying(answer_text)) as merchant:
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert answer.retry_after == (None if seconds is None else timedelta(seconds=seconds))


async def test_an_excerpt_is_short_and_has_no_nul(courier: HttpCourier) -> None:
    body = b"\x00<h1>\xff" + "错".encode() * 2000
    async with receiver(saying(b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body)) as merchant:
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert answer.body.startswith("<h1>\ufffd错错")
    assert "\x00" not in answer.body
    assert len(answer.body) <= 1024


async def test_a_compressed_answer_is_never_unpacked(courier: HttpCourier) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
    async with receiver(saying(head + b"bomb")) as merchant:
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert (answer.status_code, answer.body) == (200, "bomb")


# ── Hostile receivers ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_ten_gigabytes_are_not_read(courier: HttpCourier) -> None:
    async with receiver(endless) as merchant:
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert (answer.accepted, answer.body) == (True, "x" * 1024)
    assert answer.duration_ms < 2000


async def test_a_body_that_drips_costs_the_deadline_and_the_status_stands(hasty: HttpCourier) -> None:
    async with receiver(dripping_body) as merchant:
        answer = await hasty.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert answer.accepted
    assert set(answer.body) == {"x"}
    assert 300 <= answer.duration_ms < 1500


@pytest.mark.parametrize("behave", [silent, dripping_head])
async def test_whoever_does_not_finish_a_status_line_in_time_has_not_answered(
    hasty: HttpCourier, behave: Behaviour
) -> None:
    async with receiver(behave) as merchant:
        answer = await hasty.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert answer.status_code is None
    assert (answer.error or "").startswith("timeout:")
    assert 300 <= answer.duration_ms < 1500


async def test_a_server_that_never_accepts_costs_the_deadline_only(hasty: HttpCourier) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        answers = await asyncio.gather(*(hasty.deliver(url, EVENT, [SECRET], now=NOW) for _ in range(5)))
    assert {(answer.error or "").split(":")[0] for answer in answers} == {"timeout"}
    assert all(answer.duration_ms < 1500 for answer in answers)


async def test_a_thousand_headers_are_not_taken(courier: HttpCourier) -> None:
    headers = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 100) for i in range(1000))
    async with receiver(saying(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 0\r\n\r\n")) as merchant:
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert (answer.error or "").startswith("bad_response:")


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (closing, "connection_closed"),
        (resetting, "connection_closed"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "bad_response"),
        (saying(b"\x00" * 1000), "bad_response"),
        (saying(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"), "bad_response"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "bad_response"),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "bad_response"),
    ],
)
async def test_what_is_no_answer_has_a_stable_code(courier: HttpCourier, behave: Behaviour, code: str) -> None:
    async with receiver(behave) as merchant:
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert answer.status_code is None
    assert (answer.error or "").split(":")[0] == code


async def test_a_torn_body_does_not_unsay_the_status(courier: HttpCourier) -> None:
    async def behave(writer: asyncio.StreamWriter) -> None:
        await saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")(writer)
        writer.close()

    async with receiver(behave) as merchant:
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert (answer.status_code, answer.error, answer.body) == (200, None, "half")


async def test_nobody_listening_is_named(courier: HttpCourier) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        answer = await courier.deliver(f"http://127.0.0.1:{nobody.getsockname()[1]}/", EVENT, [SECRET], now=NOW)
    assert (answer.error or "").startswith("connection_refused:")


async def test_hundreds_who_hang_do_not_keep_out_the_others() -> None:
    async with (
        HttpCourier.open(allow_private=True, deadline=30) as courier,
        receiver(silent) as hanging,
        receiver(saying(OK)) as healthy,
    ):
        stuck = [asyncio.create_task(courier.deliver(hanging.url, EVENT, [SECRET], now=NOW)) for _ in range(300)]
        await until(lambda: hanging.connections == 300)
        answer = await courier.deliver(healthy.url, EVENT, [SECRET], now=NOW)
        assert answer.accepted
        assert answer.duration_ms < 1000
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def certificate(folder: Path, name: str, days: int) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a self-signed certificate, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.now(UTC) - timedelta(days=30)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30 + days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=pem)


async def test_a_trusted_certificate_is_accepted(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path, "127.0.0.1", 30)
    async with receiver(saying(OK), server) as merchant, HttpCourier.open(allow_private=True, tls=trusting) as courier:
        assert (await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)).accepted


@pytest.mark.parametrize(
    ("name", "days", "trusted"), [("127.0.0.1", 30, False), ("127.0.0.2", 30, True), ("127.0.0.1", -1, True)]
)
async def test_a_certificate_unknown_wrong_or_expired_is_refused_before_anything_is_sent(
    tmp_path: Path, name: str, days: int, trusted: bool
) -> None:
    server, trusting = certificate(tmp_path, name, days)
    async with (
        receiver(saying(OK), server) as merchant,
        HttpCourier.open(allow_private=True, tls=trusting if trusted else None) as courier,
    ):
        answer = await courier.deliver(merchant.url, EVENT, [SECRET], now=NOW)
    assert (answer.error or "").startswith("tls_error:")
    assert merchant.requests == []


async def test_a_server_without_tls_is_named(courier: HttpCourier) -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 What?\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    answer = await courier.deliver(url, EVENT, [SECRET], now=NOW)
    server.close()
    assert (answer.error or "").startswith("tls_error:")


# ── Server-side request forgery ──────────────────────────────────────────────────────────────────────────────────────


async def open_port() -> tuple[asyncio.Server, list[int], int]:
    """A listener on every address of this machine, and the count of those who came."""
    came: list[int] = []

    def arrived(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        writer.close()

    server = await asyncio.start_server(arrived, None, 0, family=socket.AF_INET)
    return server, came, server.sockets[0].getsockname()[1]


async def test_a_name_that_was_public_and_is_private_now_gets_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    server, came, port = await open_port()
    monkeypatch.setattr("adapters.outbound.courier.guard.PORTS", frozenset({port}))
    asked: list[str] = []

    def rebinding(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["198.41.0.4"] if len(asked) == 1 else ["127.0.0.1"]

    async with HttpCourier.open(deadline=0.2, allow_http=True, lookup=rebinding) as courier:
        url = f"http://shop.example:{port}/"
        first = await courier.deliver(url, EVENT, [SECRET], now=NOW)
        second = await courier.deliver(url, EVENT, [SECRET], now=NOW)
    server.close()
    assert len(asked) == 2, "the name is looked up for every delivery"
    assert not (first.error or "").startswith("blocked_address")  # public: tried, though nobody is there
    assert (second.error or "").startswith("blocked_address:")
    assert came == []


async def test_a_name_with_a_private_address_behind_a_public_one_gets_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, came, port = await open_port()
    monkeypatch.setattr("adapters.outbound.courier.guard.PORTS", frozenset({port}))
    async with HttpCourier.open(deadline=1, allow_http=True, lookup=lambda *_: ["198.41.0.4", "127.0.0.1"]) as courier:
        answer = await courier.deliver(f"http://shop.example:{port}/", EVENT, [SECRET], now=NOW)
    server.close()
    assert (answer.error or "").startswith("blocked_address:")
    assert "127.0.0.1" not in (answer.error or "")
    assert came == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f000001", "localhost"]
)
async def test_no_spelling_of_this_machine_gets_a_connection(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    server, came, port = await open_port()
    monkeypatch.setattr("adapters.outbound.courier.guard.PORTS", frozenset({port}))
    async with HttpCourier.open(deadline=1, allow_http=True) as courier:
        answer = await courier.deliver(f"http://{host}:{port}/", EVENT, [SECRET], now=NOW)
    server.close()
    assert answer.error is not None
    assert came == []


async def test_an_address_literal_is_stopped_at_the_socket_even_if_the_url_was_never_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, came, port = await open_port()
    async with HttpCourier.open(deadline=1, allow_http=True) as courier:
        monkeypatch.setattr("adapters.outbound.courier.http_courier.parse_url", lambda url, **_: url)
        answer = await courier.deliver(f"http://127.0.0.1:{port}/", EVENT, [SECRET], now=NOW)
    server.close()
    assert (answer.error or "").startswith("blocked_address:")
    assert came == []


async def test_a_url_that_is_none_is_an_answer_too(courier: HttpCourier) -> None:
    answer = await courier.deliver("gopher://x", EVENT, [SECRET], now=NOW)
    assert (answer.error or "").startswith("url_invalid:")


async def test_a_name_without_an_address_is_named() -> None:
    def unknown(_: str, __: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async with HttpCourier.open(lookup=unknown) as courier:
        answer = await courier.deliver("https://shop.example/", EVENT, [SECRET], now=NOW)
    assert (answer.error or "").startswith("dns_error:")


async def test_a_name_server_that_hangs_costs_the_deadline_only() -> None:
    def slow(_: str, __: int) -> list[str]:
        time.sleep(1)
        return ["198.41.0.4"]

    async with HttpCourier.open(deadline=0.3, lookup=slow) as courier:
        answer = await courier.deliver("https://shop.example/", EVENT, [SECRET], now=NOW)
    assert (answer.error or "").startswith("timeout:")
    assert answer.duration_ms < 900


def test_signatures_are_those_of_the_specification() -> None:
    # The example in the reference libraries' own tests.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
