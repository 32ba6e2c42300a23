"""Who may call what: every route of the people's documents × everybody who could call it."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import get

from adapters.inbound.http.admin.app import ADMIN_HANDLERS, MERCHANT_HANDLERS
from adapters.inbound.http.admin.guard import needs, rule_of
from domain.permissions import ADMINISTRATOR, BUILT_IN, OWNER, PERMISSIONS, Realm
from tests.unit.adapters.http.office import BASES, Office, Person
from tests.unit.adapters.http.shop import code_of

ROOT = Path(__file__).parents[4]
EVERYBODY = [(realm, role) for realm in Realm for role in (*BUILT_IN[realm], "")]
CHIEFS = {Realm.PLATFORM: ADMINISTRATOR, Realm.MERCHANT: OWNER}
OPEN_TO_ALL = ["/sessions"]

Operation = tuple[str, str, dict[str, Any]]


async def document(office: Office, realm: Realm) -> dict[str, Any]:
    root = BASES[realm].removesuffix("/v1")
    transport = httpx.ASGITransport(app=office.apps[realm])  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="https://pay.example", trust_env=False) as client:
        answer = await client.get(f"{root}/docs/openapi.json")
    assert answer.status_code == 200
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def operations(office: Office, realm: Realm) -> list[Operation]:
    """Method, address below the API's base with some id in it, and what the document says."""
    return [
        (method.upper(), re.sub(r"\{(\w+)\}", "x_0", path).removeprefix(BASES[realm]), operation)
        for path, item in (await document(office, realm))["paths"].items()
        for method, operation in item.items()
    ]


async def call(person: Person, operation: Operation, **rest: Any) -> httpx.Response:
    """With an example as the body, as the document gives it. Who was signed out by the call before signs in again."""
    method, path, said = operation
    content = [
        given["example"] if kind == "application/json" else given["example"].encode()
        for kind, given in said.get("requestBody", {"content": {}})["content"].items()
    ]
    answer = await person.call(method, path, *content, **rest)
    if answer.status_code == 401 and answer.json()["code"] == "session_invalid" and not rest:
        await person.enter()
        answer = await person.call(method, path, *content)
    return answer


async def somebody(office: Office, realm: Realm, *roles: str) -> Person:
    if realm is Realm.PLATFORM:
        return await (await office.person("mina", *roles)).enter()
    return await (await office.employee(await office.merchant(), "mina", *roles)).enter()


@pytest.mark.parametrize(("realm", "role"), EVERYBODY)
async def test_each_role_may_call_what_the_table_says_and_nothing_else(realm: Realm, role: str) -> None:
    office = Office()
    person = await somebody(office, realm, *filter(None, [role]))
    for operation in await operations(office, realm):
        office.clock.advance(1)
        answer = await call(person, operation)
        permission = operation[2].get("x-permission")
        allowed = permission is None or permission in BUILT_IN[realm].get(role, frozenset())
        assert answer.status_code < 500, f"{operation[:2]}: {answer.text}"
        refused = answer.status_code == 403 and answer.json()["code"] == "permission_missing"
        assert refused is not allowed, f"{role} {operation[:2]}: {answer.text}"


@pytest.mark.parametrize("realm", Realm)
async def test_without_a_session_nothing_is_open_but_the_door(realm: Realm) -> None:
    office, open_to_all = Office(), []
    nobody = Person(office, "", "", "", realm=realm)
    for operation in await operations(office, realm):
        answer = await call(nobody, operation, token=None)
        if operation[2].get("security") == []:
            open_to_all.append(operation[1])
            continue
        assert (answer.status_code, code_of(answer)) == (401, "not_signed_in"), operation[:2]
    assert open_to_all == OPEN_TO_ALL


@pytest.mark.parametrize("realm", Realm)
async def test_sessions_of_the_other_realm_and_machines_without_the_scope_open_nothing(realm: Realm) -> None:
    office = Office()
    other = Realm.MERCHANT if realm is Realm.PLATFORM else Realm.PLATFORM
    foreigner = await somebody(office, other, CHIEFS[other])
    mina = await (await office.person("chief", ADMINISTRATOR)).enter()
    made = await mina.call("POST", "/service_tokens", {"name": "m", "permissions": [], "valid_days": 1})
    for operation in await operations(office, realm):
        if operation[1] in OPEN_TO_ALL and operation[0] == "POST":
            continue
        answer = await call(foreigner, operation, realm=realm)
        assert (answer.status_code, code_of(answer)) == (401, "session_invalid"), operation[:2]
        answer = await call(foreigner, operation, realm=realm, token=made.json()["token"])
        expected = (403, "permission_missing") if realm is Realm.PLATFORM else (401, "session_invalid")
        assert (answer.status_code, code_of(answer)) == expected, operation[:2]


@pytest.mark.parametrize("realm", Realm)
async def test_what_needs_a_fresh_second_factor_is_closed_five_minutes_later(realm: Realm) -> None:
    office = Office()
    person = await somebody(office, realm, CHIEFS[realm])
    office.clock.advance(301)
    closed = [operation for operation in await operations(office, realm) if operation[2].get("x-step-up")]
    for operation in closed:
        answer = await call(person, operation)
        assert (answer.status_code, code_of(answer)) == (403, "step_up_required"), operation[:2]
    assert len(closed) >= 6


@pytest.mark.parametrize("realm", Realm)
async def test_the_document_has_every_route_and_nothing_else(realm: Realm) -> None:
    office = Office()
    documented = {(method, path) for path, item in (await document(office, realm))["paths"].items() for method in item}
    served = {
        (method.lower(), route.path_format)
        for route in office.apps[realm].routes
        if route.path.startswith(BASES[realm])
        for method in route.methods
        if method != "OPTIONS"
    }
    assert documented == served


@pytest.mark.parametrize("realm", Realm)
async def test_every_operation_says_what_it_does_and_every_field_what_it_means(realm: Realm) -> None:
    office = Office()
    found = await document(office, realm)
    ids = [operation["operationId"] for item in found["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids)
    for _, path, operation in await operations(office, realm):
        assert operation["summary"], path
        assert len(operation["description"]) > 10, path
    for name, schema in found["components"]["schemas"].items():
        for field, its in schema.get("properties", {}).items():
            assert its.get("description"), f"{name}.{field}"
        if name.endswith("Body"):
            assert schema["additionalProperties"] is False, name


@pytest.mark.parametrize("realm", Realm)
async def test_other_methods_are_refused_and_tell_nothing(realm: Realm) -> None:
    office = Office()
    nobody = Person(office, "", "", "", realm=realm)
    for _, path, _ in await operations(office, realm):
        told = await nobody.call("OPTIONS", path, token=None)
        assert (told.status_code, told.content) == (204, b""), path
        for method in ("TRACE", "CONNECT", "QUERY", "GETS"):
            assert (await nobody.call(method, path, token=None)).status_code == 405, (method, path)


def test_a_route_that_says_nothing_about_its_callers_does_not_start() -> None:
    @get("/forgotten")
    async def forgotten() -> None:
        """Somebody was in a hurry."""

    with pytest.raises(LookupError, match=r"opt=needs"):
        Office(handlers=[*ADMIN_HANDLERS, forgotten])


def test_a_permission_that_is_not_in_the_table_cannot_be_asked_for() -> None:
    with pytest.raises(KeyError):
        needs("merchants.suspned")


@pytest.mark.parametrize("realm", Realm)
def test_each_built_in_role_holds_what_the_table_gives_it(realm: Realm) -> None:
    table, (everything, *others, reads) = PERMISSIONS[realm], BUILT_IN[realm]
    assert BUILT_IN[realm][everything] == table.keys()
    assert all(name.endswith(".read") for name in BUILT_IN[realm][reads])
    assert {name for name, each in table.items() if each.reads} == BUILT_IN[realm][reads]
    for permission in table.values():
        assert permission.roles <= set(others), f"{permission.name} names a role that there is not"
        assert permission.meaning


def test_every_permission_is_asked_for_by_a_route_or_named_by_a_proposal() -> None:
    """One that nobody asks for is a promise to nobody."""
    asked = {rule_of(handler).permission for handler in (*ADMIN_HANDLERS, *MERCHANT_HANDLERS)}
    sources = [path for path in (ROOT / "src").rglob("*.py") if path.name != "permissions.py"]
    said = "\n".join(path.read_text() for path in sources)
    left = {name for realm in Realm for name in PERMISSIONS[realm]} - asked
    assert {name for name in left if f'"{name}"' not in said} == set()
    assert len(left) < 15


@pytest.mark.parametrize("realm", Realm)
async def test_whatever_changes_something_is_written_down(realm: Realm) -> None:
    office, changed = Office(), list[str]()
    person = await somebody(office, realm, CHIEFS[realm])
    for operation in await operations(office, realm):
        office.clock.advance(1)
        before = len(office.did())
        answer = await call(person, operation)
        if operation[0] != "GET" and answer.status_code < 300:
            assert len(office.did()) > before, operation[:2]
            changed.append(operation[1])
    assert len(changed) >= 3
