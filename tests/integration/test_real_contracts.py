"""The real clock, ids, vault and courier keep the contracts that their fakes keep."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
import standardwebhooks
from aiohttp import web

from adapters.outbound.courier.http_courier import HttpCourier
from adapters.outbound.secrets.aes_vault import AesVault
from adapters.outbound.sql import SqlClock, create_engine
from application.ports.world import Courier
from bootstrap.ids import SystemIds
from bootstrap.supervisor import any_port
from tests.contracts.clock import ClockContract, IdsContract
from tests.contracts.courier import CourierContract, Received
from tests.contracts.vault import VaultContract


class TestSqlClock(ClockContract):
    @pytest_asyncio.fixture
    async def clock(self, database_url: str) -> AsyncIterator[SqlClock]:
        engine = create_engine(database_url, pool_size=1)
        clock = SqlClock(engine)
        await clock.refresh()
        yield clock
        await engine.dispose()


class TestSystemIds(IdsContract):
    @pytest.fixture
    def ids(self) -> SystemIds:
        return SystemIds()


class TestAesVault(VaultContract):
    @pytest.fixture
    def vault(self) -> AesVault:
        return AesVault({1: bytes(32), 2: bytes(range(32))}, 2)


@dataclass
class ServerDriver:
    """A merchant's server on a real socket, verifying with the library that merchants use."""

    courier: Courier
    site: web.TCPSite
    runner: web.AppRunner
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    arrived: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.site.name}/hook"

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.arrived.append((headers, await request.read()))
        if self.silent:
            await asyncio.sleep(60)
        return web.Response(status=self.status, headers=self.headers)

    async def answers(self, status: int, *, retry_after: int | None = None) -> None:
        self.status = status
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}

    async def is_silent(self) -> None:
        self.silent = True

    async def is_down(self) -> None:
        await self.site.stop()

    def received(self, secret: bytes) -> Sequence[Received]:
        verified = []
        webhook = standardwebhooks.Webhook("whsec_" + base64.b64encode(secret).decode())
        for headers, body in self.arrived:
            with contextlib.suppress(standardwebhooks.WebhookVerificationError):
                webhook.verify(body.decode(), headers)
                verified.append(Received(headers["webhook-id"], json.loads(body)))
        return verified


class TestHttpCourier(CourierContract):
    @pytest_asyncio.fixture
    async def driver(self) -> AsyncIterator[ServerDriver]:
        async with HttpCourier.open(allow_private=True, allow_http=True, deadline=1.0) as courier:
            app = web.Application()
            runner = web.AppRunner(app, shutdown_timeout=0.1)

            async def hook(request: web.Request) -> web.Response:
                return await driver.handle(request)

            app.router.add_post("/hook", hook)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", any_port())
            await site.start()
            driver = ServerDriver(courier, site, runner)
            yield driver
            await runner.cleanup()
