"""Keys come in every shape that consoles, tools and clipboards give them."""

import base64
import json
from dataclasses import replace

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from adapters.channel_wire import private_key, public_key
from adapters.outbound.alipay import Alipay, keys
from domain.errors import InvalidRequest
from tests.unit.adapters.alipay.world import SELLER, World, key, private_pem, public_pem

_PKCS1 = PrivateFormat.TraditionalOpenSSL
_PLAIN = NoEncryption()


def _private(form: PrivateFormat) -> str:
    return key("app").private_bytes(Encoding.PEM, form, _PLAIN).decode()


def _bare(form: PrivateFormat) -> str:
    return base64.b64encode(key("app").private_bytes(Encoding.DER, form, _PLAIN)).decode()


@pytest.mark.parametrize(
    "write",
    [
        lambda: _private(PrivateFormat.PKCS8),
        lambda: _private(_PKCS1),
        lambda: _private(PrivateFormat.PKCS8).replace("\n", "\r\n"),
        lambda: _private(_PKCS1).replace("\n", "\r\n"),
        lambda: _private(PrivateFormat.PKCS8).replace("\n", " "),
        lambda: "\n\n  " + _private(_PKCS1) + "\t",
        lambda: _bare(PrivateFormat.PKCS8),
        lambda: _bare(_PKCS1),
        lambda: "\r\n".join(_bare(PrivateFormat.PKCS8)[at : at + 64] for at in range(0, 4096, 64)),
    ],
)
def test_every_shape_of_a_private_key_is_read_as_the_same_key(write: object) -> None:
    assert callable(write)
    read = private_key({"app_private_key": write()}, "app_private_key")
    assert read.private_numbers() == key("app").private_numbers()


@pytest.mark.parametrize(
    "write",
    [
        lambda: public_pem("alipay"),
        lambda: public_pem("alipay").replace("\n", "\r\n"),
        lambda: key("alipay").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode(),
        lambda: "".join(public_pem("alipay").splitlines()[1:-1]),
    ],
)
def test_every_shape_of_a_public_key_is_read_as_the_same_key(write: object) -> None:
    assert callable(write)
    read = public_key({"alipay_public_key": write()}, "alipay_public_key")
    assert read.public_numbers() == key("alipay").public_key().public_numbers()


def _short() -> str:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return short.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _PLAIN).decode()


def _elliptic() -> str:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _PLAIN).decode()


def _encrypted() -> str:
    locked = BestAvailableEncryption(b"password")
    return key("app").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode()


@pytest.mark.parametrize(
    "text",
    [None, 7, "", "  ", "not a key", "=" * 8, "\u00e4\u00f6", lambda: public_pem("app"), _short, _elliptic, _encrypted],
)
def test_a_private_key_that_cannot_sign_is_refused_by_name_and_never_repeated(world: World, text: object) -> None:
    text = text() if callable(text) else text
    with pytest.raises(InvalidRequest) as refusal:
        keys.load(world.vault, world.credential(sealed={"app_private_key": text}), SELLER)
    assert (refusal.value.code, refusal.value.pointer) == ("app_private_key_invalid", "/app_private_key")
    assert not (isinstance(text, str) and text.strip() and text in str(refusal.value))


@pytest.mark.parametrize("text", ["", "not a key", lambda: private_pem("alipay")])
def test_a_public_key_that_cannot_verify_is_refused_by_name(world: World, text: object) -> None:
    text = str(text() if callable(text) else text)
    with pytest.raises(InvalidRequest) as refusal:
        keys.load(world.vault, world.credential(public={"alipay_public_key": text}), SELLER)
    assert refusal.value.code == "alipay_public_key_invalid"


def test_our_own_public_key_in_the_place_of_alipays_is_noticed(world: World) -> None:
    with pytest.raises(InvalidRequest, match="own public key"):
        keys.load(world.vault, world.credential(public={"alipay_public_key": public_pem("app")}), SELLER)


@pytest.mark.parametrize("sealed", [b"not json", b"[]", b"\xff", b'"text"', json.dumps([1]).encode()])
def test_a_sealed_part_that_is_no_object_is_refused(world: World, sealed: bytes) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        keys.load(world.vault, world.credential(sealed=sealed), SELLER)
    assert refusal.value.code == "credential_unreadable"


def test_what_was_sealed_for_another_credential_does_not_open_here(world: World) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        keys.load(world.vault, replace(world.credential(), id="crd_2"), SELLER)
    assert refusal.value.code == "credential_unreadable"


@pytest.mark.parametrize("payee", ["", "2088 1", "2088\n", "2" * 33])
async def test_check_takes_good_material_and_refuses_a_payee_that_cannot_be_one(world: World, payee: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        alipay = Alipay(world.vault, client, {})
        alipay.check(world.credential(), SELLER)
        with pytest.raises(InvalidRequest) as refusal:
            alipay.check(world.credential(), payee)
    assert refusal.value.code == "payee_invalid"
