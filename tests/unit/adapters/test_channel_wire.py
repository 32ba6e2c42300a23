"""Exchanges with a channel that hangs up."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

from adapters.channel_wire import exchange
from bootstrap.kept_open import channel_client
from domain.errors import ChannelUnavailable, OutcomeUnknown

RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: close says RST


@contextmanager
def resetting() -> Iterator[str]:
    """An address where connections are accepted and reset, one every few milliseconds, whatever our loop does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            while True:
                end, _ = listening.accept()
                with end:
                    if ending.is_set():
                        return
                    time.sleep(0.004)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

        ending = threading.Event()
        refusing = threading.Thread(target=refuse)
        refusing.start()
        port = listening.getsockname()[1]
        yield f"http://127.0.0.1:{port}/"
        ending.set()
        socket.create_connection(("127.0.0.1", port)).close()
        refusing.join()


def test_a_connection_reset_in_the_moment_it_is_made_is_a_channel_that_cannot_be_reached() -> None:
    """On the loop of production, and busy: the connection and its end are seen in one turn of it."""

    async def busy() -> None:
        while True:
            time.sleep(0.005)  # noqa: ASYNC251 - this is how a loop is busy
            await asyncio.sleep(0)

    async def answers(url: str) -> list[object]:
        found: list[object] = []
        async with channel_client() as client:
            others = asyncio.create_task(busy())
            for _ in range(10):
                asked = [exchange(client, "x", "POST", url, headers={}, content="a") for _ in range(5)]
                found += await asyncio.gather(*asked, return_exceptions=True)
            others.cancel()
        return found

    with resetting() as url:
        found = uvloop.run(answers(url))
    assert {type(each) for each in found} <= {ChannelUnavailable, OutcomeUnknown}, found
    assert {str(each) for each in found if isinstance(each, ChannelUnavailable)} == {
        "x cannot be reached: ConnectError"
    }
