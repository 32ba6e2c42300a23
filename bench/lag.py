"""L7 measured: ``python -m bench.lag``. One endpoint in ten hangs until the deadline; how late are the others told?

The sweeps, lanes and hints of a worker process, the real courier, PostgreSQL and Valkey of our own; merchants' servers
in this process. Lag is from the event's own time to the arrival of its POST. Status 1 if p99 is two seconds or more, or
if somebody was not told.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from adapters.inbound.jobs.portal import Lane
from adapters.inbound.jobs.table import JOBS
from adapters.outbound.sql.migrations import migrate
from bench.stock import environment
from bootstrap.container import Container, opened
from bootstrap.embedded import temporary_postgres, temporary_valkey
from bootstrap.settings import Settings
from bootstrap.supervisor import any_port
from domain.channels import Mode
from domain.merchants import Caller
from domain.money import FeePlan, Money, Rate
from domain.orders import OrderRequest

MERCHANTS, EACH = 10, 10  # endpoints a merchant, of which one hangs
SECONDS = 40
PACE = 1.0  # seconds between two orders of a merchant
BOUND = 2.0
GRACE = 5.0


@dataclass
class Servers:
    """Merchants' servers: those whose name begins with ``hang`` never answer, the others do at once."""

    lags: list[float] = field(default_factory=list)
    hung: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if request.path.startswith("/hang"):
            self.hung += 1
            await asyncio.sleep(3_600)
        self.lags.append(time.time() - datetime.fromisoformat(body["timestamp"]).timestamp())
        return web.Response(text="ok")


async def _endpoints(container: Container, port: int) -> list[Caller]:
    callers = []
    for m in range(MERCHANTS):
        opened_ = await container.open_merchant()("Told", FeePlan(Rate(0)), Mode.TEST)
        caller = Caller(opened_.merchant.id, Mode.TEST)
        for n in range(EACH):
            url = f"http://127.0.0.1:{port}/{'hang' if n == 0 else 'works'}/{m}/{n}"
            await container.add_endpoint()(caller, url)
        callers.append(caller)
    return callers


async def _sell(container: Container, caller: Caller, until: float) -> int:
    """Orders placed and closed, one a second: each tells every endpoint of its merchant."""
    place, close, sold = container.place_order(), container.close_order(), 0
    while time.monotonic() < until:
        asked = OrderRequest(merchant_order_no=f"{sold}", amount=Money(1), subject="x", expires_in=600)
        await close((await place(caller, asked)).id, "merchant")
        sold += 1
        await asyncio.sleep(PACE)
    return sold


async def _work(container: Container) -> None:
    """What a worker's portal does: lanes woken by hints, and by the clock at the latest."""
    sweeps = container.sweeps()
    jobs = {job.name: job for job in JOBS if job.name in ("fan_out_events", "deliver_notifications")}
    lanes = {name: Lane(job, sweeps[name]) for name, job in jobs.items()}

    async def clock(name: str) -> None:
        while True:
            lanes[name].wake()
            await asyncio.sleep(jobs[name].every)

    ticking = [asyncio.create_task(clock(name)) for name in jobs]
    try:
        async for name in container.hints().listen_work():
            if name in lanes:
                lanes[name].wake()
    finally:
        for task in [*ticking, *(turn for lane in lanes.values() for turn in lane.turns)]:
            task.cancel()


async def _measure(settings: Settings) -> tuple[Servers, int]:
    servers, port = Servers(), any_port()
    application = web.Application()
    application.router.add_post("/{rest:.*}", servers.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        container = await stack.enter_async_context(opened(settings))
        callers = await _endpoints(container, port)
        working = asyncio.create_task(_work(container))
        until = time.monotonic() + SECONDS
        sold = sum(await asyncio.gather(*(_sell(container, caller, until) for caller in callers)))
        await asyncio.sleep(GRACE)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    return servers, sold


def main() -> int:
    with temporary_postgres() as postgres, temporary_valkey() as valkey:
        asyncio.run(migrate(postgres.url()))
        settings = Settings.from_environment(environment(postgres.url(), valkey.url()))
        servers, sold = asyncio.run(_measure(settings))
    lags, due = sorted(servers.lags), sold * MERCHANTS * (EACH - 1) // MERCHANTS
    p50, p99 = (lags[int(len(lags) * share)] for share in (0.5, 0.99))
    print(
        f"{MERCHANTS * EACH} endpoints, {MERCHANTS} of which hang; {sold} events in {SECONDS} s; tries that hung:"
        f" {servers.hung}\nthe others: {len(lags)} of {due} told; lag p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms,"
        f" worst {lags[-1] * 1000:.0f} ms (bound {BOUND:g} s)"
    )
    return 0 if p99 < BOUND and len(lags) >= due else 1


if __name__ == "__main__":
    sys.exit(main())
