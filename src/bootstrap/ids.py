"""Identities: ULIDs that sort by time, and random text for secrets."""

import secrets
import threading
import time
from collections.abc import Callable

from domain.tokens import BASE62

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SystemIds:
    """Ids from the system's clock and its secure random source. One instance may be used by several threads.

    milliseconds: the clock, Unix time in milliseconds.
    """

    def __init__(self, milliseconds: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._milliseconds = milliseconds
        self._last = 0
        self._lock = threading.Lock()

    def new(self, prefix: str) -> str:
        """``prefix_`` + ULID: 48 bits of milliseconds, 80 random bits, in Crockford's base 32 (ULID specification).

        Each is greater than the one before, within one millisecond too and while the clock is set back: later ids
        of one process always sort after its earlier ones.
        """
        with self._lock:
            self._last = max(self._last + 1, self._milliseconds() << 80 | secrets.randbits(80))
            number = self._last
        return f"{prefix}_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -5, -5))

    def token(self, length: int) -> str:
        """``length`` random base62 characters: 5.95 bits each."""
        number = secrets.randbelow(len(BASE62) ** length)  # one draw: each would be a call to the system
        digits = []
        for _ in range(length):
            number, digit = divmod(number, len(BASE62))
            digits.append(BASE62[digit])
        return "".join(digits)
