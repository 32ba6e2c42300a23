"""Identities from a seed: valid ULIDs, each greater than the one before."""

import random

from application.ports.world import Clock
from domain.tokens import BASE62
from tests.fakes.clock import FakeClock

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class FakeIds:
    """48 bits of the clock's milliseconds, 80 of the seed's chance; within one millisecond it counts on from those."""

    def __init__(self, seed: int = 0, clock: Clock | None = None) -> None:
        self._random = random.Random(seed)
        self._clock = clock or FakeClock()
        self._last = 0

    def new(self, prefix: str) -> str:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        # Half of the random part is left unused above, so that counting on never overflows into the time.
        fresh = (milliseconds << 80) | self._random.getrandbits(79)
        self._last = fresh if fresh >> 80 > self._last >> 80 else self._last + 1 + self._random.getrandbits(16)
        return f"{prefix}_" + "".join(CROCKFORD[self._last >> shift & 31] for shift in range(125, -5, -5))

    def token(self, length: int) -> str:
        return "".join(self._random.choice(BASE62) for _ in range(length))
