"""wechatpayv3's async client with each of its traps closed. No other module imports it."""

import hashlib
import json
import mimetypes
from collections.abc import Mapping
from typing import Any

import httpx
from wechatpayv3.async_ import AsyncWeChatPay
from wechatpayv3.async_.core import AsyncCore
from wechatpayv3.async_.type import RequestType, WeChatPayType  # not wechatpayv3's own: that is another enum
from wechatpayv3.async_.utils import aes_decrypt, build_authorization, rsa_encrypt

from adapters.channel_wire import Unreadable
from adapters.outbound.wechat.keys import MerchantKeys
from adapters.outbound.wechat.signatures import Sealing
from adapters.outbound.wechat.transport import Transport, Verify
from domain.errors import ChannelUnavailable

_SERIAL_DIGITS = 40

__all__ = ["Merchant", "WeChatPayType", "opened", "unseal"]


class Merchant(AsyncWeChatPay):  # type: ignore[misc]  # the SDK has no types
    """Builds, signs and sends requests for one merchant over the shared client. Give it no logger: it logs secrets.

    ``provider``: ``mchid`` is a service provider's, and requests take the partner paths. ``verify`` decides about
    every answer. ``sealing`` is for sensitive fields.
    """

    def __init__(
        self,
        *,
        app_id: str,
        mchid: str,
        provider: bool,
        keys: MerchantKeys,
        client: httpx.AsyncClient,
        gateway: str,
        verify: Verify,
        sealing: Sealing | None = None,
    ) -> None:
        # Not super().__init__: it would load keys again, in fewer shapes than we accept.
        self._type = WeChatPayType.NATIVE
        self._mchid = mchid
        self._appid = app_id
        self._notify_url = None
        self._partner_mode = provider
        self._keys = keys
        self._core = _Core(mchid, keys, Transport(client, verify), gateway, sealing)

    async def ask(self, path: str) -> tuple[int, str]:
        """GET, for what the SDK makes no method of, or one that always wants compression."""
        status, text = await self._core.request(path)
        return status, text

    async def upload(self, name: str, content: bytes) -> tuple[int, str]:
        """图片上传; the SDK's own wants a file's path. Signed is what ``meta`` says of the image."""
        meta = json.dumps({"filename": name, "sha256": hashlib.sha256(content).hexdigest()}, separators=(",", ":"))
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        status, text = await self._core.request(
            "/v3/merchant/media/upload",
            method=RequestType.POST,
            data={"meta": meta},
            sign_data=meta,
            files=[("file", (name, content, kind))],
        )
        return status, text

    def authorization(self, url: str) -> str:
        """The signature for a GET of this address."""
        path = httpx.URL(url).raw_path.decode()
        signed: str = build_authorization(path, "GET", self._mchid, self._keys.merchant_serial, self._keys.merchant)
        return signed


class _Core(AsyncCore):  # type: ignore[misc]  # likewise
    def __init__(
        self, mchid: str, keys: MerchantKeys, transport: Transport, gateway: str, sealing: Sealing | None
    ) -> None:
        super().__init__(mchid, keys.merchant_serial, private_key=None, apiv3_key=keys.apiv3)
        self._private_key = keys.merchant
        self._public_key_id = keys.public_key_id
        self._gate_way = gateway.rstrip("/")
        self._client = transport
        self._sealing = sealing

    async def _verify_signature_async(self, headers: Mapping[str, str], body: str) -> bool:
        # The transport has verified it, and unlike this method it does so for every status and fetches nothing.
        return True

    def encrypt(self, text: str) -> str:
        """For one request: the key's name goes with it, a certificate's with the leading zeros that the SDK loses."""
        if self._sealing is None:
            raise ChannelUnavailable("no valid key of WeChat Pay's to encrypt with", code="certificate_missing")
        name, key = self._sealing
        self._public_key_id = self._public_key_id or name.zfill(_SERIAL_DIGITS)
        sealed: str = rsa_encrypt(text, key)
        return sealed


def opened(resource: Mapping[str, Any], apiv3_key: str) -> str:
    """The text in a sealed ``resource``. Raises Unreadable or ValueError unless it was sealed with this key."""
    parts = [resource.get(name, "") for name in ("nonce", "ciphertext", "associated_data")]
    if resource.get("algorithm") != "AEAD_AES_256_GCM" or not all(isinstance(part, str) for part in parts):
        raise Unreadable("not a sealed resource")
    plain: str | None = aes_decrypt(*parts, apiv3_key)
    if plain is None:
        raise Unreadable("not sealed with this APIv3 key")
    return plain


def unseal(resource: Mapping[str, Any], apiv3_key: str) -> Mapping[str, Any]:
    """The object in a notice's ``resource``. Raises as ``opened``."""
    content = json.loads(opened(resource, apiv3_key))
    if not isinstance(content, dict):
        raise Unreadable("not sealed with this APIv3 key")
    return content
