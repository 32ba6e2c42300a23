"""The channels' keys and what is made with them."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox import keys
from tests.unit.sandbox.box import new_key


def test_keys_are_made_once_and_kept_to_their_owner(tmp_path: Path) -> None:
    first, second = keys.load_or_make(tmp_path), keys.load_or_make(tmp_path)
    assert keys.public_pem(first.alipay) == keys.public_pem(second.alipay)
    assert (first.wechat_key_id, first.wechat_serial) == (second.wechat_key_id, second.wechat_serial)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_a_signature_is_over_exactly_one_message() -> None:
    own = keys.load_or_make(None)
    public = keys.public_key(keys.public_pem(own.alipay))
    signature = keys.sign(own.alipay, b"a=1&b=2")
    assert keys.verified(public, b"a=1&b=2", signature)
    assert not keys.verified(public, b"a=1&b=3", signature)
    assert not keys.verified(public, b"a=1&b=2", "not base64!")


def test_a_public_key_is_read_as_pem_as_bare_base64_and_from_a_certificate() -> None:
    own = keys.load_or_make(None)
    pem = keys.public_pem(own.wechat_platform)
    bare = "".join(pem.splitlines()[1:-1])
    assert keys.public_pem(keys.public_key(bare)) == pem
    assert keys.public_pem(keys.public_key(own.wechat_certificate_pem)) == pem


@pytest.mark.parametrize("text", ["", "rubbish", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        keys.public_key(text)


def test_a_private_key_does_not_pass_for_a_public_one() -> None:
    private, _ = new_key()
    with pytest.raises(ValueError, match=r".*"):
        keys.public_key(private)


def test_a_sealed_resource_opens_with_the_apiv3_key_and_its_associated_data_only() -> None:
    sealed = keys.seal("k" * 32, "明文", "transaction")
    box, nonce = base64.b64decode(sealed["ciphertext"]), sealed["nonce"].encode()
    assert len(nonce) == 12
    assert AESGCM(b"k" * 32).decrypt(nonce, box, b"transaction").decode() == "明文"
    with pytest.raises(Exception, match=r"^$"):
        AESGCM(b"k" * 32).decrypt(nonce, box, b"certificate")
