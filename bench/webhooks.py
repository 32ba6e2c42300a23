"""Signed deliveries a second: Pitaya's sweep with all its rows, beside a loop that only signs and posts."""

import asyncio
import sys
import time
from datetime import UTC, datetime
from statistics import median
from typing import cast

import aiohttp

from adapters.outbound.courier.http_courier import encode, sign
from bench.processes import running
from bench.stock import Ground, Merchant, environment
from bootstrap.container import Container, opened
from bootstrap.settings import Settings
from bootstrap.supervisor import any_port
from domain.channels import Mode
from domain.events import Event, event_id
from domain.merchants import Caller
from domain.money import FeePlan, Rate
from domain.notifications import Delivery

MERCHANTS = 5
ENDPOINTS = 50  # a few tries of each may be in flight: one merchant alone could not fill a sweep
TURNS = 2  # sweeps side by side, as hints make them in a worker process
IN_FLIGHT = 32


def measure(ground: Ground, rounds: int, each: int) -> tuple[float, float]:
    """Ours and the bare loop's, medians of interleaved rounds."""
    port = any_port()
    settings = Settings.from_environment(environment(ground.server.url("pitaya"), ground.redis_url))
    with running(["-m", "bench.webhooks", str(port)], {}, ground.logs / "sink.log") as sink:
        sink.until(lambda: asyncio.run(_listens(port)))
        return asyncio.run(_measure(settings, ground.merchant, port, rounds, each))


async def _measure(settings: Settings, merchant: Merchant, port: int, rounds: int, each: int) -> tuple[float, float]:
    caller = Caller(merchant.opened.merchant.id, Mode.TEST)
    async with opened(settings) as container:
        urls = [f"http://127.0.0.1:{port}/{n}" for n in range(ENDPOINTS)]
        endpoints = await _endpoints(container, urls)
        page = await container.queries().events(caller.merchant_id, caller.mode, cursor=None, limit=1)
        event = Event(page.rows[0]["id"], "order.paid", "ord_1", *_of(caller), datetime.now(UTC), page.rows[0]["data"])
        ours, bare = [], []
        for round_ in range(rounds + 1):  # the first one warms up
            events = [event_id(f"ord_{round_:026d}", "bench", n) for n in range(each // ENDPOINTS)]
            await _due(container, caller, event, events, list(zip(endpoints, urls, strict=True)))
            began = time.perf_counter()
            sent = sum(await asyncio.gather(*(_turn(container) for _ in range(TURNS))))
            ours.append(sent / (time.perf_counter() - began))
            assert sent == len(events) * ENDPOINTS, f"{sent} of {len(events) * ENDPOINTS} were due"
            bare.append(await _bare_loop(urls, event, each))
    return median(ours[1:]), median(bare[1:])


async def _endpoints(container: Container, urls: list[str]) -> list[str]:
    found = []
    each = ENDPOINTS // MERCHANTS
    for first in range(0, ENDPOINTS, each):
        opened_ = await container.open_merchant()("Told", FeePlan(Rate(0)), Mode.TEST)
        caller = Caller(opened_.merchant.id, Mode.TEST)
        found += [(await container.add_endpoint()(caller, url)).id for url in urls[first : first + each]]
    return found


async def _turn(container: Container) -> int:
    sweep, sent = container.sweeps()["deliver_notifications"], 0
    while found := await sweep():
        sent += found
    return sent


def _of(caller: Caller) -> tuple[str, Mode]:
    return caller.merchant_id, caller.mode


async def _due(
    container: Container, caller: Caller, like: Event, events: list[str], endpoints: list[tuple[str, str]]
) -> None:
    """Deliveries of new events, all due now. Events are written with what they happened to; here, with an order."""
    from adapters.outbound.sql.events import publish  # the only way to store an event that no aggregate carries
    from adapters.outbound.sql.transaction import Transaction

    ids, now = container.ids(), container.clock().now()
    tx = Transaction(container.database().engine)
    await publish(
        tx, [Event(id_, like.type, like.object_id, *_of(caller), now, like.data, announced=False) for id_ in events]
    )
    await tx.commit()
    await tx.close()
    for id_ in events:
        async with container.database().unit_of_work() as uow:
            for endpoint_id, url in endpoints:
                await uow.deliveries.add(
                    Delivery(
                        id=ids.new("dlv"),
                        event_id=id_,
                        endpoint_id=endpoint_id,
                        merchant_id=caller.merchant_id,
                        mode=caller.mode,
                        url=url,
                        lane=endpoint_id,
                        created_at=now,
                        next_at=now,
                    )
                )


async def _bare_loop(urls: list[str], event: Event, count: int) -> float:
    secret = bytes(32)
    numbers = iter(range(count))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def go_on() -> None:
            for n in numbers:
                body = encode(event)
                headers = sign(event.id, int(time.time()), body, [secret])
                async with session.post(urls[n % len(urls)], data=body, headers=headers) as response:
                    await response.read()
                    assert response.status == 200

        began = time.perf_counter()
        await asyncio.gather(*(go_on() for _ in range(IN_FLIGHT)))
        return count / (time.perf_counter() - began)


# ── The merchants' server ────────────────────────────────────────────────────────────────────────────────────────────


class _Sink(asyncio.Protocol):
    """Says 200 to whatever comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._received = cast("asyncio.Transport", transport), b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if separator and len(body) >= int(length or b"0"):
            self._received = b""
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", port)
    await server.serve_forever()


async def _listens(port: int) -> bool:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return True


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(int(sys.argv[1])))
