"""WeChat Pay's request and answer signatures."""

import time

from sandbox import keys
from sandbox.model import Crafting, Merchant
from sandbox.wechat.signing import choose_signer, credentials, fault_of, signed_headers, signed_message

OWN = keys.load_or_make(None)
MERCHANT = Merchant("1900000001", "wx1", "ABCD", keys.public_pem(OWN.alipay), "k" * 32)
HEADER = 'WECHATPAY2-SHA256-RSA2048 mchid="1900000001",nonce_str="n",signature="s",timestamp="1",serial_no="ABCD"'


def signed(url: str, body: bytes, at: float) -> dict[str, str]:
    parts = {"mchid": "1900000001", "nonce_str": "n", "timestamp": str(int(at)), "serial_no": "ABCD", "signature": ""}
    parts["signature"] = keys.sign(OWN.alipay, signed_message(parts, "POST", url, body))
    return parts


def test_an_authorization_needs_its_scheme_and_all_five_parts() -> None:
    assert credentials(HEADER) is not None
    assert credentials(HEADER.replace("nonce_str", "nonce")) is None
    assert credentials(HEADER.replace("WECHATPAY2-SHA256-RSA2048", "Bearer")) is None
    assert credentials("") is None


def test_a_request_is_verified_over_method_address_and_body() -> None:
    parts = signed("/v3/x?a=1", b"{}", time.time())
    assert fault_of(parts, MERCHANT, "POST", "/v3/x?a=1", b"{}") is None
    assert fault_of(parts, MERCHANT, "POST", "/v3/x?a=2", b"{}") is not None
    assert fault_of(parts, MERCHANT, "POST", "/v3/x?a=1", b"{ }") is not None
    assert fault_of(parts, MERCHANT, "GET", "/v3/x?a=1", b"{}") is not None


def test_a_request_older_than_five_minutes_is_refused_however_well_signed() -> None:
    parts = signed("/v3/x", b"", time.time() - 301)
    assert "timestamp" in (fault_of(parts, MERCHANT, "POST", "/v3/x", b"") or "")


def test_an_answer_is_signed_over_its_body_even_when_that_is_empty() -> None:
    headers = signed_headers(choose_signer(OWN, "public_key"), b"")
    message = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n\n".encode()
    assert headers["Wechatpay-Serial"] == OWN.wechat_key_id
    public = keys.public_key(keys.public_pem(OWN.wechat))
    assert keys.verified(public, message, headers["Wechatpay-Signature"])
    bad = signed_headers(choose_signer(OWN, "public_key"), b"", Crafting(sign="bad"))
    assert not keys.verified(public, message, bad["Wechatpay-Signature"])


def test_during_a_migration_both_keys_sign() -> None:
    serials = {choose_signer(OWN, "both").serial for _ in range(100)}
    assert serials == {OWN.wechat_key_id, OWN.wechat_serial}


def test_the_serial_that_a_merchant_asks_for_signs() -> None:
    assert choose_signer(OWN, "public_key", OWN.wechat_serial).key is OWN.wechat_platform
