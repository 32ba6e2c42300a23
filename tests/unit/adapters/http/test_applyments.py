"""Merchants become sub-merchants (特约商户进件): from the operators' API to the channel account."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from domain.applyments import ApplymentStatus
from domain.channels import Channel
from domain.permissions import FINANCE, OPERATIONS
from tests.fakes.channel import ChannelFault
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import code_of

FORM: dict[str, Any] = {
    "contact_info": {"contact_name": "王小明", "mobile_phone": "13900000000"},
    "subject_info": {
        "subject_type": "SUBJECT_TYPE_ENTERPRISE",
        "identity_info": {"id_doc_type": "IDENTIFICATION_TYPE_IDCARD"},
    },
    "business_info": {"merchant_shortname": "小店"},
    "settlement_info": {"settlement_id": "719"},
    "bank_account_info": {"account_name": "小店有限公司", "account_number": "6222021234567890128"},
}
PRIVATE = ("王小明", "13900000000", "6222021234567890128")
JPEG = b"\xff\xd8\xff\xe0 an image"


@pytest.fixture
def office() -> Office:
    return Office()


async def provider(office: Office) -> tuple[str, str]:
    """A merchant, and the credential of a service provider."""
    merchant = await office.house.merchant()
    async with office.house.database.unit_of_work() as uow:
        for account_id in merchant.account_ids:
            access = await uow.accounts.access(account_id)
            if access.account.channel is Channel.WECHAT:
                crd = replace(access.credential, id=office.house.ids.new("crd"), provider="1900000001")
                await uow.accounts.add_credential(crd)
                return merchant.merchant.id, crd.id
    raise AssertionError("a merchant has an account at WeChat Pay")


async def applied(office: Office, who: Person, status: int = 201) -> dict[str, Any]:
    merchant_id, credential_id = await provider(office)
    body = {"credential_id": credential_id, "methods": ["wechat_jsapi", "wechat_native"], "form": FORM}
    answer = await who.call("POST", f"/merchants/{merchant_id}/applyments", body)
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def ops(office: Office) -> Person:
    return await (await office.person("mina", OPERATIONS)).enter()


async def looked(office: Office, applyment_id: str) -> Any:
    """After the next hour's sweep."""
    office.clock.advance(3_601)
    await office.house.follow_applyments()
    async with office.house.database.unit_of_work() as uow:
        return await uow.applyments.get(applyment_id)


async def test_an_application_ends_in_an_account_that_is_switched_off(office: Office) -> None:
    mina, desk = await ops(office), office.house.onboarding
    made = await applied(office, mina)
    assert made["status"] == "auditing"
    assert desk.cases[made["code"]].form == FORM
    for status in (ApplymentStatus.TO_BE_CONFIRMED, ApplymentStatus.TO_BE_SIGNED, ApplymentStatus.SIGNING):
        desk.move(made["code"], status)
        assert (await looked(office, made["id"])).status is status
    desk.move(made["code"], ApplymentStatus.FINISHED, sub_mchid="1900000109")
    done = await looked(office, made["id"])
    assert (done.status, done.sub_mchid, done.next_at) == (ApplymentStatus.FINISHED, "1900000109", None)
    async with office.house.database.unit_of_work() as uow:
        access = await uow.accounts.access(done.account_id)
        served = await uow.accounts.serving(made["merchant_id"], access.account.mode)
    account = access.account
    assert (account.payee, account.merchant_id, account.enabled) == ("1900000109", made["merchant_id"], False)
    assert account.id not in {each.account.id for each in served}
    assert access.credential.provider == "1900000001"


async def test_the_administrators_code_is_shown_as_a_qr(office: Office) -> None:
    mina = await ops(office)
    made = await applied(office, mina)
    shown = (await mina.call("POST", f"/applyments/{made['id']}/check")).json()
    assert shown["sign_url"] == "https://wechat.example/sign"
    assert shown["sign_code"].startswith("data:image/svg+xml")


async def test_a_rejected_application_is_amended_under_the_same_code(office: Office) -> None:
    mina, desk = await ops(office), office.house.onboarding
    made = await applied(office, mina)
    early = await mina.call("POST", f"/applyments/{made['id']}/amend", {"form": FORM})
    assert (early.status_code, code_of(early)) == (409, "applyment_not_amendable")
    desk.move(made["code"], ApplymentStatus.REJECTED)
    assert (await looked(office, made["id"])).status is ApplymentStatus.REJECTED
    mina = await mina.enter()
    shown = (await mina.call("GET", f"/applyments/{made['id']}")).json()
    assert shown["rejections"] == [{"field": "license_copy", "name": "营业执照照片", "reason": "看不清"}]
    better = FORM | {"business_info": {"merchant_shortname": "小店二"}}
    amended = await mina.call("POST", f"/applyments/{made['id']}/amend", {"form": better})
    assert (amended.json()["status"], amended.json()["code"]) == ("auditing", made["code"])
    assert (desk.cases[made["code"]].form, desk.cases[made["code"]].submissions) == (better, 2)


@pytest.mark.parametrize("fault", [ChannelFault.UNKNOWN_DONE, ChannelFault.UNKNOWN_UNDONE, ChannelFault.UNAVAILABLE])
async def test_a_lost_answer_is_resolved_by_a_query_and_the_form_told_once(office: Office, fault: ChannelFault) -> None:
    mina, desk = await ops(office), office.house.onboarding
    desk.faults.once(fault, "apply")
    made = await applied(office, mina)
    assert made["status"] == "submitting"
    followed = await looked(office, made["id"])
    assert (followed.status, followed.sealed) == (ApplymentStatus.AUDITING, b"")
    assert desk.cases[made["code"]].submissions == 1


async def test_an_amendment_whose_answer_was_lost_is_told_again_while_the_channel_has_the_old_one(
    office: Office,
) -> None:
    mina, desk = await ops(office), office.house.onboarding
    made = await applied(office, mina)
    desk.move(made["code"], ApplymentStatus.REJECTED)
    await looked(office, made["id"])
    desk.faults.once(ChannelFault.UNKNOWN_UNDONE, "apply")
    mina = await mina.enter()
    answer = await mina.call("POST", f"/applyments/{made['id']}/amend", {"form": FORM})
    assert answer.json()["status"] == "submitting"
    assert (await looked(office, made["id"])).status is ApplymentStatus.AUDITING
    assert desk.cases[made["code"]].submissions == 2


async def test_a_form_that_the_channel_does_not_take_says_why(office: Office) -> None:
    mina = await ops(office)
    office.house.onboarding.faults.once(ChannelFault.REJECTED, "apply")
    made = await applied(office, mina)
    assert made["status"] == "rejected"
    assert "PARAM_ERROR" in made["rejections"][0]["reason"]
    amended = await mina.call("POST", f"/applyments/{made['id']}/amend", {"form": FORM})
    assert amended.json()["status"] == "auditing"


async def test_nothing_about_people_is_kept_or_shown(office: Office) -> None:
    mina = await ops(office)
    office.house.onboarding.faults.once(ChannelFault.UNKNOWN_UNDONE, "apply")
    made = await applied(office, mina)
    while_it_waits = repr(office.stored()) + repr(made)
    await looked(office, made["id"])
    everything = repr(office.stored()) + while_it_waits
    assert [word for word in PRIVATE if word in everything] == []
    async with office.house.database.unit_of_work() as uow:
        assert (await uow.applyments.get(made["id"])).sealed == b""


async def test_an_image_goes_to_the_channel_and_stays_nowhere(office: Office) -> None:
    mina = await ops(office)
    _, credential_id = await provider(office)
    body = {"credential_id": credential_id, "name": "licence.JPG", "content": base64.b64encode(JPEG).decode()}
    answer = await mina.call("POST", "/channel_images", body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["media_id"] in office.house.onboarding.images
    assert "an image" not in repr(office.stored())
    assert "applyment.image_uploaded" in office.did()
    for name, content in (("x.exe", JPEG), ("x.jpg", b"not one"), ("x.png", JPEG), ("x.jpg", JPEG + b"0" * 2**21)):
        wrong = body | {"name": name, "content": base64.b64encode(content).decode()}
        refused = await mina.call("POST", "/channel_images", wrong)
        assert refused.status_code in (413, 422), refused.text
    for text in ("not base64!", "图片", "\U0004e7b8\xf0y"):
        refused = await mina.call("POST", "/channel_images", body | {"content": text})
        assert (refused.status_code, refused.json()["code"]) == (422, "image_invalid"), refused.text
    assert len(office.house.onboarding.images) == 1


@pytest.mark.parametrize("missing", ["contact_info", "bank_account_info", "subject_info"])
async def test_a_form_without_a_section_is_refused_before_the_channel_hears_of_it(office: Office, missing: str) -> None:
    mina = await ops(office)
    merchant_id, credential_id = await provider(office)
    form = {name: section for name, section in FORM.items() if name != missing}
    body = {"credential_id": credential_id, "methods": ["wechat_native"], "form": form}
    answer = await mina.call("POST", f"/merchants/{merchant_id}/applyments", body)
    assert (answer.status_code, code_of(answer)) == (422, "applyment_form")
    assert office.house.onboarding.cases == {}


async def test_only_a_providers_credential_applies_and_only_who_may(office: Office) -> None:
    mina, noah = await ops(office), await (await office.person("noah", FINANCE)).enter()
    merchant = await office.house.merchant()
    async with office.house.database.unit_of_work() as uow:
        credential = (await uow.accounts.access(merchant.account_ids[0])).credential
    body = {"credential_id": credential.id, "methods": ["wechat_native"], "form": FORM}
    path = f"/merchants/{merchant.merchant.id}/applyments"
    answer = await mina.call("POST", path, body)
    assert (answer.status_code, code_of(answer)) == (422, "credential_no_provider")
    assert (await noah.call("POST", path, body)).status_code == 403
