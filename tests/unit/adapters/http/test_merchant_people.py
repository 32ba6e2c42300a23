"""A merchant's own people: each within one merchant, let in by operators or by their own."""

from dataclasses import replace

import pytest

from domain.permissions import ADMINISTRATOR, DEVELOPER, FINANCE, OPERATIONS, OWNER, VIEWER, Realm
from tests.unit.adapters.http.office import PASSWORD, Office, Person
from tests.unit.adapters.http.shop import code_of

NEW = {"login": "lee@shop.example", "name": "李雷", "roles": ["owner"]}


@pytest.fixture
def office() -> Office:
    return Office()


async def test_an_operator_lets_the_first_owner_in_who_lets_in_the_others(office: Office) -> None:
    shop = await office.merchant()
    mina = await (await office.person("mina", OPERATIONS)).enter()
    made = await mina.call("POST", f"/merchants/{shop}/users", NEW)
    assert made.status_code == 201, made.text
    assert made.json()["user"]["merchant_id"] == shop
    lee = Person(office, made.json()["user"]["id"], NEW["login"], "", realm=Realm.MERCHANT)  # type: ignore[arg-type]
    first = made.json()["first_password"]
    lee.token = (await lee.try_to_enter(password=first)).json()["token"]
    await lee.call("PUT", "/me/password", {"current": first, "password": PASSWORD})
    lee.secret = (await lee.call("POST", "/me/totp", {"password": PASSWORD})).json()["secret"]
    assert (await lee.call("POST", "/me/totp/confirm", {"code": lee.code()})).status_code == 200
    proved = await lee.call("POST", "/sessions/current/prove", {"code": lee.code()})
    lee.token = proved.json()["token"]
    colleague = NEW | {"login": "han@shop.example", "roles": ["finance"]}
    assert (await lee.call("POST", "/users", colleague)).json()["user"]["merchant_id"] == shop
    listed = (await mina.call("GET", f"/merchants/{shop}/users")).json()["data"]
    assert [each["login"] for each in listed] == ["han@shop.example", "lee@shop.example"]
    created = (await mina.call("GET", f"/merchants/{shop}/users/{lee.id}")).json()
    assert created["totp"] is True


async def test_a_merchants_user_and_an_operator_may_have_one_login(office: Office) -> None:
    shop = await office.merchant()
    await office.person("mina", ADMINISTRATOR)
    theirs = await (await office.employee(shop, "mina", VIEWER)).enter()
    assert (await theirs.call("GET", "/me")).json()["user"]["realm"] == "merchant"
    answer = await theirs.call("GET", "/me", realm=Realm.PLATFORM)
    assert (answer.status_code, code_of(answer)) == (401, "session_invalid")


async def test_nobody_of_one_merchant_finds_anybody_of_another(office: Office) -> None:
    ours, theirs = await office.merchant(), await office.merchant()
    owner = await (await office.employee(ours, "lee", OWNER)).enter()
    victim = await office.employee(theirs, "han", VIEWER)
    mina = await (await office.person("mina", OPERATIONS)).enter()
    listed = (await owner.call("GET", "/users")).json()["data"]
    assert [each["login"] for each in listed] == ["lee"]
    before = office.stored()["person"]
    for method, path, *body in (
        ("GET", "", ), ("PATCH", "", {"roles": ["owner"]}), ("POST", "/deactivate"), ("POST", "/reactivate"),
        ("POST", "/reset", {"authenticator": True}),
    ):  # fmt: skip
        for answer in (
            await owner.call(method, f"/users/{victim.id}{path}", *body),
            await owner.call(method, f"/users/{mina.id}{path}", *body),
        ):
            assert (answer.status_code, code_of(answer)) == (404, "not_found"), (method, path)
    answer = await mina.call("GET", f"/merchants/{ours}/users/{victim.id}")
    assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert office.stored()["person"] == before


async def test_a_merchant_that_there_is_not_has_no_users(office: Office) -> None:
    mina = await (await office.person("mina", OPERATIONS)).enter()
    answer = await mina.call("POST", "/merchants/mch_none/users", NEW)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


@pytest.mark.parametrize("roles", [["administrator"], ["operations"], ["auditor"]])
async def test_roles_of_the_platform_are_none_of_a_merchants(office: Office, roles: list[str]) -> None:
    shop = await office.merchant()
    mina = await (await office.person("mina", ADMINISTRATOR)).enter()
    answer = await mina.call("POST", f"/merchants/{shop}/users", NEW | {"roles": roles})
    assert (answer.status_code, code_of(answer)) == (422, "role_unknown")


async def test_the_last_owner_stays_unless_an_operator_says_otherwise(office: Office) -> None:
    shop = await office.merchant()
    lee = await (await office.employee(shop, "lee", OWNER)).enter()
    han = await (await office.employee(shop, "han", OWNER)).enter()
    assert (await lee.call("POST", f"/users/{han.id}/deactivate")).status_code == 200
    assert (await han.call("GET", "/me")).status_code == 401
    assert code_of(await lee.call("POST", f"/users/{lee.id}/deactivate")) == "not_on_yourself"
    risk = await (await office.person("noah", "risk")).enter()
    assert (await risk.call("POST", f"/merchants/{shop}/users/{lee.id}/deactivate")).status_code == 200
    assert (await lee.call("GET", "/me")).status_code == 401


@pytest.mark.parametrize("role", [FINANCE, DEVELOPER, VIEWER])
async def test_who_is_no_owner_lets_nobody_in(office: Office, role: str) -> None:
    shop = await office.merchant()
    person = await (await office.employee(shop, "han", role)).enter()
    answer = await person.call("POST", "/users", NEW)
    assert (answer.status_code, code_of(answer)) == (403, "permission_missing")
    assert (await person.call("GET", "/users")).status_code == 200


async def test_a_merchants_cookie_is_not_the_operators(office: Office) -> None:
    lee = await office.employee(await office.merchant(), "lee", OWNER)
    answer = await lee.try_to_enter(cookie=True)
    assert answer.headers["set-cookie"].startswith("__Host-pitaya_merchant=pty_ss_")
    headers = {"Cookie": answer.headers["set-cookie"].partition(";")[0], "X-Pitaya-Console": "1"}
    assert (await lee.call("GET", "/me", token=None, headers=headers)).status_code == 200
    foreign = replace(lee, realm=Realm.PLATFORM)
    assert (await foreign.call("GET", "/me", token=None, headers=headers)).status_code == 401


async def test_what_a_merchants_user_does_is_written_down_under_that_merchant(office: Office) -> None:
    shop = await office.merchant()
    lee = await (await office.employee(shop, "lee", OWNER)).enter()
    await lee.call("POST", "/users", NEW | {"login": "han"})
    noah = await (await office.person("noah", "risk")).enter()
    listed = (await noah.call("GET", f"/audit?merchant_id={shop}")).json()["data"]
    assert [(each["action"], each["actor_kind"]) for each in listed] == [
        ("user.created", "merchant_user"),
        ("session.opened", "merchant_user"),
    ]
