"""WeChat Pay's platform certificates, for merchants that verify by them: fetched by the clock, never on demand.

They change by themselves; a new one is in the list days before it signs (https://pay.weixin.qq.com/doc/v3/merchant/
4012551764, which asks to look more often than every twelve hours). A message that names an unknown serial fetches
nothing: anybody can send one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.channel_wire import CACHED, Unreadable
from adapters.outbound.wechat import answers
from adapters.outbound.wechat.keys import MerchantKeys, read_certificates
from adapters.outbound.wechat.sdk import opened
from adapters.outbound.wechat.signatures import Disbelieved, Signatures, Signer
from adapters.outbound.wechat.transport import Verify
from domain.errors import ChannelError, ChannelUnavailable, InvalidRequest

REFRESH_SECONDS = 6 * 3600.0
RETRY_SECONDS = 60.0  # after a fetch that failed
FETCH_SECONDS = 3.0  # less than the five seconds that a notice's answer may take

Ask = Callable[[Verify], Awaitable[tuple[int, str]]]  # GET /v3/certificates, its answer verified by the given


@dataclass(frozen=True, slots=True)
class _Held:
    signers: Mapping[str, Signer]
    due: float  # by the monotonic clock


class PlatformCertificates:
    """What was fetched, by merchant. While a fetch is under way, and when it fails, the last ones serve on."""

    def __init__(self, *, refresh_seconds: float = REFRESH_SECONDS) -> None:
        self._refresh = refresh_seconds
        self._held: dict[object, _Held] = {}
        self._locks: dict[object, asyncio.Lock] = {}

    async def of(self, merchant: object, keys: MerchantKeys, ask: Ask) -> Signatures:
        """The configured signers and the fetched ones. Raises ChannelUnavailable where there are none at all."""
        held = self._held.get(merchant)
        lock = self._locks.setdefault(merchant, asyncio.Lock())
        if held is None or (held.due <= time.monotonic() and not lock.locked()):
            async with lock:
                held = await self._fresh(merchant, keys, ask)
        signers = {**keys.wechat.signers, **held.signers}
        if not signers:
            raise ChannelUnavailable("no platform certificate of WeChat Pay yet", code="certificates_missing")
        return Signatures(signers)

    async def _fresh(self, merchant: object, keys: MerchantKeys, ask: Ask) -> _Held:
        held = self._held.get(merchant)
        if held is not None and held.due > time.monotonic():
            return held  # somebody was faster
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                signers = await _fetched(keys, ask)
            held = _Held(signers, time.monotonic() + self._refresh)
        except (ChannelError, TimeoutError):
            held = _Held(held.signers if held else {}, time.monotonic() + RETRY_SECONDS)
        # One assignment: nobody ever sees an empty list in between, as in the SDK.
        self._held[merchant] = held
        if len(self._held) > CACHED:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self._locks.pop(oldest, None)
        return held


async def _fetched(keys: MerchantKeys, ask: Ask) -> Mapping[str, Signer]:
    """The list as it stands. It is sealed with the merchant's own APIv3 key, and signed with one of its certificates or
    with a key that was configured."""
    listed: dict[str, Signer] = {}

    def verify(headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        listed.update(_listed(body, keys.apiv3))
        Signatures({**keys.wechat.signers, **listed}).verify(headers, body, now)

    status, text = await ask(verify)
    answers.accepted(status, answers.content(text), success=200)
    return listed


def _listed(body: bytes, apiv3_key: str) -> dict[str, Signer]:
    data = answers.content(body).get("data")
    signers: dict[str, Signer] = {}
    for entry in data if isinstance(data, list) else []:
        sealed = entry.get("encrypt_certificate") if isinstance(entry, dict) else None
        if not isinstance(sealed, dict):
            continue
        try:
            signers |= read_certificates(opened(sealed, apiv3_key).strip())
        except (Unreadable, InvalidRequest, ValueError) as error:
            raise Disbelieved("a platform certificate that cannot be opened", "certificates_invalid") from error
    return signers
