"""特约商户进件 over the wire: the SDK's encryption and our transport against the sandbox."""

from dataclasses import replace
from typing import Any

import pytest

from adapters.outbound.wechat import WechatPay
from domain.applyments import ApplymentStatus
from domain.channels import Credential
from domain.errors import ChannelRejected, OutcomeUnknown
from tests.integration.channels.conftest import Side

IMAGE = b"\xff\xd8\xff\xe0 a licence \x00\r\n--" + bytes(range(256)) * 20


@pytest.fixture
def side(wechat_side: Side) -> Side:
    return wechat_side


@pytest.fixture
def wechat(side: Side) -> WechatPay:
    assert isinstance(side.adapter, WechatPay)
    return side.adapter


@pytest.fixture(params=["public_key", "certificate"])
def credential(request: pytest.FixtureRequest, side: Side) -> Credential:
    credential = replace(side.access.credential, provider=side.access.account.payee)
    if request.param == "certificate":
        public = {"mch_serial": credential.public["mch_serial"], "platform_certificates": "download"}
        credential = replace(credential, public=public, version=70)
    side.sandbox.post("settings", wechat_signer=request.param)
    return credential


def code(side: Side) -> str:
    return f"code_{side.opening().number}"


async def form(wechat: WechatPay, credential: Credential) -> dict[str, Any]:
    licence = await wechat.onboarding.upload(credential, "licence.jpg", IMAGE)
    return {
        "contact_info": {"contact_name": "王小明", "mobile_phone": "13900000000", "contact_email": "a@shop.example"},
        "subject_info": {
            "subject_type": "SUBJECT_TYPE_ENTERPRISE",
            "business_license_info": {"license_copy": licence, "merchant_name": "小店"},
            "identity_info": {"id_card_info": {"id_card_name": "王小明", "id_card_number": "11010519491231002X"}},
        },
        "business_info": {"merchant_shortname": "小店", "sales_info": {"sales_scenes_type": ["SALES_SCENES_STORE"]}},
        "settlement_info": {"settlement_id": "719"},
        "bank_account_info": {"account_name": "小店有限公司", "account_number": "6222021234567890128"},
    }


def move(side: Side, credential: Credential, code: str, state: str) -> dict[str, Any]:
    told: dict[str, Any] = side.sandbox.post(
        "wechat/applyments", mchid=credential.provider, business_code=code, state=f"APPLYMENT_STATE_{state}"
    )
    return told


async def test_an_application_is_submitted_amended_and_finished(
    side: Side, wechat: WechatPay, credential: Credential
) -> None:
    number, desk = code(side), wechat.onboarding
    assert (await desk.query_applyment(credential, number)).status is None
    filled = await form(wechat, credential)
    before = repr(filled)
    channel_id = await desk.apply(credential, number, filled)
    assert repr(filled) == before, "the SDK encrypts a copy"
    first = await desk.query_applyment(credential, number)
    assert (first.status, first.channel_id) == (ApplymentStatus.AUDITING, channel_id)
    assert first.sign_url is not None
    with pytest.raises(ChannelRejected):
        await desk.apply(credential, number, filled)
    move(side, credential, number, "REJECTED")
    back = await desk.query_applyment(credential, number)
    assert (back.status, back.rejections[0].name) == (ApplymentStatus.REJECTED, "营业执照照片")
    assert await desk.apply(credential, number, filled) == channel_id
    told: dict[str, Any] = {}
    for state, status in (
        ("TO_BE_CONFIRMED", ApplymentStatus.TO_BE_CONFIRMED),
        ("TO_BE_SIGNED", ApplymentStatus.TO_BE_SIGNED),
        ("SIGNING", ApplymentStatus.SIGNING),
        ("EDITTING", ApplymentStatus.EDITING),
        ("CANCELED", ApplymentStatus.CANCELED),
        ("FINISHED", ApplymentStatus.FINISHED),
    ):
        told = move(side, credential, number, state)
        assert (await desk.query_applyment(credential, number)).status is status
    done = await desk.query_applyment(credential, number)
    assert done.sub_mchid == told["sub_mchid"]
    assert told["submissions"] == 2


async def test_an_answer_that_is_lost_is_unknown_and_a_query_tells(
    side: Side, wechat: WechatPay, credential: Credential
) -> None:
    number = code(side)
    filled = await form(wechat, credential)
    side.fault("applyment", "system_error")
    with pytest.raises(OutcomeUnknown):
        await wechat.onboarding.apply(credential, number, filled)
    assert (await wechat.onboarding.query_applyment(credential, number)).status is ApplymentStatus.AUDITING
    side.fault("applyment", "lost")
    other = code(side)
    with pytest.raises(OutcomeUnknown):
        await wechat.onboarding.apply(credential, other, filled)
    assert (await wechat.onboarding.query_applyment(credential, other)).status is None


async def test_a_form_with_an_unknown_image_is_refused(side: Side, wechat: WechatPay, credential: Credential) -> None:
    filled = await form(wechat, credential)
    filled["subject_info"]["business_license_info"]["license_copy"] = "nobody-uploaded-this"
    with pytest.raises(ChannelRejected):
        await wechat.onboarding.apply(credential, code(side), filled)
