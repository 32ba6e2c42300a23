"""Which credentials the channels would let pay out, said before money is due."""

from collections.abc import Mapping
from typing import Any

import pytest

from adapters.outbound.alipay.payouts import AlipayPayouts
from adapters.outbound.wechat.payouts import WechatPayouts
from domain.channels import Access, Channel, ChannelAccount, Credential, Mode
from domain.errors import InvalidRequest

SCENE = '{"id": "1009", "reports": {"采购商品名称": "货款"}}'


async def nobody(*_: object) -> Any:
    raise AssertionError("no channel is asked")


def access(channel: Channel, public: Mapping[str, str], provider: str | None = None) -> Access:
    credential = Credential(id="crd_1", channel=channel, mode=Mode.TEST, app_id="app", public=public, provider=provider)
    account = ChannelAccount(
        id="cha_1", channel=channel, mode=Mode.TEST, credential_id="crd_1", payee="1900000001", methods=frozenset()
    )
    return Access(account, credential)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (access(Channel.ALIPAY, {"alipay_public_key": "-----BEGIN"}), "certificate_mode_required"),
        (access(Channel.ALIPAY, {"app_certificate": "-----BEGIN"}), None),
        (access(Channel.WECHAT, {"transfer_scene": SCENE}), None),
        (access(Channel.WECHAT, {}), "transfer_scene_missing"),
        (access(Channel.WECHAT, {"transfer_scene": "1009"}), "transfer_scene_missing"),
        (access(Channel.WECHAT, {"transfer_scene": SCENE}, provider="1900000002"), "payouts_not_offered"),
    ],
)
def test_what_a_credential_lacks_to_pay_out_is_named(asked: Access, code: str | None) -> None:
    rail = AlipayPayouts(nobody) if asked.account.channel is Channel.ALIPAY else WechatPayouts(nobody)
    if code is None:
        rail.offered(asked)
        return
    with pytest.raises(InvalidRequest) as caught:
        rail.offered(asked)
    assert (caught.value.code, caught.value.pointer) == (code, "/source")
