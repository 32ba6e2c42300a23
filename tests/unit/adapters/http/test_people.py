"""People, roles and machines' tokens: who may give what to whom, and what nobody can do to himself."""

from dataclasses import replace
from typing import Any

import pytest

from domain.permissions import ADMINISTRATOR, AUDITOR, BUILT_IN, FINANCE, OPERATIONS, RISK, Realm
from domain.users import RECOVERY_CODES
from tests.unit.adapters.http.office import PASSWORD, Office, Person
from tests.unit.adapters.http.shop import code_of

NEW = {"login": "noah", "name": "Noah", "roles": ["finance"]}


@pytest.fixture
def office() -> Office:
    return Office()


async def boss(office: Office, login: str = "mina", *roles: str) -> Person:
    return await (await office.person(login, *(roles or (ADMINISTRATOR,)))).enter()


async def staff(office: Office) -> Person:
    """An administrator's deputy: may create, edit, reset and deactivate operators, and holds a few things besides."""
    chief = await boss(office, "chief")
    permissions = [name for name in BUILT_IN[Realm.PLATFORM][ADMINISTRATOR] if name.startswith("operators.")]
    role = {"name": "deputy", "meaning": "hires people", "permissions": [*permissions, "roles.read", "proposals.read"]}
    assert (await chief.call("POST", "/roles", role)).status_code == 201
    return await boss(office, "deputy", "deputy")


async def test_a_new_operator_enters_with_the_first_password_and_goes_on_with_his_own(office: Office) -> None:
    mina = await boss(office)
    made = await mina.call("POST", "/operators", NEW)
    assert made.status_code == 201
    noah = Person(office, made.json()["user"]["id"], "noah", "")
    first = made.json()["first_password"]
    opened = (await noah.try_to_enter(password=first)).json()
    assert opened["duties"] == ["change_password", "enrol_totp"]
    noah.token = opened["token"]
    change = {"current": first, "password": PASSWORD}
    assert (await noah.call("PUT", "/me/password", change)).status_code == 200
    begun = (await noah.call("POST", "/me/totp", {"password": PASSWORD})).json()
    assert begun["uri"].startswith("otpauth://totp/")
    assert begun["qr_svg"].startswith("<svg")
    noah.secret = begun["secret"]
    assert code_of(await noah.call("GET", "/proposals")) == "totp_enrolment_required"
    codes = (await noah.call("POST", "/me/totp/confirm", {"code": noah.code()})).json()["recovery_codes"]
    assert len(set(codes)) == RECOVERY_CODES
    assert (await noah.call("GET", "/proposals")).status_code == 200
    assert (await noah.try_to_enter(code=codes[0])).status_code == 201
    assert code_of(await noah.try_to_enter(password=first)) == "sign_in_failed"


async def test_a_first_password_is_worth_nothing_after_three_days(office: Office) -> None:
    mina = await boss(office)
    first = (await mina.call("POST", "/operators", NEW)).json()["first_password"]
    office.clock.advance(72 * 3600)
    answer = await Person(office, "", "noah", "").try_to_enter(password=first)
    assert (answer.status_code, code_of(answer)) == (401, "sign_in_failed")


async def test_what_is_shown_once_is_not_shown_again(office: Office) -> None:
    mina = await boss(office)
    key = {"Idempotency-Key": "k-1"}
    first, again = [await mina.call("POST", "/operators", NEW, headers=key) for _ in range(2)]
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.json()["user"], again.json()["first_password"]) == (first.json()["user"], None)
    assert first.json()["first_password"] not in repr(office.stored())


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"login": "Mina"}, 409, "login_taken"), ({"login": "a b"}, 422, "login_invalid"),
    ({"roles": ["boss"]}, 422, "role_unknown"), ({"roles": ["owner"]}, 422, "role_unknown"),
    ({"name": ""}, 422, "value_invalid"),
    ({"admin": True}, 400, "field_unknown"), ({"roles": "x"}, 400, "type_invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "status", "code"), BAD)
async def test_an_operator_who_cannot_be_is_refused(
    office: Office, changes: dict[str, Any], status: int, code: str
) -> None:
    mina = await boss(office)
    answer = await mina.call("POST", "/operators", NEW | changes)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert len(office.stored()["person"]) == 1


@pytest.mark.parametrize("password", [
    "short", "12345678901", "mina-mina-12", "Mina MINA", "aaaaaaaaaaaaaaaa", "abcdefghijklmno", "210987654321",
    "x" * 129, "abababababababab", PASSWORD,
])  # fmt: skip
async def test_a_password_that_others_would_guess_is_refused(office: Office, password: str) -> None:
    mina = await boss(office)
    answer = await mina.call("PUT", "/me/password", {"current": PASSWORD, "password": password})
    assert (answer.status_code, code_of(answer)) == (422, "password_unsuitable")
    assert password not in answer.text


@pytest.mark.parametrize(
    "password", ["correct horse battery", "水果店的密码是一个很长的句子", "  a b c d e f g", "mina likes her tea hot"]
)
async def test_any_other_long_one_will_do(office: Office, password: str) -> None:
    mina = await boss(office)
    answer = await mina.call("PUT", "/me/password", {"current": PASSWORD, "password": password})
    assert answer.status_code == 200


@pytest.mark.parametrize("field", ["id", "user_id", "person_id", "record_id", "recordId", "login"])
async def test_a_password_is_changed_for_who_is_signed_in_whoever_the_body_names(office: Office, field: str) -> None:
    """J8: an id in the request reset somebody else's password."""
    mina, victim = await boss(office), await boss(office, "noah")
    body = {"current": PASSWORD, "password": "correct horse battery", field: "noah" if field == "login" else victim.id}
    before = office.stored()["person"]
    assert (await mina.call("PUT", "/me/password", body)).status_code == 400
    assert office.stored()["person"] == before
    assert (await victim.call("GET", "/me")).status_code == 200


async def test_a_changed_password_ends_the_other_sessions(office: Office) -> None:
    mina = await boss(office)
    other = replace(mina)
    await other.enter()
    body = {"current": PASSWORD, "password": "correct horse battery"}
    assert code_of(await mina.call("PUT", "/me/password", body | {"current": "wrong"})) == "sign_in_failed"
    assert (await mina.call("PUT", "/me/password", body)).status_code == 200
    assert [(await each.call("GET", "/me")).status_code for each in (mina, other)] == [200, 401]


async def test_a_stolen_session_cannot_set_up_another_authenticator(office: Office) -> None:
    mina = await boss(office)
    answer = await mina.call("POST", "/me/totp", {"password": "wrong wrong wrong"})
    assert (answer.status_code, code_of(answer)) == (401, "sign_in_failed")
    answer = await mina.call("POST", "/me/totp", {"password": PASSWORD})
    assert (answer.status_code, code_of(answer)) == (409, "totp_enrolled")
    answer = await mina.call("POST", "/me/totp/confirm", {"code": mina.code()})
    assert (answer.status_code, code_of(answer)) == (401, "totp_invalid")


async def test_new_recovery_codes_take_the_place_of_the_old(office: Office) -> None:
    mina = await boss(office)
    old, new = [(await mina.call("POST", "/me/recovery_codes")).json()["recovery_codes"] for _ in range(2)]
    assert code_of(await mina.try_to_enter(code=old[0])) == "totp_invalid"
    assert (await mina.try_to_enter(code=new[0])).status_code == 201
    office.clock.advance(301)
    assert code_of(await mina.call("POST", "/me/recovery_codes")) == "step_up_required"


async def test_new_roles_are_in_force_with_the_next_call(office: Office) -> None:
    mina, noah = await boss(office), await boss(office, "noah", OPERATIONS)
    assert (await noah.call("GET", "/audit")).status_code == 403
    edited = await mina.call("PATCH", f"/operators/{noah.id}", {"roles": ["risk"], "name": "Noah Li"})
    assert (edited.json()["roles"], edited.json()["name"]) == (["risk"], "Noah Li")
    assert (await noah.call("GET", "/audit")).status_code == 200


YOURSELF = [
    ("PATCH", "", {"roles": ["administrator", "finance"]}), ("PATCH", "", {"name": "x"}), ("POST", "/deactivate", ...),
    ("POST", "/reset", {}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), YOURSELF)
async def test_nobody_does_it_to_himself(office: Office, method: str, path: str, body: Any) -> None:
    mina, _ = await boss(office), await boss(office, "noah")
    answer = await mina.call(method, f"/operators/{mina.id}{path}", *(() if body is ... else (body,)))
    assert (answer.status_code, code_of(answer)) == (403, "not_on_yourself")


@pytest.mark.parametrize("roles", [[ADMINISTRATOR], [FINANCE], ["deputy", RISK]])
async def test_nobody_gives_what_he_does_not_hold(office: Office, roles: list[str]) -> None:
    deputy = await staff(office)
    noah = await office.person("noah", "deputy")
    for method, path, body in (
        ("POST", "/operators", NEW | {"login": "nora", "roles": roles}),
        ("PATCH", f"/operators/{noah.id}", {"roles": roles}),
    ):
        answer = await deputy.call(method, path, body)
        assert (answer.status_code, code_of(answer)) == (403, "beyond_your_permissions")
    assert (await deputy.call("POST", "/operators", NEW | {"login": "nora", "roles": ["deputy"]})).status_code == 201


@pytest.mark.parametrize(("method", "path", "body"), YOURSELF)
async def test_nobody_lays_hands_on_who_may_more_than_he_does(
    office: Office, method: str, path: str, body: Any
) -> None:
    """A new password for an administrator would be the administrator's power."""
    deputy = await staff(office)
    mina, _ = await office.person("mina", ADMINISTRATOR), await office.person("noah", ADMINISTRATOR)
    body = {"roles": []} if method == "PATCH" and "roles" in body else body
    answer = await deputy.call(method, f"/operators/{mina.id}{path}", *(() if body is ... else (body,)))
    assert (answer.status_code, code_of(answer)) == (403, "beyond_your_permissions")


async def test_the_last_administrator_stays(office: Office) -> None:
    mina, noah = await boss(office), await boss(office, "noah")
    assert (await mina.call("POST", f"/operators/{noah.id}/deactivate")).status_code == 200
    assert (await mina.call("GET", f"/operators/{noah.id}")).json()["status"] == "deactivated"
    token = await mina.call("POST", "/operators", NEW | {"login": "nora", "roles": [ADMINISTRATOR]})
    nora = token.json()["user"]["id"]
    assert (await mina.call("PATCH", f"/operators/{nora}", {"roles": [RISK]})).status_code == 200
    # A custom role with everything in it may do all that an administrator may, and cannot take the last one away.
    everything = sorted(BUILT_IN[Realm.PLATFORM][ADMINISTRATOR])
    role = {"name": "twin", "meaning": "everything, too", "permissions": everything}
    assert (await mina.call("POST", "/roles", role)).status_code == 201
    twin = await boss(office, "twin", "twin")
    for method, path, body in (("POST", "/deactivate", ...), ("PATCH", "", {"roles": [RISK]})):
        answer = await twin.call(method, f"/operators/{mina.id}{path}", *(() if body is ... else (body,)))
        assert (answer.status_code, code_of(answer)) == (409, "last_administrator")
    assert (await twin.call("POST", f"/operators/{noah.id}/reactivate")).status_code == 200
    assert (await twin.call("POST", f"/operators/{mina.id}/deactivate")).status_code == 200
    assert (await mina.call("GET", "/me")).status_code == 401


async def test_a_reset_ends_every_session_and_begins_anew(office: Office) -> None:
    mina, noah = await boss(office), await boss(office, "noah", FINANCE)
    reset = (await mina.call("POST", f"/operators/{noah.id}/reset", {"authenticator": True})).json()
    assert (await noah.call("GET", "/me")).status_code == 401
    assert code_of(await noah.try_to_enter()) == "sign_in_failed"
    opened = (await noah.try_to_enter(password=reset["first_password"], code=...)).json()
    assert opened["duties"] == ["change_password", "enrol_totp"]


async def test_operators_are_listed_newest_first(office: Office) -> None:
    mina = await boss(office)
    for n in range(3):
        office.clock.advance(1)
        await office.person(f"p{n}", FINANCE)
    page = (await mina.call("GET", "/operators?limit=3")).json()
    assert [each["login"] for each in page["data"]] == ["p2", "p1", "p0"]
    rest = (await mina.call("GET", f"/operators?cursor={page['next_cursor']}")).json()
    assert ([each["login"] for each in rest["data"]], rest["next_cursor"]) == (["mina"], None)
    assert (await mina.call("GET", "/operators?status=deactivated")).json()["data"] == []
    assert "password_hash" not in str(page)


ROLE = {"name": "night", "meaning": "looks after things at night", "permissions": ["audit.read", "proposals.read"]}


async def test_a_custom_role_is_made_changed_given_and_retired(office: Office) -> None:
    mina, noah = await boss(office), await boss(office, "noah", AUDITOR)
    assert (await mina.call("POST", "/roles", ROLE)).status_code == 201
    assert code_of(await mina.call("POST", "/roles", ROLE)) == "role_taken"
    assert (await mina.call("PATCH", f"/operators/{noah.id}", {"roles": ["night"]})).status_code == 200
    assert [(await noah.call("GET", path)).status_code for path in ("/audit", "/operators")] == [200, 403]
    changed = await mina.call("PATCH", "/roles/night", {"permissions": ["operators.read"]})
    assert changed.json()["permissions"] == ["operators.read"]
    assert [(await noah.call("GET", path)).status_code for path in ("/audit", "/operators")] == [403, 200]
    assert code_of(await mina.call("POST", "/roles/night/retire")) == "role_in_use"
    assert (await mina.call("PATCH", f"/operators/{noah.id}", {"roles": []})).status_code == 200
    assert (await mina.call("POST", "/roles/night/retire")).status_code == 200
    assert code_of(await mina.call("PATCH", f"/operators/{noah.id}", {"roles": ["night"]})) == "role_unknown"
    assert "night" not in [each["name"] for each in (await mina.call("GET", "/roles")).json()["data"]]


async def test_nobody_makes_himself_a_role(office: Office) -> None:
    chief = await boss(office, "chief")
    writer = {"name": "writer", "meaning": "writes roles", "permissions": ["roles.write", "roles.read"]}
    assert (await chief.call("POST", "/roles", writer)).status_code == 201
    noah = await boss(office, "noah", "writer")
    for method, path, body, code in (
        ("POST", "/roles", ROLE, "beyond_your_permissions"),
        ("PATCH", "/roles/writer", {"permissions": ["roles.read"]}, "not_on_yourself"),
        ("PATCH", "/roles/finance", {"meaning": "x"}, "role_built_in"),
        ("POST", "/roles", ROLE | {"permissions": ["everything"]}, "permission_unknown"),
        ("POST", "/roles", ROLE | {"permissions": [], "name": "finance"}, "role_taken"),
        ("PATCH", "/roles/nothing", {"meaning": "x"}, "not_found"),
    ):
        assert code_of(await noah.call(method, path, body)) == code
    assert (await chief.call("POST", "/roles", ROLE)).status_code == 201
    answer = await noah.call("PATCH", "/roles/night", {"permissions": ["roles.read"]})
    assert code_of(answer) == "beyond_your_permissions"


async def test_every_permission_is_listed_with_who_holds_it(office: Office) -> None:
    mina = await boss(office, "mina", RISK)
    listed = {each["name"]: each for each in (await mina.call("GET", "/permissions")).json()["data"]}
    assert listed["audit.read"]["roles"] == [ADMINISTRATOR, RISK, AUDITOR]
    assert all(ADMINISTRATOR in each["roles"] and each["meaning"] for each in listed.values())


TOKEN = {"name": "nightly", "permissions": ["audit.read", "operators.create"], "valid_days": 30}


async def machine(office: Office, mina: Person, **changes: Any) -> Person:
    made = await mina.call("POST", "/service_tokens", TOKEN | changes)
    assert made.status_code == 201, made.text
    return Person(office, made.json()["service_token"]["id"], "nightly", "", made.json()["token"])


async def test_a_machine_may_what_its_token_says_and_nothing_that_wants_a_second_factor(office: Office) -> None:
    mina = await boss(office)
    nightly = await machine(office, mina)
    assert nightly.token.startswith("pty_st_")
    assert (await nightly.call("GET", "/audit")).status_code == 200
    assert code_of(await nightly.call("GET", "/operators")) == "permission_missing"
    assert code_of(await nightly.call("POST", "/operators", NEW)) == "step_up_required"
    for method, path in (("GET", "/me"), ("GET", "/sessions"), ("DELETE", "/sessions")):
        assert code_of(await nightly.call(method, path)) == "permission_missing"
    (listed,) = (await mina.call("GET", "/service_tokens")).json()["data"]
    assert listed["last4"] == nightly.token[-4:]
    assert listed["used_at"] is not None
    assert nightly.token not in repr(office.stored())


async def test_a_token_never_can_more_than_its_maker_can_now(office: Office) -> None:
    chief = await boss(office, "chief")
    mina = await boss(office, "mina")
    nightly = await machine(office, mina)
    assert (await chief.call("PATCH", f"/operators/{mina.id}", {"roles": [FINANCE]})).status_code == 200
    assert code_of(await nightly.call("GET", "/audit")) == "permission_missing"
    assert (await chief.call("PATCH", f"/operators/{mina.id}", {"roles": [RISK]})).status_code == 200
    assert (await nightly.call("GET", "/audit")).status_code == 200
    assert (await chief.call("POST", f"/operators/{mina.id}/deactivate")).status_code == 200
    assert code_of(await nightly.call("GET", "/audit")) == "session_invalid"


async def test_a_token_ends_by_revocation_and_by_age(office: Office) -> None:
    mina = await boss(office)
    first, second = await machine(office, mina), await machine(office, mina, valid_days=1)
    for _ in range(2):
        assert (await mina.call("POST", f"/service_tokens/{first.id}/revoke")).status_code == 200
    assert [(await each.call("GET", "/audit")).status_code for each in (first, second)] == [401, 200]
    office.clock.advance(24 * 3600)
    assert (await second.call("GET", "/audit")).status_code == 401


async def test_nobody_makes_a_token_for_more_than_he_holds(office: Office) -> None:
    chief = await boss(office, "chief")
    role = {"name": "maker", "meaning": "makes tokens", "permissions": ["service_tokens.create"]}
    assert (await chief.call("POST", "/roles", role)).status_code == 201
    noah = await boss(office, "noah", "maker")
    assert code_of(await noah.call("POST", "/service_tokens", TOKEN)) == "beyond_your_permissions"
    unknown = TOKEN | {"permissions": ["everything.read"]}
    assert code_of(await noah.call("POST", "/service_tokens", unknown)) == "permission_unknown"
    assert code_of(await noah.call("POST", "/service_tokens", TOKEN | {"valid_days": 367})) == "value_invalid"


async def test_what_a_machine_does_is_written_down_with_the_operator_behind_it(office: Office) -> None:
    mina = await boss(office)
    nightly = await machine(office, mina, permissions=["service_tokens.revoke", "audit.read"])
    await nightly.call("POST", f"/service_tokens/{nightly.id}/revoke")
    page = (await mina.call("GET", f"/audit?object_id={nightly.id}")).json()["data"]
    assert [each["action"] for each in page] == ["service_token.revoked", "service_token.created"]
    assert (page[0]["actor_kind"], page[0]["actor_id"], page[0]["behind"]) == ("service", nightly.id, mina.id)
    assert page[0]["address"] == "203.0.113.7"


async def test_the_audit_is_filtered_and_paged(office: Office) -> None:
    mina, noah = await boss(office), await boss(office, "noah", RISK)
    for n in range(3):
        await mina.call("POST", "/operators", NEW | {"login": f"p{n}"})
    first = (await noah.call("GET", f"/audit?actor_id={mina.id}&limit=2")).json()
    rest = (await noah.call("GET", f"/audit?actor_id={mina.id}&cursor={first['next_cursor']}")).json()
    actions = [each["action"] for each in (*first["data"], *rest["data"])]
    assert actions == ["user.created"] * 3 + ["session.opened"]
    assert (await noah.call("GET", "/audit?merchant_id=mch_1")).json()["data"] == []
    assert code_of(await noah.call("GET", "/audit?cursor=abc")) == "cursor_invalid"
