"""The commands for merchants' developers: `pitaya listen` and `pitaya trigger`. They know Pitaya by its API alone."""

import argparse
import asyncio
import secrets
import sys
from collections.abc import Callable, Coroutine

import httpx

from adapters.inbound.cli.listen import Listener
from adapters.inbound.cli.merchant_api import MerchantApi, check_test_key
from adapters.inbound.cli.trigger import Trigger
from domain.errors import InvalidRequest, PitayaError
from domain.webhooks import SECRET_LENGTH, encode_secret


def run_listen(arguments: argparse.Namespace) -> int:
    """Forward until Ctrl-C. Exit status 1 when the API refuses us."""

    async def run() -> None:
        check_test_key(arguments.api_key)
        if not arguments.forward_to.startswith(("http://", "https://")):
            raise InvalidRequest("--forward-to is an http(s) address", code="url_invalid")
        secret = encode_secret(secrets.token_bytes(SECRET_LENGTH))
        async with httpx.AsyncClient(trust_env=False, timeout=20, follow_redirects=False) as http:
            api = MerchantApi(http, arguments.url, arguments.api_key)
            listener = Listener(api, http, arguments.forward_to, secret, _say, frozenset(arguments.type))
            skipped = 0 if arguments.from_start else await listener.skip_the_past()
            _say(f"signing secret   {secret}")
            _say(f"forwarding to    {arguments.forward_to}  ({skipped} earlier events skipped; Ctrl-C ends)")
            await listener.run(count=arguments.count)

    return _ended(run)


def run_trigger(arguments: argparse.Namespace) -> int:
    """Make it happen once."""

    async def run() -> None:
        check_test_key(arguments.api_key)
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            trigger = Trigger(MerchantApi(http, arguments.url, arguments.api_key), http, arguments.sandbox)
            _say(await trigger(arguments.event, amount=arguments.amount, method=arguments.method))

    return _ended(run)


def _say(line: str) -> None:
    print(line, flush=True)


def _ended(run: Callable[[], Coroutine[None, None, None]]) -> int:
    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return 0
    except PitayaError as error:
        print(f"pitaya: {error} ({error.code})", file=sys.stderr)
        return 1
    return 0
