"""A sandbox in a process of its own, and a merchant behind it who writes down what he is told."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SRC = Path(__file__).parents[3] / "src"


def new_key() -> tuple[str, str]:
    """A private and a public key as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(port: int, state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m sandbox`, up when this enters and gone when it leaves."""
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--state", str(state)]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(SRC)}, stdout=subprocess.DEVNULL)
    try:
        for _ in range(150):
            assert process.poll() is None, "the sandbox ended before it answered"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).status_code == 200:
                    break
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(5)


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes


@dataclass
class Merchant:
    """A listener for notices; `answers` are used up in order, the last one for ever."""

    port: int = 0
    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, b"success")])
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/notices"

    async def wait_for(self, count: int, seconds: float = 5) -> list[Received]:
        async with asyncio.timeout(seconds):
            while len(self.received) < count:  # noqa: ASYNC110 - an event for each count would be more than it is worth
                await asyncio.sleep(0.02)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.received.append(Received(headers, body))
        status, answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        location = "Location: /elsewhere\r\n" if status == 302 else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{location}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
        await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Merchant]:
    merchant = Merchant()
    server = await asyncio.start_server(merchant.serve, "127.0.0.1", 0)
    merchant.port = server.sockets[0].getsockname()[1]
    async with server:
        yield merchant


@dataclass(frozen=True)
class Control:
    """The control API of a running sandbox."""

    base: str

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = httpx.post(self.base + "/control/" + path, json=body, trust_env=False, timeout=20)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def apost(self, path: str, status: int = 200, **body: Any) -> Any:
        """For calls that wait for a listener in the caller's own loop."""
        return await asyncio.to_thread(self.post, path, status, **body)

    def get(self, path: str, **query: Any) -> Any:
        answer = httpx.get(self.base + "/control/" + path, params=query, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def clear_faults(self) -> None:
        httpx.delete(self.base + "/control/faults", trust_env=False)


def new_number() -> str:
    return "T" + secrets.token_hex(8)
