"""`python -m sandbox`: one process, one port, until a signal."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server

from sandbox.app import create_app

_GRACE_SECONDS = 1.0


def main() -> None:
    """Reads the arguments and serves."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8400)
    parser.add_argument(
        "--state", type=Path, help="directory for keys and trades; without it, all is forgotten at the end"
    )
    parser.add_argument("--pitaya-url", default="", help="where the sample shop finds Pitaya")
    parser.add_argument("--public-url", default="", help="how browsers and Pitaya reach this process")
    given = parser.parse_args()
    public_url = given.public_url or f"http://{given.host}:{given.port}"
    asyncio.run(_serve(given, public_url))
    # Everything is written down at the moment it happens: connections still open are no reason to stay.
    sys.stdout.flush()
    os._exit(0)


async def _serve(given: argparse.Namespace, public_url: str) -> None:
    app = create_app(given.state, public_url, given.pitaya_url)
    server = Server(app, given.host, given.port, interface=Interfaces.ASGI, websockets=False)
    ended = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, ended.set)
    serving = asyncio.create_task(server.serve())
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        server.stop()  # type: ignore[no-untyped-call]  # granian has no annotation here
        await asyncio.wait((serving,), timeout=_GRACE_SECONDS)
    if not serving.done():
        os._exit(0)
    await serving


if __name__ == "__main__":
    main()
