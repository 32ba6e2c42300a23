"""Operators through the application as it is served: real passwords, real codes, real rows."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyotp
import pytest

from adapters.inbound.cli.operators import PLATFORM
from bootstrap.container import opened
from bootstrap.settings import Settings
from bootstrap.web import serving
from domain.actors import SYSTEM
from domain.channels import Mode
from domain.money import FeePlan, Rate
from domain.permissions import ADMINISTRATOR
from tests.integration.stack import settings_of


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return settings_of(database_url, redis_url, "https://pay.example", "http://127.0.0.1:9")


@pytest.fixture
async def first_password(environment: dict[str, str]) -> str:
    async with opened(Settings.from_environment(environment)) as container:
        roles = frozenset({ADMINISTRATOR})
        _, password = await container.keep_users().create(SYSTEM, PLATFORM, "mina", "Mina", roles)
    return password


@pytest.fixture
async def client(environment: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(Settings.from_environment(environment)) as app:
        transport = httpx.ASGITransport(app=app, client=("203.0.113.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="https://pay.example", trust_env=False) as client:
            yield client


async def test_an_operator_enters_sets_up_an_authenticator_and_lets_another_in(
    client: httpx.AsyncClient, first_password: str
) -> None:
    login: dict[str, Any] = {"login": "mina", "password": first_password}
    opened_ = (await client.post("/admin/v1/sessions", json=login)).json()
    assert opened_["duties"] == ["change_password", "enrol_totp"]
    client.headers["Authorization"] = f"Bearer {opened_['token']}"
    password = "correct horse battery"
    change = {"current": first_password, "password": password}
    assert (await client.put("/admin/v1/me/password", json=change)).status_code == 200
    begun = (await client.post("/admin/v1/me/totp", json={"password": password})).json()
    codes = pyotp.parse_uri(begun["uri"])
    assert isinstance(codes, pyotp.TOTP)
    confirmed = await client.post("/admin/v1/me/totp/confirm", json={"code": codes.now()})
    recovery = confirmed.json()["recovery_codes"]
    proved = await client.post("/admin/v1/sessions/current/prove", json={"code": recovery[0]})
    client.headers["Authorization"] = f"Bearer {proved.json()['token']}"
    made = await client.post("/admin/v1/operators", json={"login": "noah", "name": "诺亚", "roles": ["finance"]})
    assert made.status_code == 201, made.text
    assert [each["login"] for each in (await client.get("/admin/v1/operators")).json()["data"]] == ["noah", "mina"]
    done = [each["action"] for each in (await client.get("/admin/v1/audit")).json()["data"]]
    assert done == [
        "user.created",
        "session.proved",
        "user.totp_enrolled",
        "user.totp_begun",
        "user.password_changed",
        "session.opened",
        "user.created",
    ]
    assert (await client.delete("/admin/v1/sessions")).status_code == 204
    assert (await client.get("/admin/v1/me")).status_code == 401
    del client.headers["Authorization"]
    again = login | {"password": password, "code": recovery[0]}
    assert (await client.post("/admin/v1/sessions", json=again)).json()["code"] == "totp_invalid"
    again |= {"code": recovery[1]}
    assert (await client.post("/admin/v1/sessions", json=again)).status_code == 201


async def test_guessing_is_stopped_by_the_database(client: httpx.AsyncClient, first_password: str) -> None:
    body = {"login": "mina", "password": "wrong wrong wrong"}
    codes = [(await client.post("/admin/v1/sessions", json=body)).json()["code"] for _ in range(6)]
    assert codes == ["sign_in_failed"] * 5 + ["too_many_attempts"]
    right = await client.post("/admin/v1/sessions", json={"login": "mina", "password": first_password})
    assert right.status_code == 429


async def test_the_three_applications_have_their_own_documents(client: httpx.AsyncClient) -> None:
    titles = [
        (await client.get(f"{root}/docs/openapi.json")).json()["info"]["title"] for root in ("", "/admin", "/merchant")
    ]
    assert len(set(titles)) == 3
    assert (await client.get("/administrator/v1/me")).status_code == 404
    assert (await client.get("/livez")).status_code == 200


async def test_nobody_goes_without_a_second_factor_where_there_is_live_money(environment: dict[str, str]) -> None:
    careless = Settings.from_environment(environment | {"PITAYA_REQUIRE_TOTP": "0"})
    for mode in (None, Mode.TEST):
        async with opened(careless) as container:
            if mode is not None:
                await container.open_merchant()("Café", FeePlan(Rate(6_000)), mode)
        async with serving(careless):
            pass
    async with opened(careless) as container:
        await container.open_merchant()("Café", FeePlan(Rate(6_000)), Mode.LIVE)
    with pytest.raises(RuntimeError, match="PITAYA_REQUIRE_TOTP"):
        async with serving(careless):
            pass
    async with serving(Settings.from_environment(environment)):
        pass
