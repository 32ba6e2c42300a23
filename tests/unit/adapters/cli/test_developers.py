"""`pitaya listen` misses nothing and signs like every notification; `pitaya trigger` does what leads to an event."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.inbound.cli.listen import Listener
from adapters.inbound.cli.merchant_api import MerchantApi, check_test_key
from adapters.inbound.cli.trigger import Trigger
from domain.channels import Channel
from domain.errors import DatabaseUnavailable, InvalidRequest, PitayaError
from domain.webhooks import encode_secret
from tests.unit.adapters.http.shop import Shop, order

SECRET = encode_secret(b"s" * 32)


@dataclass
class Program:
    """What a developer runs: it verifies each request as a library would, and remembers it."""

    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    forged: int = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        try:
            Webhook(SECRET).verify(request.content, dict(request.headers))
        except WebhookVerificationError:
            self.forged += 1
        self.bodies.append(json.loads(request.content))
        return httpx.Response(self.status)


@dataclass
class World:
    """A shop's API and a program, behind one HTTP client; ``away`` says how often the API does not answer."""

    shop: Shop
    program: Program
    http: httpx.AsyncClient
    said: list[str] = field(default_factory=list)
    away: int = 0

    def listener(self, **more: Any) -> Listener:
        api = MerchantApi(self.http, "http://api.test", self.shop.merchant.api_key)
        return Listener(api, self.http, "http://dev.test/hooks", SECRET, self.said.append, pause=0.01, **more)

    async def places(self, *nos: str) -> None:
        for no in nos:
            assert (await self.shop.call("POST", "/v1/orders", order(merchant_order_no=no))).status_code == 201


class Flaky(httpx.ASGITransport):
    """The API, which is away a few times first."""

    world: World

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.world.away:
            self.world.away -= 1
            raise httpx.ConnectError("refused")
        return await super().handle_async_request(request)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    shop, program = await Shop.open(), Program()
    flaky = Flaky(app=shop.app)  # type: ignore[arg-type]
    mounts = {"http://api.test": flaky, "http://dev.test": httpx.MockTransport(program.handle)}
    async with httpx.AsyncClient(mounts=mounts, trust_env=False) as http:
        flaky.world = World(shop, program, http)
        yield flaky.world


async def test_what_happens_from_now_on_is_forwarded_once_signed_and_in_order(world: World) -> None:
    await world.places(*(f"OLD-{n}" for n in range(3)))
    listener = world.listener()
    assert await listener.skip_the_past() == 3
    running = asyncio.create_task(listener.run(count=4))
    await world.places(*(f"A-{n}" for n in range(4)))
    assert await asyncio.wait_for(running, 10) == 4
    assert [body["data"]["merchant_order_no"] for body in world.program.bodies] == [f"A-{n}" for n in range(4)]
    assert world.program.forged == 0
    assert len(world.said) == 4
    assert all("→  200" in line for line in world.said)


async def test_an_api_that_is_away_for_a_while_costs_no_event(world: World) -> None:
    listener = world.listener()
    await listener.skip_the_past()
    world.away = 2
    running = asyncio.create_task(listener.run(count=2))
    await world.places("A-1", "A-2")
    await asyncio.wait_for(running, 10)
    assert [body["data"]["merchant_order_no"] for body in world.program.bodies] == ["A-1", "A-2"]
    assert sum("asking again" in line for line in world.said) == 2


async def test_only_the_types_asked_for_are_forwarded_and_a_refusal_is_told(world: World) -> None:
    world.program.status = 500
    await world.places("A-1")
    placed = (await world.shop.call("GET", "/v1/orders")).json()["data"][0]
    await world.shop.call("POST", f"/v1/orders/{placed['id']}/close")
    assert await world.listener(types=frozenset({"order.closed"})).run(count=1) == 1
    assert [body["type"] for body in world.program.bodies] == ["order.closed"]
    assert "→  500" in world.said[0]


async def test_a_key_that_is_refused_ends_it(world: World) -> None:
    api = MerchantApi(world.http, "http://api.test", world.shop.merchant.api_key[:-1] + "x")
    listener = Listener(api, world.http, "http://dev.test/hooks", SECRET, world.said.append)
    with pytest.raises(PitayaError) as caught:
        await listener.run()
    assert caught.value.code == "api_key_invalid"


@pytest.mark.parametrize("key", ["", "pty_sk_live_" + "x" * 43, "sk_test_x", "Bearer pty_sk_test_x"])
def test_only_test_keys_are_taken(key: str) -> None:
    with pytest.raises(InvalidRequest):
        check_test_key(key)


@dataclass
class Sandbox:
    """The payer's phone, for the fake channels: what is scanned is paid, and its notice arrives."""

    world: World
    acts: list[str] = field(default_factory=list)
    silent: bool = False

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        act, asked = request.url.path.rpartition("/")[2], json.loads(request.content)
        self.acts.append(act)
        if act == "pay" and not self.silent:
            house = self.world.shop.house
            (attempt,) = [row for row in house.database.tables.attempts.committed.values() if row.action]
            assert attempt.action is not None
            assert asked == {"channel": "alipay", "code": attempt.action.value}
            house.channels[Channel.ALIPAY].pay(attempt.number)
            await house.notice(house.alipay, attempt)
        return httpx.Response(200, json={})


async def trigger(world: World, sandbox: Sandbox, event: str) -> str:
    api = MerchantApi(world.http, "http://api.test", world.shop.merchant.api_key)
    async with httpx.AsyncClient(transport=httpx.MockTransport(sandbox), trust_env=False) as phone:
        return await Trigger(api, phone, "http://sandbox.test", patience=0.3)(event, amount=100, method="alipay_qr")


async def test_order_paid_is_placed_scanned_and_paid(world: World) -> None:
    sandbox = Sandbox(world)
    said = await trigger(world, sandbox, "order.paid")
    (found,) = (await world.shop.call("GET", "/v1/orders?status=paid")).json()["data"]
    assert said.startswith(f"order.paid: {found['id']} (")
    assert sandbox.acts == ["scan", "pay"]


async def test_order_closed_is_placed_and_closed(world: World) -> None:
    await trigger(world, Sandbox(world), "order.closed")
    assert len((await world.shop.call("GET", "/v1/orders?status=closed")).json()["data"]) == 1


async def test_a_payment_that_does_not_arrive_is_told(world: World) -> None:
    with pytest.raises(DatabaseUnavailable, match="not here after"):
        await trigger(world, Sandbox(world, silent=True), "order.paid")
