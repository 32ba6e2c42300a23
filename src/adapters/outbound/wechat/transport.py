"""What wechatpayv3 gets for its HTTP client: bounded exchanges, every answer verified, failures with a meaning."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import httpx

from adapters.channel_wire import exchange
from adapters.outbound.wechat.signatures import Disbelieved
from domain.errors import ChannelUnavailable, OutcomeUnknown

Verify = Callable[[Mapping[str, str], bytes, datetime], None]  # headers, body, now; raises Disbelieved


Files = Sequence[tuple[str, tuple[str, bytes, str]]]


class Transport:
    """The two calls that the SDK makes on its client. The shared client stays open; this is no owner of it.

    Raises ChannelUnavailable while nothing can have been done, OutcomeUnknown as soon as something may have, or when an
    answer is not rightly signed. The SDK verifies 2xx answers only, and a forged "404 ORDER_NOT_EXIST" must not make a
    payment disappear. The one unsigned word we take is a refusal to listen: 429, and 401 for our own signature.
    """

    def __init__(self, client: httpx.AsyncClient, verify: Verify) -> None:
        self._client = client
        self._verify = verify

    async def get(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        return await self._exchange("GET", url, headers, None)

    async def post(
        self,
        url: str,
        content: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        data: Mapping[str, str] | None = None,
        files: Files = (),
    ) -> httpx.Response:
        sent = headers or {}
        if files:
            # The SDK names multipart/form-data without the boundary that only the encoder knows.
            form = httpx.Request("POST", url, data=data, files=files)
            sent = {**sent, "Content-Type": form.headers["Content-Type"]}
            return await self._exchange("POST", url, sent, form.read())
        # Where there is nothing to send the SDK signs nothing, and then sends "null".
        return await self._exchange("POST", url, sent, "" if content == "null" else content)

    async def _exchange(
        self, verb: str, url: str, headers: Mapping[str, str], content: str | bytes | None
    ) -> httpx.Response:
        response, body = await exchange(self._client, "WeChat Pay", verb, url, headers=headers, content=content)
        return self._believed(response.status_code, response.headers, body)

    def _believed(self, status: int, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        if status == 429:
            raise ChannelUnavailable("WeChat Pay wants fewer calls")
        try:
            self._verify(headers, body, datetime.now(UTC))
        except Disbelieved as error:
            if status == 401:
                raise ChannelUnavailable("WeChat Pay does not accept our signature") from error
            raise OutcomeUnknown(f"WeChat Pay answered {status}: {error}", code=error.code) from error
        return httpx.Response(status, headers={"Content-Type": "application/json"}, content=body)
