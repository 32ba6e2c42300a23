"""A month in a minute: the whole of Pitaya and of the outside world in this process, on one clock that a test turns."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

import httpx
import time_machine
from granian.constants import Interfaces
from granian.server.embed import Server

from adapters.inbound.cli.operators import PLATFORM
from adapters.outbound.sql import SqlClock
from bootstrap.container import Container, opened
from bootstrap.demo_merchant import open_merchant_at
from bootstrap.settings import Settings
from bootstrap.supervisor import any_port
from bootstrap.web import OpenedLate, serving
from domain.actors import SYSTEM
from domain.channels import Channel, Method, Mode
from domain.permissions import ADMINISTRATOR
from domain.times import SHANGHAI
from sandbox.app import create_app
from tests.integration.stack import Stack, settings_of

# In the order in which one hands its work to the next.
PAYMENTS = ("check_attempts", "check_refunds", "expire_orders", "fan_out_events", "deliver_notifications")
STATEMENTS = ("open_statement_days", "fetch_statements", "close_matched_days")
SETTLEMENT = ("schedule_releases", "release_payments", "settle_merchants", "roll_up_balances")
PAYOUTS = ("check_payouts", *PAYMENTS)

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE


@dataclass
class Operator:
    """One person of the platform, who signs in every day anew."""

    http: httpx.AsyncClient
    web: str
    login: str
    password: str
    token: str = ""
    since: date = date.min

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        today = datetime.now(SHANGHAI).date()
        if self.since != today:
            answer = await self._ask("POST", "/sessions", {"login": self.login, "password": self.password})
            self.token, self.since = answer["token"], today
        return await self._ask(method, path, body)

    async def _ask(self, method: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = await self.http.request(method, f"{self.web}/admin/v1{path}", json=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json()) if answer.content else {}


@dataclass
class Month:
    """``paid`` are the orders with what they cost, ``refunded`` what was given back of each, both in fen."""

    stack: Stack
    maker: Operator
    checker: Operator
    clock: time_machine.Traveller
    paid: dict[str, int] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    fees: int = 0

    @property
    def today(self) -> date:
        return datetime.now(SHANGHAI).date()

    def turn(self, day: date, hour: int, minute: int = 0) -> None:
        """Every clock of this process, forwards only."""
        self.clock.move_to(datetime.combine(day, time(hour, minute), SHANGHAI))

    def later(self, **much: float) -> None:
        self.clock.shift(timedelta(**much))

    async def sweep(self, *jobs: str) -> None:
        """Each of them until nothing more is due; twice, as work makes work."""
        sweeps = self.stack.container.sweeps()
        for job in (*jobs, *jobs):
            for _ in range(100):
                if not await sweeps[job]():
                    break
            else:
                raise AssertionError(f"{job} finds no end")

    async def sell(self, amount: int, method: Method, *, told: bool = True) -> dict[str, Any]:
        """An order that is paid; ``told`` or not, it is known in the end."""
        order = await self.stack.place(amount)
        attempt = await self.stack.start(order, method)
        await self.stack.pay(attempt, method, notify=told)
        if told:
            await self.stack.until(order, "paid", 30)
        self.paid[order["id"]] = amount
        return {**order, "number": attempt["number"]}

    async def give_back(self, order: dict[str, Any], amount: int) -> None:
        """Through our API."""
        body = {"merchant_refund_no": secrets.token_hex(12), "order_id": order["id"], "amount": amount}
        answer = await self.stack.api("POST", "/refunds", json=body)
        assert answer.status_code == 201, answer.text
        self.refunded[order["id"]] = self.refunded.get(order["id"], 0) + amount

    async def give_back_in_the_console(self, order: dict[str, Any], amount: int) -> None:
        """Past us, on Alipay's own site."""
        await self.stack.control("alipay/refund", channel="alipay", out_trade_no=order["number"], amount=amount)
        self.refunded[order["id"]] = self.refunded.get(order["id"], 0) + amount

    async def balance(self) -> dict[str, int]:
        (found,) = (await self.stack.api("GET", "/balance")).json()["data"]
        return {name: value for name, value in found.items() if isinstance(value, int)}

    async def approve_settlements(self) -> int:
        """By the second person, all that wait. How many."""
        waiting = await self.checker.call("GET", "/proposals?status=proposed")
        mine = [one for one in waiting["data"] if one["action"] == "settlement.approve"]
        for proposal in mine:
            await self.checker.call("POST", f"/proposals/{proposal['id']}/approve")
        return len(mine)

    async def agree(self, path: str, body: Any) -> None:
        """Proposed by one, approved by the other."""
        proposal = await self.maker.call("POST", path, body)
        await self.checker.call("POST", f"/proposals/{proposal['id']}/approve")

    async def settlements(self) -> list[dict[str, Any]]:
        """All of the merchant's, oldest first."""
        found = (await self.stack.api("GET", "/settlements?limit=100")).json()["data"]
        return list(reversed(found))

    async def transfers(self) -> list[dict[str, Any]]:
        """What Alipay was told to pay out."""
        return list((await self.stack.http.get(f"{self.stack.sandbox}/control/alipay/transfers")).json())

    async def days(self) -> list[dict[str, Any]]:
        """All statement days of this month."""
        return list((await self.maker.call("GET", "/statement-days?limit=100"))["data"])


@asynccontextmanager
async def beginning(start: date, database_url: str, redis_url: str) -> AsyncIterator[Month]:
    """Sandbox, web and jobs here, a merchant with accounts at both channels, two operators; it is noon."""
    web_port, sandbox_port = any_port(), any_port()
    web, sandbox = f"http://127.0.0.1:{web_port}", f"http://127.0.0.1:{sandbox_port}"
    environment = settings_of(database_url, redis_url, web, sandbox) | {"PITAYA_REQUIRE_TOTP": "0"}
    settings = Settings.from_environment(environment)
    async with AsyncExitStack() as stack:
        travel = time_machine.travel(datetime.combine(start, time(12), SHANGHAI), tick=True)
        clock = stack.enter_context(travel)
        await stack.enter_async_context(_served(create_app(None, sandbox, web), sandbox_port))
        await stack.enter_async_context(_served(OpenedLate(serving(settings)), web_port))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        container: Container = await stack.enter_async_context(opened(settings))
        for address in (f"{sandbox}/livez", f"{web}/livez"):
            await _answers(http, address)
        async with httpx.AsyncClient(base_url=sandbox, trust_env=False, timeout=30) as client:
            merchant = await open_merchant_at(container, client)
        maker, checker = [await _operator(container, http, web, name) for name in ("maker", "checker")]
        month = Month(Stack(http, web, sandbox, merchant, container), maker, checker, clock)
        shop = {"pitaya_url": web, "api_key": merchant.api_key, "webhook_secret": merchant.webhook_secret}
        await month.stack.control("shop", **shop)
        yield month


async def alipay_account(month: Month) -> str:
    """The platform's account, which payments come to and payouts leave from."""
    container = month.stack.container
    async with container.database().unit_of_work() as uow:
        serving = await uow.accounts.serving(month.stack.merchant.merchant_id, Mode.TEST)
    (account,) = [each.access.account.id for each in serving if each.access.account.channel is Channel.ALIPAY]
    return str(account)


def one_clock(monkeypatch: Any) -> None:
    """PostgreSQL's clock cannot be turned: ours decides."""

    async def refresh(clock: SqlClock) -> timedelta:
        return clock.skew

    monkeypatch.setattr(SqlClock, "refresh", refresh)


async def _operator(container: Container, http: httpx.AsyncClient, web: str, name: str) -> Operator:
    _, first = await container.keep_users().create(SYSTEM, PLATFORM, name, name, frozenset({ADMINISTRATOR}))
    operator = Operator(http, web, name, first)
    password = secrets.token_hex(16)
    await operator.call("PUT", "/me/password", {"current": first, "password": password})
    return Operator(http, web, name, password)


@asynccontextmanager
async def _served(app: Any, port: int) -> AsyncIterator[None]:
    server = Server(app, "127.0.0.1", port, interface=Interfaces.ASGI, websockets=False)
    serving_ = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian has no annotation here
        with suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(serving_, 10)


async def _answers(http: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                if (await http.get(url)).is_success:
                    return
            await asyncio.sleep(0.05)
