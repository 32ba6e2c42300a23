"""WECHATPAY2-SHA256-RSA2048, both ways (微信支付「如何构造接口请求签名」,「如何验证签名」)."""

import random
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sandbox.keys import Keys, public_key, sign, verified
from sandbox.model import Crafting, Merchant

SCHEME = "WECHATPAY2-SHA256-RSA2048"
_PART = re.compile(r'(\w+)="([^"]*)"')
_TOLERANCE_SECONDS = 300


@dataclass(frozen=True)
class Signer:
    """One of WeChat Pay's own keys under the name that merchants know it by."""

    serial: str
    key: RSAPrivateKey


def signers(keys: Keys) -> dict[str, Signer]:
    """Every key that WeChat Pay may sign with, by serial."""
    platforms = [Signer(platform.serial, platform.key) for platform in keys.wechat_platforms]
    return {signer.serial: signer for signer in (Signer(keys.wechat_key_id, keys.wechat), *platforms)}


def choose_signer(
    keys: Keys, mode: Literal["public_key", "certificate", "both"], wanted: str | None = None, *, signing: int = 0
) -> Signer:
    """The key that the merchant asked for, else the mode's; during a migration either may sign. `signing` is the place
    of the platform certificate that signs.

    A wanted serial that nobody has is put on the message as it is, over an honest signature.
    """
    public, *certificates = signers(keys).values()
    certificate = certificates[min(signing, len(certificates) - 1)]
    if wanted in ("public_key", "certificate"):
        return public if wanted == "public_key" else certificate
    if wanted:
        return signers(keys).get(wanted) or Signer(wanted, public.key)
    if mode == "both":
        return random.choice((public, certificate))
    return public if mode == "public_key" else certificate


def signed_headers(signer: Signer, body: bytes, crafting: Crafting | None = None) -> dict[str, str]:
    """The headers of an answer or a notice, signed over timestamp, nonce and body."""
    crafting = crafting or Crafting()
    timestamp, nonce = str(int(time.time() + crafting.timestamp_offset)), secrets.token_hex(16)
    message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = sign(signer.key, message + b"forged" if crafting.sign == "bad" else message)
    if crafting.sign == "probe":
        # 「签名探测流量」: WeChat Pay sends such now and then, to see that merchants do verify.
        signature = "WECHATPAY/SIGNTEST/" + signature
    headers = {
        "Request-ID": secrets.token_hex(16).upper(),
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": signer.serial,
        "Wechatpay-Signature": signature,
        "Wechatpay-Signature-Type": SCHEME,
        "Wechatpay-Timestamp": timestamp,
    }
    if crafting.sign == "none":
        del headers["Wechatpay-Signature"]
    return headers


def credentials(authorization: str) -> Mapping[str, str] | None:
    """The five parts of an Authorization header, or None if it is not one of ours."""
    scheme, _, rest = authorization.partition(" ")
    parts = dict(_PART.findall(rest))
    needed = {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}
    return parts if scheme == SCHEME and needed <= parts.keys() else None


def fault_of(parts: Mapping[str, str], merchant: Merchant, method: str, url: str, body: bytes) -> str | None:
    """Why a signed request is refused; None when it is in order.

    Replays within the five minutes are taken, as WeChat Pay takes them.
    """
    if not re.fullmatch(r"[0-9]{1,12}", parts["timestamp"]):
        return "Http头Authorization中的timestamp不是数字"
    if abs(time.time() - int(parts["timestamp"])) > _TOLERANCE_SECONDS:
        return "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
    if parts["serial_no"].upper() != merchant.serial_no.upper():
        return "商户证书序列号有误。请使用签名私钥匹配的证书序列号"
    message = signed_message(parts, method, url, body)
    return None if verified(public_key(merchant.public_key), message, parts["signature"]) else "签名错误，请检查后再试"


def signed_message(parts: Mapping[str, str], method: str, url: str, body: bytes) -> bytes:
    """The five lines that a merchant signs."""
    return f"{method}\n{url}\n{parts['timestamp']}\n{parts['nonce_str']}\n".encode() + body + b"\n"
