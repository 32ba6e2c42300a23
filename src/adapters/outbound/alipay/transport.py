"""One exchange with Alipay's gateway, and what its status means for the request; and its files."""

import asyncio
from typing import IO

import httpx

from adapters.channel_wire import exchange
from domain.errors import ChannelUnavailable, OutcomeUnknown

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}


async def post(client: httpx.AsyncClient, gateway: str, form: bytes) -> bytes:
    """The body of a 200. Raises as ``exchange`` does, and for every other status."""
    response, body = await exchange(client, "Alipay's gateway", "POST", gateway, headers=_HEADERS, content=form)
    if response.status_code == 429:
        raise ChannelUnavailable("Alipay's gateway wants fewer calls")
    if response.status_code != 200:
        raise OutcomeUnknown(f"Alipay's gateway answered {response.status_code}", code="answer_invalid")
    return body


async def download(client: httpx.AsyncClient, url: str, into: IO[bytes], *, most: int, seconds: float) -> None:
    """A file at an address that Alipay gave us. Raises ChannelUnavailable: reading it again changes nothing."""
    written = 0
    try:
        async with asyncio.timeout(seconds), client.stream("GET", url) as response:
            if response.status_code != 200:
                raise ChannelUnavailable(f"Alipay's file answered {response.status_code}", code="bill_not_ready")
            async for chunk in response.aiter_raw():
                written += len(chunk)
                if written > most:
                    raise ChannelUnavailable("Alipay's file does not end", code="answer_too_large")
                into.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise ChannelUnavailable(f"no whole file from Alipay: {type(error).__name__}", code="bill_not_ready") from error
