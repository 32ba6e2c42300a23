"""Keys come in every shape that consoles, tools and clipboards give them."""

import base64
from dataclasses import replace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from adapters.channel_wire import private_key, public_key
from adapters.outbound.wechat import WechatPay, keys
from domain.errors import InvalidRequest
from tests.unit.adapters.wechat.world import (
    MCHID,
    PUBLIC_KEY_ID,
    SERIAL,
    World,
    certificate,
    key,
    private_pem,
    public_pem,
)


def _pkcs1() -> str:
    return key("merchant").private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def _bare() -> str:
    der = key("merchant").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(der).decode()


@pytest.mark.parametrize(
    "write",
    [
        lambda: private_pem("merchant"),
        lambda: private_pem("merchant").replace("\n", "\r\n"),
        lambda: private_pem("merchant").replace("\n", " "),
        _pkcs1,
        lambda: _pkcs1().replace("\n", "\r\n"),
        _bare,
    ],
)
def test_every_shape_of_a_private_key_is_read_as_the_same_key(write: Any) -> None:
    read = private_key({"mch_private_key": write()}, "mch_private_key")
    assert read.private_numbers() == key("merchant").private_numbers()


@pytest.mark.parametrize(
    "write",
    [
        lambda: public_pem("wechat").replace("\n", "\r\n"),
        lambda: key("wechat").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode(),
        lambda: "".join(public_pem("wechat").splitlines()[1:-1]),
    ],
)
def test_every_shape_of_a_public_key_is_read_as_the_same_key(write: Any) -> None:
    read = public_key({"public_key": write()}, "public_key")
    assert read.public_numbers() == key("wechat").public_key().public_numbers()


@pytest.mark.parametrize(
    ("public", "sealed", "code"),
    [
        ({}, {"mch_private_key": None}, "mch_private_key_invalid"),
        ({}, {"mch_private_key": "nonsense"}, "mch_private_key_invalid"),
        ({}, {"mch_private_key": 7}, "mch_private_key_invalid"),
        ({}, {"apiv3_key": None}, "apiv3_key_invalid"),
        ({}, {"apiv3_key": "x" * 31}, "apiv3_key_invalid"),
        ({}, {"apiv3_key": "x" * 33}, "apiv3_key_invalid"),
        ({}, {"apiv3_key": "ä" * 32}, "apiv3_key_invalid"),
        ({}, {"apiv3_key": "ä" * 16}, "apiv3_key_invalid"),
        ({"public_key": None}, {}, "public_key_invalid"),
        ({"public_key": "nonsense"}, {}, "public_key_invalid"),
        ({"public_key_id": None}, {}, "public_key_id_invalid"),
        ({"public_key_id": "PUB\nKEY"}, {}, "public_key_id_invalid"),
        ({"mch_serial": None}, {}, "mch_serial_invalid"),
        ({"mch_serial": 'x",serial_no="'}, {}, "mch_serial_invalid"),
        ({"platform_certificates": "nonsense"}, {}, "platform_certificates_invalid"),
    ],
)
def test_material_that_cannot_be_used_is_refused_by_name(world: World, public: Any, sealed: Any, code: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        keys.load(world.vault, world.credential(public, sealed), MCHID)
    assert (refusal.value.code, refusal.value.pointer) == (code, f"/{code.removesuffix('_invalid')}")


@pytest.mark.parametrize("sealed", [b"not json", b"[]", b"\xff"])
def test_a_sealed_part_that_is_no_object_is_refused(world: World, sealed: bytes) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        keys.load(world.vault, world.credential(sealed=sealed), MCHID)
    assert refusal.value.code == "credential_unreadable"


def test_what_was_sealed_for_another_credential_does_not_open_here(world: World) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        keys.load(world.vault, replace(world.credential(), id="crd_2"), MCHID)
    assert refusal.value.code == "credential_unreadable"


def test_the_merchants_own_public_key_in_the_place_of_wechat_pays_is_noticed(world: World) -> None:
    with pytest.raises(InvalidRequest, match="own public key"):
        keys.load(world.vault, world.credential({"public_key": public_pem("merchant")}), MCHID)


def test_platform_certificates_join_the_public_key_under_their_own_serials(world: World) -> None:
    both = certificate() + certificate(0xABC).replace("\n", "\r\n")
    loaded = keys.load(world.vault, world.credential({"platform_certificates": both}), MCHID)
    assert set(loaded.wechat.signers) == {PUBLIC_KEY_ID, f"{SERIAL:X}", "ABC"}
    assert loaded.wechat.signers["ABC"].key.public_numbers() == key("platform").public_key().public_numbers()


def test_the_apiv3_key_is_not_shown(world: World) -> None:
    loaded = keys.load(world.vault, world.credential(), MCHID)
    assert loaded.apiv3 not in repr(loaded)


@pytest.mark.parametrize("payee", ["", "19000 1", "1900/../x", "1?a=b"])
async def test_check_takes_good_material_and_refuses_a_payee_that_cannot_be_one(world: World, payee: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        wechat = WechatPay(world.vault, client, {})
        wechat.check(world.credential(), MCHID)
        with pytest.raises(InvalidRequest) as refusal:
            wechat.check(world.credential(), payee)
    assert refusal.value.code == "payee_invalid"
