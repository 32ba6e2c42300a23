"""Whether WeChat Pay signed an answer or a notice.

https://pay.weixin.qq.com/docs/merchant/development/interface-rules/signature-verification.html
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

WINDOW_SECONDS = 300  # older or younger than this is a replay or a wrong clock
ALGORITHM = "WECHATPAY2-SHA256-RSA2048"
_PROBE = "WECHATPAY/SIGNTEST/"
_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Disbelieved(Exception):
    """Not rightly signed by WeChat Pay, now. ``code`` says why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Signer:
    """One of WeChat Pay's keys: its public key, or a platform certificate's for as long as that is valid."""

    key: RSAPublicKey
    since: datetime = _EVER
    until: datetime = _NEVER


Sealing = tuple[str, RSAPublicKey]  # what WeChat Pay opens sensitive fields with, under the name it goes by


@dataclass(frozen=True, slots=True)
class Signatures:
    """WeChat Pay's keys by ``Wechatpay-Serial``: the id of its public key, or a certificate's serial in hexadecimal.

    Only what was configured counts. An unknown serial is refused, never looked up: anybody can send one.
    """

    signers: Mapping[str, Signer]

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """``headers`` in any case. Raises Disbelieved. SHA-256 with RSA is ours to say, not the message's."""
        sent = signing(headers)
        signature, serial, timestamp, nonce = (
            sent.get(f"wechatpay-{name}", "") for name in ("signature", "serial", "timestamp", "nonce")
        )
        if not (signature and serial and timestamp and nonce):
            raise Disbelieved("not signed", "signature_missing")
        if signature.startswith(_PROBE):
            raise Disbelieved("a probe that wants to be refused", "signature_probe")
        if sent.get("wechatpay-signature-type", ALGORITHM) != ALGORITHM:
            raise Disbelieved("signed with another algorithm", "signature_type")
        _check_time(timestamp, now)
        signer = self.signers.get(serial) or self.signers.get(serial.upper().lstrip("0"))
        if signer is None or not signer.since <= now <= signer.until:
            raise Disbelieved("signed with a key that we do not hold", "serial_unknown")
        _check(signer.key, f"{timestamp}\n{nonce}\n".encode() + body + b"\n", signature)

    def sealing(self, public_key_id: str | None, now: datetime) -> Sealing | None:
        """The public key, or where there is none the platform certificate that lasts longest; None without either."""
        if public_key_id is not None:
            return public_key_id, self.signers[public_key_id].key
        lasting = [(one.until, serial) for serial, one in self.signers.items() if one.since <= now <= one.until]
        return (serial := max(lasting)[1], self.signers[serial].key) if lasting else None


def signing(headers: Mapping[str, str]) -> Mapping[str, str]:
    """What WeChat Pay's signature rests on, by lower-case names."""
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith("wechatpay-")}


def _check_time(timestamp: str, now: datetime) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise Disbelieved("no timestamp", "timestamp_invalid")
    if abs(now.timestamp() - int(timestamp)) > WINDOW_SECONDS:
        raise Disbelieved("not of this moment", "timestamp_stale")


def _check(key: RSAPublicKey, message: bytes, signature: str) -> None:
    try:
        plain = base64.b64decode(signature, validate=True)
        key.verify(plain, message, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise Disbelieved("the signature does not fit", "bad_signature") from error
    if base64.b64encode(plain).decode() != signature:
        # Base64 has spare bits at its end: only the one spelling counts.
        raise Disbelieved("the signature does not fit", "bad_signature")
