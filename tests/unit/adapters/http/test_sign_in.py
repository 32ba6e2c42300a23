"""Signing in and out: who is let in, who is told what, and what ends a session."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.limit_tries import NOTED, NOTED_OF_NOBODY
from application.purge import PurgeSessions
from domain.actors import AuditRecord
from domain.permissions import AUDITOR, FINANCE, RISK
from domain.sessions import IDLE, LONGEST
from domain.tokens import SESSION, make_token
from domain.users import UserStatus
from tests.fakes import START
from tests.unit.adapters.http.office import PASSWORD, PROXY, Office
from tests.unit.adapters.http.shop import code_of


@pytest.fixture
def office() -> Office:
    return Office()


async def test_who_knows_password_and_code_gets_a_session_and_learns_what_he_may_do(office: Office) -> None:
    mina = await office.person("mina", FINANCE, RISK)
    answer = await mina.try_to_enter(login=" Mina ")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    opened = answer.json()
    assert opened["duties"] == []
    mina.token = opened["token"]
    me = (await mina.call("GET", "/me")).json()
    assert (me["user"]["id"], me["user"]["roles"], me["fresh"]) == (mina.id, ["finance", "risk"], True)
    assert "audit.read" in me["permissions"]
    assert "operators.create" not in me["permissions"]
    assert office.did() == ["session.opened"]


WRONG: list[dict[str, Any]] = [
    {"password": "dragon fruit for tw0"}, {"login": "nobody"}, {"login": "…"}, {"login": "mina\x7f"},
    {"login": "x" * 200}, {"password": "x" * 200}, {"password": "…", "code": ...}, {"login": "nobody", "code": ...},
]  # fmt: skip


@pytest.mark.parametrize("changes", WRONG)
async def test_every_wrong_login_or_password_gets_the_same_answer(office: Office, changes: dict[str, Any]) -> None:
    mina = await office.person("mina", FINANCE)
    answer = await mina.try_to_enter(**changes)
    assert (answer.status_code, code_of(answer)) == (401, "sign_in_failed")
    assert answer.json()["detail"] == "login or password are not right"
    assert office.stored()["session"] == {}


def refused(office: Office) -> list[AuditRecord]:
    rows = sorted(office.house.database.tables.audit.committed.values(), key=lambda row: row.row)
    return [row.record for row in rows if row.record.action == "sign_in.refused"]


@pytest.mark.parametrize(
    ("changes", "known", "reason"),
    [
        ({"password": "hunter2 hunter2"}, True, "sign_in_failed"),
        ({"code": "000000"}, True, "totp_invalid"),
        ({"login": "hunter2hunter2"}, False, "sign_in_failed"),
        ({"login": "hunter2 " * 25}, False, "sign_in_failed"),
    ],
)
async def test_a_refused_sign_in_is_audited_without_what_was_typed(
    office: Office, changes: dict[str, Any], known: bool, reason: str
) -> None:
    mina = await office.person("mina", FINANCE)
    assert (await mina.try_to_enter(**changes, address="203.0.113.7")).status_code == 401
    (record,) = refused(office)
    assert (record.object_id, record.after) == (mina.id if known else "unknown", {"reason": reason})
    assert (record.actor.kind, record.actor.id, record.actor.address) == ("operator", "unknown", "203.0.113.7")
    assert record.actor.request_id is not None
    assert "hunter2" not in repr(record)


async def test_a_password_without_its_code_is_no_refused_sign_in(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    assert code_of(await mina.try_to_enter(code=...)) == "totp_required"
    assert refused(office) == []


async def test_the_audit_cannot_be_filled_with_refused_sign_ins(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    noah = await office.person("noah", FINANCE)
    for n in range(NOTED.most + 5):
        assert (await mina.try_to_enter(password="wrong", address=f"203.0.113.{n}")).status_code == 401
    for n in range(NOTED_OF_NOBODY.most + 5):
        assert (await mina.try_to_enter(login=f"nobody{n}", address=f"198.51.100.{n}")).status_code == 401
    assert (await noah.try_to_enter(password="wrong", address="192.0.2.1")).status_code == 401
    told = Counter(record.object_id for record in refused(office))
    assert told == {mina.id: NOTED.most, "unknown": NOTED_OF_NOBODY.most, noah.id: 1}
    office.clock.advance(NOTED.window.total_seconds())
    assert (await mina.try_to_enter(password="wrong", address="192.0.2.1")).status_code == 401
    assert len(refused(office)) == told.total() + 1


async def test_a_session_is_forgotten_ninety_days_after_it_has_run_out(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    await mina.enter()
    purge = PurgeSessions(office.house.database.unit_of_work, office.clock)
    office.clock.advance((LONGEST + timedelta(days=90)).total_seconds())
    assert await purge() == 0
    office.clock.advance(1)
    assert await purge() == 1
    assert office.stored()["session"] == {}
    assert office.did() == ["session.opened"], "the audit stays"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": UserStatus.DEACTIVATED},
        {"first_password_until": START},
    ],
)
async def test_who_was_deactivated_or_came_too_late_gets_that_answer_too(
    office: Office, changes: dict[str, Any]
) -> None:
    mina = await office.person("mina", FINANCE, **changes)
    answer = await mina.try_to_enter()
    assert (answer.status_code, code_of(answer)) == (401, "sign_in_failed")


async def test_a_code_is_asked_for_only_once_the_password_is_right(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    answer = await mina.try_to_enter(code=...)
    assert (answer.status_code, code_of(answer)) == (401, "totp_required")
    for wrong in ("000000", "abcd-efgh-ijkl-mnop", "１２３４５６", "      "):
        answer = await mina.try_to_enter(code=wrong, address=f"203.0.113.{len(office.did()) + ord(wrong[0]) % 200}")
        assert (answer.status_code, code_of(answer)) == (401, "totp_invalid")
    assert office.stored()["session"] == {}


async def test_a_code_works_once_and_none_from_before_it(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    before, code = mina.code(), mina.code()
    assert (await mina.try_to_enter(code=code)).status_code == 201
    for used in (code, before):
        answer = await mina.try_to_enter(code=used)
        assert (answer.status_code, code_of(answer)) == (401, "totp_invalid")


async def test_a_recovery_code_works_once_however_it_is_written(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    async with office.house.database.unit_of_work() as uow:
        user, codes = office.second_factor.renewed(await uow.users.lock(mina.id))
        await uow.users.save(user)
    assert len(set(codes)) == 10
    assert (await mina.try_to_enter(code=codes[0].upper())).status_code == 201
    assert (await mina.try_to_enter(code=codes[1].replace("-", ""))).status_code == 201
    for used in codes[:2]:
        assert code_of(await mina.try_to_enter(code=used)) == "totp_invalid"
    assert len(office.stored()["person"][mina.id].recovery) == 8


async def test_who_has_no_authenticator_may_do_nothing_but_set_one_up(office: Office) -> None:
    mina = await office.person("mina", FINANCE, totp=False)
    opened = (await mina.try_to_enter()).json()
    assert opened["duties"] == ["enrol_totp"]
    mina.token = opened["token"]
    answer = await mina.call("GET", "/proposals")
    assert (answer.status_code, code_of(answer)) == (403, "totp_enrolment_required")
    assert (await mina.call("GET", "/me")).json()["duties"] == ["enrol_totp"]


async def test_where_none_is_demanded_a_password_opens_everything() -> None:
    office = Office(totp_required=False)
    mina = await (await office.person("mina", FINANCE, totp=False)).enter()
    assert (await mina.call("GET", "/proposals")).status_code == 200
    assert (await mina.call("GET", "/me")).json()["fresh"] is True


async def test_a_first_password_opens_the_door_to_another_one_and_to_nothing_else(office: Office) -> None:
    until = office.clock.now() + timedelta(hours=1)
    mina = await (await office.person("mina", FINANCE, first_password_until=until)).enter()
    answer = await mina.call("GET", "/proposals")
    assert (answer.status_code, code_of(answer)) == (403, "password_change_required")


async def test_a_password_hashed_as_in_older_days_is_hashed_anew_at_the_next_sign_in(office: Office) -> None:
    mina = await office.person("mina", FINANCE, password_hash=f"old${(await office.passwords.hashed(PASSWORD))[7:]}")
    await mina.enter()
    assert not office.passwords.outdated(office.stored()["person"][mina.id].password_hash)
    await mina.enter()


async def test_an_account_is_closed_for_a_while_to_an_address_that_guesses_and_to_no_other(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    for _ in range(5):
        assert code_of(await mina.try_to_enter(password="wrong wrong wrong")) == "sign_in_failed"
    answer = await mina.try_to_enter()
    assert (answer.status_code, code_of(answer)) == (429, "too_many_attempts")
    assert int(answer.headers["retry-after"]) == 900
    assert (await mina.try_to_enter(address="203.0.113.8")).status_code == 201
    office.clock.advance(900)
    assert (await mina.try_to_enter()).status_code == 201


async def test_a_login_that_does_not_exist_is_closed_like_one_that_does(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    codes = [code_of(await mina.try_to_enter(login="nobody")) for _ in range(6)]
    assert codes == ["sign_in_failed"] * 5 + ["too_many_attempts"]


async def test_one_address_cannot_go_through_the_logins(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    codes = [code_of(await mina.try_to_enter(login=f"nobody{n}", code="123456")) for n in range(61)]
    assert codes == ["sign_in_failed"] * 60 + ["too_many_attempts"]


async def test_neighbours_in_one_ipv6_network_are_one_address(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    for n in range(5):
        await mina.try_to_enter(password="wrong wrong wrong", address=f"2001:db8::{n}")
    assert code_of(await mina.try_to_enter(address="2001:db8::ffff")) == "too_many_attempts"
    assert (await mina.try_to_enter(address="2001:db8:0:1::1")).status_code == 201


async def test_who_knows_the_password_cannot_go_through_the_codes(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    codes = [code_of(await mina.try_to_enter(code="000000", address=f"198.51.100.{n}")) for n in range(11)]
    assert codes == ["totp_invalid"] * 10 + ["too_many_attempts"]


async def test_a_success_forgets_the_slips_before_it(office: Office) -> None:
    mina = await office.person("mina", FINANCE)
    for _ in range(3):
        for _ in range(4):
            await mina.try_to_enter(password="wrong wrong wrong")
        assert (await mina.try_to_enter()).status_code == 201


async def test_a_session_ends_by_idleness_and_by_age(office: Office) -> None:
    mina = await (await office.person("mina", FINANCE)).enter()
    office.clock.advance(IDLE.total_seconds() - 1)
    assert (await mina.call("GET", "/me")).status_code == 200
    office.clock.advance(IDLE.total_seconds() - 1)
    assert (await mina.call("GET", "/me")).status_code == 200
    office.clock.advance(IDLE.total_seconds())
    answer = await mina.call("GET", "/me")
    assert (answer.status_code, code_of(answer)) == (401, "session_invalid")
    await mina.enter()
    for _ in range(int(LONGEST / timedelta(minutes=20))):
        assert (await mina.call("GET", "/me")).status_code == 200
        office.clock.advance(1200)
    assert (await mina.call("GET", "/me")).status_code == 401


async def test_signing_out_ends_this_session_and_no_other(office: Office) -> None:
    mina = await (await office.person("mina", FINANCE)).enter()
    other = replace(mina)
    await other.enter()
    assert (await mina.call("DELETE", "/sessions/current")).status_code == 204
    assert (await mina.call("GET", "/me")).status_code == 401
    (left,) = (await other.call("GET", "/sessions")).json()["data"]
    assert left["address"] == "203.0.113.7"
    assert (await other.call("DELETE", f"/sessions/{left['id']}")).status_code == 204
    assert (await other.call("GET", "/me")).status_code == 401


async def test_signing_out_everywhere_ends_them_all(office: Office) -> None:
    mina = await (await office.person("mina", FINANCE)).enter()
    other = replace(mina)
    await other.enter()
    assert (await mina.call("DELETE", "/sessions")).status_code == 204
    assert [(await each.call("GET", "/me")).status_code for each in (mina, other)] == [401, 401]


async def test_nobody_ends_anothers_session(office: Office) -> None:
    mina, noah = await (await office.person("mina")).enter(), await (await office.person("noah")).enter()
    (theirs,) = (await noah.call("GET", "/sessions")).json()["data"]
    answer = await mina.call("DELETE", f"/sessions/{theirs['id']}")
    assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert (await noah.call("GET", "/me")).status_code == 200


async def test_what_is_taken_away_is_gone_at_the_next_call(office: Office) -> None:
    mina = await (await office.person("mina", AUDITOR)).enter()
    assert (await mina.call("GET", "/proposals")).status_code == 200
    for changes, status in (({"roles": frozenset()}, 403), ({"status": UserStatus.DEACTIVATED}, 401)):
        async with office.house.database.unit_of_work() as uow:
            await uow.users.save(replace(await uow.users.lock(mina.id), **changes))
        assert (await mina.call("GET", "/proposals")).status_code == status


async def test_a_fresh_second_factor_goes_on_under_a_new_token(office: Office) -> None:
    mina = await (await office.person("mina", FINANCE)).enter()
    office.clock.advance(301)
    assert (await mina.call("GET", "/me")).json()["fresh"] is False
    answer = await mina.call("POST", "/sessions/current/prove", {"code": mina.code()})
    assert answer.status_code == 200
    assert (await mina.call("GET", "/me")).status_code == 401
    mina.token = answer.json()["token"]
    assert (await mina.call("GET", "/me")).json()["fresh"] is True


async def test_a_wrong_code_and_a_password_prove_nothing(office: Office) -> None:
    mina = await (await office.person("mina", FINANCE)).enter()
    office.clock.advance(301)
    for body, code in (
        ({"code": "000000"}, "totp_invalid"),
        ({"password": PASSWORD}, "totp_invalid"),
        ({}, "totp_invalid"),
    ):
        answer = await mina.call("POST", "/sessions/current/prove", body)
        assert (answer.status_code, code_of(answer)) == (401, code)
    assert (await mina.call("GET", "/me")).json()["fresh"] is False


async def test_without_an_authenticator_a_password_proves_only_where_none_is_demanded() -> None:
    for required, status in ((False, 200), (True, 401)):
        office = Office(totp_required=required)
        mina = await (await office.person("mina", FINANCE, totp=False)).enter()
        office.clock.advance(301)
        wrong = await mina.call("POST", "/sessions/current/prove", {"password": "wrong"})
        assert wrong.status_code == 401
        assert (await mina.call("POST", "/sessions/current/prove", {"password": PASSWORD})).status_code == status


@pytest.mark.parametrize(
    ("url", "name"), [("https://pay.example", "__Host-pitaya_admin"), ("http://x", "pitaya_admin")]
)
async def test_a_cookie_is_for_our_own_pages_alone(url: str, name: str) -> None:
    office = Office(public_url=url)
    mina = await office.person("mina", FINANCE)
    answer = await mina.try_to_enter(cookie=True)
    assert answer.json()["token"] is None
    set_cookie = answer.headers["set-cookie"]
    assert set_cookie.startswith(f"{name}=pty_ss_")
    flags = {part.strip().lower() for part in set_cookie.split(";")}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert ("secure" in flags) is url.startswith("https")
    cookie = {"Cookie": set_cookie.partition(";")[0]}
    foreign = await office.call("GET", "/me", headers=cookie)
    assert (foreign.status_code, code_of(foreign)) == (403, "console_header_missing")
    ours = cookie | {"X-Pitaya-Console": "1"}
    assert (await office.call("GET", "/me", headers=ours)).status_code == 200
    proved = await office.call("POST", "/sessions/current/prove", {"code": mina.code()}, headers=ours)
    assert proved.json()["token"] is None
    assert proved.headers["set-cookie"].startswith(f"{name}=pty_ss_")
    assert (await office.call("GET", "/me", headers=ours)).status_code == 401


UNKNOWN = make_token(SESSION, "x" * 37)


@pytest.mark.parametrize("header", [
    "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", f"Bearer {UNKNOWN}", f"Bearer {UNKNOWN[:-1]}0", f"Token {UNKNOWN}",
    "Bearer pty_sk_test_" + "x" * 43, "Bearer " + "x" * 5_000, "Bearer pty_ss_" + "é" * 43,
])  # fmt: skip
async def test_anything_but_a_valid_token_is_refused(office: Office, header: str) -> None:
    raw = {"Authorization": header.encode("latin-1").decode("latin-1")} if header.isascii() else {}
    answer = await office.call("GET", "/me", headers=raw)
    assert answer.status_code == 401
    assert code_of(answer) in ("session_invalid", "not_signed_in")


async def test_the_token_is_nowhere_but_in_its_answer(office: Office) -> None:
    mina = await (await office.person("mina", FINANCE)).enter()
    proved = await mina.call(
        "POST", "/sessions/current/prove", {"code": mina.code()}, headers={"Idempotency-Key": "once"}
    )
    kept = repr(office.stored())
    for secret in (mina.token, proved.json()["token"], PASSWORD, mina.secret):
        assert secret not in kept.replace(repr(secret.encode()), "")
    mina.token = proved.json()["token"]
    again = await mina.call(
        "POST", "/sessions/current/prove", {"code": mina.code()}, headers={"Idempotency-Key": "twice"}
    )
    mina.token = again.json()["token"]


async def test_a_proxy_of_ours_says_who_calls_and_a_foreign_one_only_says_so(office: Office) -> None:
    mina = await (await office.person("mina", FINANCE)).enter()
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.50"}
    for address in (PROXY, "203.0.113.9"):
        body = {"login": "mina", "password": PASSWORD, "code": mina.code()}
        await office.call("POST", "/sessions", body, headers=headers, address=address)
    listed = (await mina.call("GET", "/sessions")).json()["data"]
    assert [each["address"] for each in listed] == ["203.0.113.7", "203.0.113.50", "203.0.113.9"]
