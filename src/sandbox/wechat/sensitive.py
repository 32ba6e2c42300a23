"""Sensitive fields of requests, encrypted to one of WeChat Pay's keys (微信支付「如何加密敏感信息」)."""

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1

from sandbox.wechat.orders import Call, parameter
from sandbox.wechat.signing import signers
from sandbox.world import World


def plain(world: World, call: Call, pointer: str, sealed: object) -> str:
    """What stands in the field. Refused unless it was encrypted to the key that Wechatpay-Serial names."""
    signer = signers(world.keys).get(call.serial)
    if signer is None:
        raise parameter("Wechatpay-Serial", call.serial, "敏感信息需要加密，并在请求头中说明所用的公钥", "header")
    try:
        box = base64.b64decode(str(sealed), validate=True)
        return signer.key.decrypt(box, OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)).decode()  # noqa: S303
    except (binascii.Error, ValueError):
        raise parameter(pointer, None, "敏感信息解密失败，请检查加密所用的公钥") from None
