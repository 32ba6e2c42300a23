"""The demo's merchants as operators set them up: over the operators' API alone, by two people who check each other."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from adapters.inbound.cli.operators import PLATFORM
from bootstrap.container import Container
from domain.actors import SYSTEM
from domain.channels import Method, Mode
from domain.permissions import ADMINISTRATOR


@dataclass(frozen=True, slots=True)
class Person:
    """One operator at the API. Raises RuntimeError for an answer that is no success, without what was sent."""

    http: httpx.AsyncClient
    token: str

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.http.request(
            method, f"/admin/v1{path}", json=body, headers={"Authorization": f"Bearer {self.token}"}
        )
        return _success(answer)


@dataclass(frozen=True, slots=True)
class Desk:
    """A maker and a checker."""

    maker: Person
    checker: Person

    async def make(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await self.maker.call("POST", path, body)

    async def agree(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Proposed by one, approved by the other."""
        proposal = await self.make(path, body)
        return await self.checker.call("POST", f"/proposals/{proposal['id']}/approve")

    async def product(self, name: str, rate_ppm: int) -> str:
        """A product on the shelf that has every method at one price. Its id."""
        prices = [{"method": method, "rate_ppm": rate_ppm} for method in Method]
        product = await self.make("/products", {"name": name, "prices": prices})
        await self.make(f"/products/{product['id']}/list")
        return str(product["id"])

    async def merchant(self, body: Mapping[str, Any], product_id: str) -> tuple[str, str]:
        """A merchant bound to a product, and a key of test mode. Its id, and the key, which only this moment shows."""
        merchant = await self.make("/merchants", body)
        await self.agree(f"/merchants/{merchant['id']}/product", {"product_id": product_id})
        key = await self.make(f"/merchants/{merchant['id']}/api_keys", {"mode": Mode.TEST, "name": "demo"})
        return merchant["id"], key["secret"]

    async def account(self, body: Mapping[str, Any]) -> None:
        """A channel account, whose credential the sandbox is really asked about."""
        await self.make("/channel_accounts", {"mode": Mode.TEST, "check": True, **body})


@asynccontextmanager
async def desk(container: Container, web: str) -> AsyncIterator[Desk]:
    """Two people for as long as the block lasts; afterwards they cannot enter any more."""
    users, tag = container.keep_users(), container.ids().token(6).lower()
    made = []
    async with httpx.AsyncClient(base_url=web, trust_env=False, timeout=20) as http:
        try:
            people = []
            for name in ("maker", "checker"):
                login = f"demo-{name}-{tag}"
                user, password = await users.create(SYSTEM, PLATFORM, login, f"Demo {name}", frozenset({ADMINISTRATOR}))
                made.append(user)
                people.append(await _enter(http, login, password, container.ids().token(24)))
            yield Desk(*people)
        finally:
            for user in made:
                await users.deactivate(SYSTEM, PLATFORM, user.id)


async def webhook_secret(web: str, api_key: str) -> str:
    """What signs a merchant's notifications, as its developer reads it."""
    headers = {"Authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(base_url=web, trust_env=False, timeout=20, headers=headers) as http:
        (endpoint,) = _success(await http.get("/v1/webhook_endpoints"))["data"]
        return str(_success(await http.get(f"/v1/webhook_endpoints/{endpoint['id']}/secret"))["secret"])


async def _enter(http: httpx.AsyncClient, login: str, first: str, password: str) -> Person:
    """Sign in, and change the first password, which is all that one may do before."""
    opened = _success(await http.post("/admin/v1/sessions", json={"login": login, "password": first}))
    await Person(http, opened["token"]).call("PUT", "/me/password", {"current": first, "password": password})
    opened = _success(await http.post("/admin/v1/sessions", json={"login": login, "password": password}))
    return Person(http, opened["token"])


def _success(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise RuntimeError(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}"
        )
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found
