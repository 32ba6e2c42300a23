"""/admin/v1 for channel accounts and credentials over HTTP: checked on entry, written and never read, rotated."""

import asyncio
from typing import Any

import pytest

from domain.actors import SYSTEM
from domain.channels import Credential, Method
from domain.errors import Conflict
from domain.permissions import ADMINISTRATOR, OPERATIONS
from tests.fakes.channel import ChannelFault
from tests.fakes.house import caller
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import code_of

SECRET = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj-canary"
TOKEN = "202611BB-canary-of-a-token"
ACCOUNT: dict[str, Any] = {
    "channel": "alipay",
    "mode": "test",
    "payee": "2088000000000001",
    "methods": ["alipay_qr", "alipay_wap"],
    "cost_rate_ppm": 3_800,
    "cost_rates": [{"method": "alipay_wap", "rate_ppm": 6_000}],
    "priority": 7,
    "app_auth_token": TOKEN,
    "sub_app_secret": "canary-of-an-app-secret",
    "credential": {
        "app_id": "2021000000000001",
        "public": {"alipay_public_key": "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"},
        "secrets": {"app_private_key": SECRET},
    },
}


@pytest.fixture
def office() -> Office:
    return Office()


async def enter(office: Office, role: str = ADMINISTRATOR) -> Person:
    return await (await office.person(f"p{office.house.ids.token(6).lower()}", role)).enter()


async def added(person: Person, **changes: Any) -> dict[str, Any]:
    answer = await person.call("POST", "/channel_accounts", {**ACCOUNT, **changes})
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def test_an_account_is_checked_by_the_channel_stored_and_shown_without_its_secrets(office: Office) -> None:
    admin = await enter(office)
    asked: list[str] = []
    office.house.alipay.faults.choose = asked.append
    account = await added(admin)
    (query,) = asked
    assert query.startswith("query PTY"), "a number of our scheme that cannot exist"
    assert (account["fund_mode"], account["authorised"], account["enabled"]) == ("collect", True, True)
    assert account["cost_rates"] == [{"method": "alipay_wap", "rate_ppm": 6_000}]
    credential = account["credential"]
    assert (credential["version"], list(credential["fingerprints"])) == (1, ["app_private_key"])
    assert len(credential["fingerprints"]["app_private_key"]) == 4
    everything = [(await admin.call("GET", path)).text for path in
                  ("/channel_accounts", f"/channel_accounts/{account['id']}")]  # fmt: skip
    everything += [repr(office.stored())]
    for text in everything:
        assert SECRET not in text
        assert TOKEN not in text
        assert "canary-of-an-app-secret" not in text
    access = await office.parts.keep_accounts.get(account["id"])
    assert SECRET in office.house.vault.open(f"credential|{credential['id']}|sealed", access.credential.sealed).decode()
    assert TOKEN in office.house.vault.open(f"channel_account|{account['id']}|sealed", access.account.sealed).decode()


@pytest.mark.parametrize("fault", [ChannelFault.UNAVAILABLE, ChannelFault.UNKNOWN_UNDONE, ChannelFault.REJECTED])
async def test_what_the_channel_does_not_accept_is_not_stored(office: Office, fault: ChannelFault) -> None:
    admin = await enter(office)
    office.house.alipay.faults.always = fault
    before = office.stored()
    answer = await admin.call("POST", "/channel_accounts", ACCOUNT)
    assert (answer.status_code, code_of(answer)) == (422, "credential_check_failed")
    assert "the channel said" in answer.json()["detail"]
    assert office.stored() == before
    assert SECRET not in answer.text
    skipped = await admin.call("POST", "/channel_accounts", {**ACCOUNT, "check": False})
    assert skipped.status_code == 201
    answer = await admin.call("POST", "/channel_accounts", {**ACCOUNT, "check": False, "mode": "live"})
    assert (answer.status_code, code_of(answer)) == (422, "check_required")
    answer = await admin.call("POST", f"/channel_accounts/{skipped.json()['id']}/check")
    assert (answer.status_code, code_of(answer)) == (422, "credential_check_failed")
    office.house.alipay.faults.always = None
    assert (await admin.call("POST", f"/channel_accounts/{skipped.json()['id']}/check")).status_code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"methods": ["wechat_native"]}, "method_invalid"),
        ({"methods": []}, "value_invalid"),
        ({"methods": ["cash"]}, "value_invalid"),
        ({"channel": "paypal"}, "value_invalid"),
        ({"payee": "../../etc"}, "value_invalid"),
        ({"payee": ""}, "value_invalid"),
        ({"cost_rate_ppm": 1_000_001}, "value_invalid"),
        ({"cost_rates": [{"method": "alipay_qr", "rate_ppm": 1}] * 2}, "value_invalid"),
        ({"priority": 10**9}, "value_invalid"),
        ({"credential": None}, "field_missing"),
        ({"credential_id": "crd_0"}, "field_missing"),
        ({"credential": None, "credential_id": "crd_00000000000000000000000000"}, "not_found"),
        ({"merchant_id": "mch_00000000000000000000000000"}, "not_found"),
        ({"credential": {**ACCOUNT["credential"], "secrets": {"password": "x"}}}, "credential_field_unknown"),
        ({"credential": {**ACCOUNT["credential"], "public": {"app_private_key": "x"}}}, "credential_field_unknown"),
        (
            {"credential": {**ACCOUNT["credential"], "public": {"alipay_public_key": "-----BEGIN PRIVATE KEY-----"}}},
            "credential_field_unknown",
        ),
        ({"secret": "x"}, "field_unknown"),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_kept(office: Office, change: dict[str, Any], code: str) -> None:
    admin = await enter(office)
    before = office.stored()
    answer = await admin.call("POST", "/channel_accounts", {**ACCOUNT, **change})
    assert 400 <= answer.status_code < 500
    assert code_of(answer) == code, answer.text
    assert office.stored() == before
    assert SECRET not in answer.text


async def test_a_merchants_own_account_is_direct_and_its_credential_serves_nobody_else(office: Office) -> None:
    admin, house = await enter(office), office.house
    mine, other = (await house.merchant()).merchant.id, (await house.merchant()).merchant.id
    account = await added(admin, merchant_id=mine)
    assert account["fund_mode"] == "direct"
    again = {**ACCOUNT, "credential": None, "credential_id": account["credential"]["id"], "payee": "2088000000000002"}
    assert (await added(admin, **again, merchant_id=mine))["credential"]["id"] == account["credential"]["id"]
    for wrong in ({"merchant_id": other}, {"merchant_id": None}, {"merchant_id": mine, "mode": "live"}):
        answer = await admin.call("POST", "/channel_accounts", {**again, **wrong})
        assert (answer.status_code, code_of(answer)) == (422, "credential_mismatch"), wrong
    listed = (await admin.call("GET", f"/channel_accounts?merchant_id={mine}")).json()["data"]
    assert {each["payee"] for each in listed} == {"2088000000000001", "2088000000000002"}


async def test_a_providers_credential_serves_the_accounts_of_its_sub_merchants(office: Office) -> None:
    admin, house = await enter(office), office.house
    merchants = [(await house.merchant()).merchant.id for _ in range(2)]
    provider = {**ACCOUNT["credential"], "provider": "2088000000000009"}
    first = await added(admin, merchant_id=merchants[0], credential=provider)
    second = await added(
        admin,
        merchant_id=merchants[1],
        credential=None,
        credential_id=first["credential"]["id"],
        payee="2088000000000003",
    )
    assert (first["fund_mode"], second["fund_mode"]) == ("direct", "direct")
    assert second["credential"]["merchant_id"] is None


async def test_an_account_is_edited_and_switched(office: Office) -> None:
    admin = await enter(office)
    account = await added(admin)
    path = f"/channel_accounts/{account['id']}"
    changes = {"methods": ["alipay_app"], "cost_rate_ppm": 1, "cost_rates": [], "priority": -5}
    answer = await admin.call("PATCH", path, changes)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in changes} == changes
    assert (await admin.call("PATCH", path, {"methods": ["wechat_app"]})).json()["code"] == "method_invalid"
    assert (await admin.call("POST", f"{path}/disable")).json()["enabled"] is False
    assert (await admin.call("POST", f"{path}/enable")).json()["enabled"] is True
    assert office.did()[-4:] == ["channel_account.added", *["channel_account.edited"] * 3]
    for method, rest in (("PATCH", ({"priority": 1},)), ("GET", ())):
        answer = await admin.call(method, "/channel_accounts/cha_00000000000000000000000000", *rest)
        assert (answer.status_code, code_of(answer)) == (404, "not_found")


async def test_a_credential_is_rotated_and_its_earlier_keys_stand_for_a_while(office: Office) -> None:
    admin = await enter(office)
    before = (await added(admin))["credential"]
    new = {"public": {"alipay_public_key": "new"}, "secrets": {"app_private_key": "another-canary"}, "overlap_hours": 2}
    answer = await admin.call("POST", f"/credentials/{before['id']}/rotate", new)
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["version"], after["public"]) == (2, new["public"])
    assert after["fingerprints"] != before["fingerprints"]
    assert after["previous_until"] > office.clock.now().isoformat()[:19]
    assert "another-canary" not in answer.text + repr(office.stored())
    record = list(office.house.database.tables.audit.committed.values())[-1].record
    assert (record.action, record.before["fingerprints"], record.after["fingerprints"]) == (
        "credential.rotated", before["fingerprints"], after["fingerprints"]
    )  # fmt: skip
    office.house.alipay.faults.always = ChannelFault.REJECTED
    answer = await admin.call("POST", f"/credentials/{before['id']}/rotate", new)
    assert (answer.status_code, code_of(answer)) == (422, "credential_check_failed")
    for wrong in ({"overlap_hours": 337}, {"overlap_hours": -1}, {"secrets": {}, "public": {"x": "y"}}):
        assert (await admin.call("POST", f"/credentials/{before['id']}/rotate", {**new, **wrong})).status_code == 422
    answer = await admin.call("POST", "/credentials/crd_00000000000000000000000000/rotate", new)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


async def test_of_two_rotations_at_once_one_wins_and_the_other_is_told(office: Office) -> None:
    admin = await enter(office)
    credential = (await added(admin))["credential"]["id"]
    keep, actor = office.parts.keep_accounts, SYSTEM
    keys = [({"alipay_public_key": f"k{n}"}, {"app_private_key": f"s{n}"}) for n in range(3)]
    answers = await asyncio.gather(*(keep.rotate(actor, credential, *each) for each in keys), return_exceptions=True)
    won = [each for each in answers if isinstance(each, Credential)]
    lost = [each for each in answers if isinstance(each, Conflict)]
    assert (len(won), [each.code for each in lost]) == (1, ["credential_changed"] * 2)
    async with office.house.database.unit_of_work() as uow:
        stored = await uow.credentials.get(credential)
    assert stored == won[0]
    assert stored.version == 2


async def test_operations_may_switch_accounts_and_not_enter_keys(office: Office) -> None:
    admin, ops = await enter(office), await enter(office, OPERATIONS)
    account = await added(admin)
    assert (await ops.call("POST", f"/channel_accounts/{account['id']}/disable")).status_code == 200
    answer = await ops.call("POST", "/channel_accounts", ACCOUNT)
    assert (answer.status_code, code_of(answer)) == (403, "permission_missing")


async def test_a_disabled_account_takes_no_new_attempt(office: Office) -> None:
    admin, house = await enter(office), office.house
    merchant = await house.merchant()
    order = await house.order(merchant)
    await admin.call("POST", f"/channel_accounts/{merchant.account_ids[0]}/disable")
    with pytest.raises(Conflict) as caught:
        await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_QR)
    assert caught.value.code == "method_unavailable"
