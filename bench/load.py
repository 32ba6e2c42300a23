"""A load client that costs little: requests made beforehand, raw sockets, no HTTP library in between."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import uvloop

CONNECTIONS = 16
WITHIN = 120.0  # seconds for all of it


@dataclass(slots=True)
class Run:
    """What came of it. ``latencies`` and ``seconds`` in seconds; ``cpu`` is this client's own, in all."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[bytes] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def post(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """One request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def send(port: int, requests: Sequence[bytes], *, rate: float | None = None) -> Run:
    """Every request once, on CONNECTIONS keep-alive connections. Raises ValueError for an answer that is not 2xx.

    Without ``rate`` each connection sends as soon as it has its answer. With it, requests are due so many a second,
    and their latency counts from when they were due, so that waiting for a busy server is not overlooked.
    """
    run = Run()
    began, cpu = time.perf_counter(), time.process_time()
    uvloop.run(_send(port, iter(enumerate(requests)), run, rate))
    run.seconds, run.cpu = time.perf_counter() - began, time.process_time() - cpu
    bad = {status: count for status, count in run.statuses.items() if not status.startswith(b"2")}
    if bad or len(run.latencies) != len(requests):
        raise ValueError(f"{len(run.latencies)} of {len(requests)} answered, refused: {bad}")
    return run


async def _send(port: int, requests: Iterator[tuple[int, bytes]], run: Run, rate: float | None) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    ends = []
    for _ in range(CONNECTIONS):
        end = loop.create_future()
        make = partial(_Connection, requests, run, rate, began, end)
        await loop.create_connection(make, "127.0.0.1", port)
        ends.append(end)
    async with asyncio.timeout(WITHIN):
        await asyncio.gather(*ends)


class _Connection(asyncio.Protocol):
    def __init__(
        self,
        requests: Iterator[tuple[int, bytes]],
        run: Run,
        rate: float | None,
        began: float,
        end: "asyncio.Future[None]",
    ) -> None:
        self._requests, self._run, self._rate, self._began, self._end = requests, run, rate, began, end
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def connection_lost(self, _: Exception | None) -> None:
        if not self._end.done():
            self._end.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if len(body) < int(length or b"0"):
            return
        self._run.latencies.append(self._loop.time() - self._due)
        self._run.statuses[head[9:12]] += 1
        self._received = b""
        self._next()

    def _next(self) -> None:
        place, request = next(self._requests, (0, b""))
        if not request:
            self._transport.close()
        elif self._rate is None:
            self._due = self._loop.time()
            self._transport.write(request)
        else:
            self._due = self._began + place / self._rate
            self._loop.call_at(self._due, self._transport.write, request)
