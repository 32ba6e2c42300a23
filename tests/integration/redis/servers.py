"""Addresses of a Redis that is not there."""

import contextlib
import socket
from collections.abc import Generator


@contextlib.contextmanager
def nobody() -> Generator[str]:
    """An address at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{held.getsockname()[1]}/0"


@contextlib.contextmanager
def black_hole() -> Generator[str]:
    """A server that takes connections and never says a word."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(100)
        yield f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
