"""The system as processes: the sandbox and the web on real servers; background jobs are swept by the test itself."""

import asyncio
import base64
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bootstrap.container import Container, opened
from bootstrap.demo_merchant import DemoMerchant, open_merchant_at
from bootstrap.settings import Settings
from bootstrap.supervisor import any_port
from domain.channels import Method
from domain.orders import Order
from domain.payments import ChannelPayment

UP_WITHIN = 60.0


@dataclass
class Stack:
    """What a test needs of it: both addresses, the merchant, and the container for looking behind the scenes."""

    http: httpx.AsyncClient
    web: str
    sandbox: str
    merchant: DemoMerchant
    container: Container

    async def api(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.merchant.api_key}"}
        return await self.http.request(method, f"{self.web}/v1{path}", headers=headers, **request)

    async def control(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(f"{self.sandbox}/control/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def place(self, amount: int = 10_000, **fields: Any) -> dict[str, Any]:
        """An order whose merchant is told at the sandbox's shop."""
        body = {
            "merchant_order_no": secrets.token_hex(12),
            "amount": amount,
            "currency": "CNY",
            "subject": "龙果 {coffee} & more",  # a brace and an ampersand, which have broken signatures elsewhere
            "notify_url": f"{self.sandbox}/shop/notifications",
        }
        placed = await self.api("POST", "/orders", json=body | fields)
        assert placed.status_code == 201, placed.text
        return dict(placed.json())

    async def start(self, order: dict[str, Any], method: Method) -> dict[str, Any]:
        started = await self.api("POST", f"/orders/{order['id']}/attempts", json={"method": method})
        assert started.status_code == 201, started.text
        return dict(started.json())

    async def pay(self, attempt: dict[str, Any], method: Method, **how: Any) -> None:
        await self.control("pay", channel=method.channel, code=attempt["action"]["value"], **how)

    async def order(self, order: dict[str, Any]) -> Order:
        async with self.container.database().unit_of_work() as uow:
            return await uow.orders.get(order["id"])

    async def payments(self, order: dict[str, Any]) -> list[ChannelPayment]:
        async with self.container.database().unit_of_work() as uow:
            return list(await uow.payments.of_order(order["id"]))

    async def until(self, order: dict[str, Any], status: str, seconds: float = 20) -> None:
        """Returns when the order has that status; fails after so many seconds."""
        async with asyncio.timeout(seconds):
            while (await self.order(order)).status != status:  # noqa: ASYNC110 - another process changes it
                await asyncio.sleep(0.05)

    async def sweep(self, job: str) -> int:
        """One sweep of a background job, here and now."""
        sweeps = self.container.sweeps()
        return int(await sweeps[job]())


def settings_of(database_url: str, redis_url: str, web: str, sandbox: str) -> dict[str, str]:
    """The environment of a process under test."""
    return {
        "PITAYA_DATABASE_URL": database_url,
        "PITAYA_DATABASE_ROLE": "pitaya_app",
        "PITAYA_REDIS_URL": redis_url,
        "PITAYA_MASTER_KEYS": f"1:{base64.b64encode(bytes(range(32))).decode()}",
        "PITAYA_KEY_PEPPER": "a pepper for tests, at least thirty-two characters",
        "PITAYA_PUBLIC_URL": web,
        "PITAYA_ALIPAY_TEST_GATEWAY": f"{sandbox}/gateway.do",
        "PITAYA_WECHAT_TEST_GATEWAY": sandbox,
        "PITAYA_WECHAT_TEST_AUTHORIZE_PAGE": f"{sandbox}/connect/oauth2/authorize",
        "PITAYA_WECHAT_TEST_IDENTITY_HOST": sandbox,
        "PITAYA_ALLOW_PRIVATE_ADDRESSES": "1",
        "PITAYA_SANDBOX_PHONE_URL": f"{sandbox}/phone",
    }


@asynccontextmanager
async def running(database_url: str, redis_url: str, logs: Path) -> AsyncIterator[Stack]:
    """Sandbox and web as processes, an opened container in this one, and a merchant with accounts at both channels."""
    web_port, sandbox_port = any_port(), any_port()
    web, sandbox = f"http://127.0.0.1:{web_port}", f"http://127.0.0.1:{sandbox_port}"
    environment = settings_of(database_url, redis_url, web, sandbox)
    async with AsyncExitStack() as stack:
        sandbox_argv = ["-m", "sandbox", "--port", str(sandbox_port), "--state", str(logs / "sandbox")]
        stack.enter_context(_process([*sandbox_argv, "--public-url", sandbox, "--pitaya-url", web], {}, logs))
        stack.enter_context(_process(["-m", "bootstrap.main", "web", "--port", str(web_port)], environment, logs))
        http = await stack.enter_async_context(client_beside(logs / "bootstrap.main.log", timeout=30))
        container = await stack.enter_async_context(opened(Settings.from_environment(environment)))
        await _answers(http, f"{sandbox}/livez")
        async with httpx.AsyncClient(base_url=sandbox, trust_env=False, timeout=30) as client:
            merchant = await open_merchant_at(container, client)
        running_stack = Stack(http, web, sandbox, merchant, container)
        await running_stack.control(
            "shop", pitaya_url=web, api_key=merchant.api_key, webhook_secret=merchant.webhook_secret
        )
        await _answers(http, f"{web}/readyz")
        yield running_stack


def client_beside(log: Path, *, timeout: float) -> httpx.AsyncClient:
    """A client for tests: whenever it is answered 500, the end of the server's log goes to the test's output."""

    async def explain(answer: httpx.Response) -> None:
        if answer.status_code == 500:
            said = log.read_text(errors="replace")[-20_000:]
            print(f"{answer.request.method} {answer.request.url} was answered 500. The end of {log.name}:\n{said}")

    return httpx.AsyncClient(trust_env=False, timeout=timeout, event_hooks={"response": [explain]})


class _process:  # noqa: N801 - a context manager, used like a function
    def __init__(self, arguments: list[str], environment: dict[str, str], logs: Path) -> None:
        with (logs / f"{arguments[1]}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def __enter__(self) -> "subprocess.Popen[bytes]":
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()


async def _answers(http: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(UP_WITHIN):
        while True:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
