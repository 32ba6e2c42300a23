"""Who pays: a code from Alipay's OAuth, exchanged for what an opening wants."""

import json
from dataclasses import replace
from typing import Any

import pytest

from domain.errors import ChannelError, ChannelRejected, ChannelUnavailable, OutcomeUnknown
from tests.unit.adapters.alipay.world import World, call, refused, sign

TOKEN = "alipay.system.oauth.token"


def token(**fields: Any) -> dict[str, Any]:
    """A success, which has no code (unlike every trade method's)."""
    return {"access_token": "authusrB", "expires_in": 1296000, "re_expires_in": 2592000, "refresh_token": "r", **fields}


def error_response(node: dict[str, Any], by: str = "alipay") -> bytes:
    text = json.dumps(node)
    return f'{{"error_response":{text},"sign":"{sign(text, by)}"}}'.encode()


async def _ask(world: World, said: Any, **options: Any) -> Any:
    return await call(
        world, said, lambda alipay, who: alipay.payer_id(who, "4b203fe6c11548bcabd8da5bb087a83b"), **options
    )


@pytest.mark.parametrize(
    ("fields", "payer"),
    [
        ({"user_id": "2088102177846880"}, "2088102177846880"),
        ({"open_id": "074a1CcTG1LelxKe4xQC0z"}, "074a1CcTG1LelxKe4xQC0z"),
        ({"user_id": "2088102177846880", "open_id": "074a1CcTG1LelxKe4xQC0z"}, "2088102177846880"),
    ],
)
async def test_a_code_is_exchanged_for_the_payer_as_the_application_may_know_them(
    world: World, fields: dict[str, str], payer: str
) -> None:
    found, (sent,) = await _ask(world, token(**fields))
    assert found == payer
    wanted = {"method": TOKEN, "grant_type": "authorization_code", "code": "4b203fe6c11548bcabd8da5bb087a83b"}
    assert wanted.items() <= sent.items()


async def test_a_service_provider_asks_as_itself(world: World) -> None:
    _, (sent,) = await _ask(world, token(user_id="2088102177846880"), access=world.provider())
    assert "app_auth_token" not in sent


async def test_a_code_for_a_merchants_own_app_is_exchanged_for_that_merchant(world: World) -> None:
    provider = world.provider()
    access = replace(provider, account=replace(provider.account, sub_app_id="2021000000000077"))
    async with world.adapter(lambda _: b"") as alipay:
        assert "app_id=2021000000000077&" in alipay.authorize_url(access, "https://pay.example/back", "s")
    _, (sent,) = await _ask(world, token(open_id="074a1CcTG1LelxKe4xQC0z"), access=access)
    assert (sent["app_id"], sent["app_auth_token"]) == (provider.credential.app_id, "202611BBtoken")


async def test_a_code_that_is_wrong_or_used_is_refused(world: World) -> None:
    for node in (refused("isv.code-invalid", "40002"), refused("isv.code-invalid", "40004")):
        for said in (node, error_response(node)):
            with pytest.raises(ChannelRejected) as refusal:
                await _ask(world, said)
            assert refusal.value.code == "payer_code_invalid"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (token(), OutcomeUnknown),
        (token(user_id=7), OutcomeUnknown),
        (refused("isp.unknow-error", "20000"), OutcomeUnknown),
        (refused("isv.app-call-limited", "40005"), ChannelUnavailable),
        (refused("isv.grant-type-invalid", "40002"), ChannelRejected),
        (error_response(refused("isv.code-invalid", "40002"), by="thief"), OutcomeUnknown),
        (b'{"error_response":{"code":"40002","sub_code":"isv.invalid-app-id"}}', ChannelUnavailable),
    ],
)
async def test_every_other_answer_names_nobody(world: World, said: Any, error: type[ChannelError]) -> None:
    with pytest.raises(error) as raised:
        await _ask(world, said)
    assert type(raised.value) is error
