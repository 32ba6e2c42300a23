"""Bad bytes through a real server and a raw socket: what no HTTP client would send."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.adapters.http.shop import Shop

ROOT = Path(__file__).parents[3]
Answer = tuple[int, str]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("granian") / "log").open("wb")
    command = ["granian", "--interface", "asgi", "--port", str(number), "--workers-kill-timeout", "2"]
    server = subprocess.Popen(
        [sys.executable, "-m", *command, "tests.integration.http.served:app"],
        cwd=ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        _until_live(number, server)
        yield number
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(10)
        log.close()


@pytest.fixture(scope="module")
def key() -> str:
    """The fakes are seeded, so the server's merchant has the same key as ours."""
    return asyncio.run(Shop.open()).merchant.api_key


def _until_live(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if said(port, b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"granian did not start: {server.poll()}")


def said(port: int, request: bytes) -> Answer:
    """Status and whole answer to these bytes. A server may hang up on us while we still send."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65_536):
                answer += chunk
    return int(answer.split(b" ", 2)[1]) if answer else 0, answer.decode("latin-1")


def request(key: str, line: str, *headers: str, body: bytes = b"") -> bytes:
    return (
        "\r\n".join((f"{line} HTTP/1.1", "Host: api", "Connection: close", f"Authorization: Bearer {key}", *headers))
        + "\r\n\r\n"
    ).encode("latin-1") + body


def chunked(size: int) -> bytes:
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    return piece * (size // 65_536) + b"0\r\n\r\n"


def test_an_upload_of_10_mb_is_refused_whether_it_says_its_length_or_not(port: int, key: str) -> None:
    json = "Content-Type: application/json"
    for path in ("/v1/orders", "/v1/webhook_endpoints", "/v1/orders/ord_x/close"):
        line = f"POST {path}"
        long = request(key, line, json, "Content-Length: 10000000", body=b" " * 10_000_000)
        whole = said(port, long)
        pieces = said(port, request(key, line, json, "Transfer-Encoding: chunked", body=chunked(10_000_000)))
        # Whoever is still sending may find the connection reset before it reads the answer.
        assert {whole[0], pieces[0]} <= {413, 0}, (whole, pieces)
    short = said(port, request(key, "POST /v1/orders", json, "Content-Length: 70000", body=b" " * 70_000))
    assert short[0] == 413
    assert "body_too_large" in short[1]


@pytest.mark.parametrize("path", ["%00", "%ff", "%c0%80", "\xff", "a%00b"])
def test_an_address_that_is_not_text_never_reaches_the_database(port: int, key: str, path: str) -> None:
    status, answer = said(port, request(key, f"GET /v1/orders/{path}"))
    assert status == 400, answer


@pytest.mark.parametrize("query", ["cursor=%00", "cursor=%ff", "merchant_order_no=%ed%a0%80"])
def test_neither_does_such_a_query(port: int, key: str, query: str) -> None:
    status, answer = said(port, request(key, f"GET /v1/orders?{query}"))
    assert status == 400, answer
    assert "encoding_invalid" in answer


def test_two_keys_in_two_headers_are_refused(port: int, key: str) -> None:
    status, answer = said(port, request(key, "GET /v1/orders", f"authorization: Bearer {key}"))
    assert (status, "api_key_invalid" in answer) == (401, True)


def test_head_has_the_headers_of_get_and_no_body(port: int, key: str) -> None:
    status, answer = said(port, request(key, "HEAD /v1/orders"))
    head, _, body = answer.partition("\r\n\r\n")
    assert (status, body) == (200, "")
    assert "x-request-id:" in head.lower()


def test_an_order_is_placed_through_it(port: int, key: str) -> None:
    body = '{"merchant_order_no":"A-1","amount":1990,"subject":"咖啡","method":"alipay_qr"}'.encode()
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    status, answer = said(port, request(key, "POST /v1/orders", *headers, body=body))
    assert status == 201, answer
    assert '"type":"qr_code"' in answer
