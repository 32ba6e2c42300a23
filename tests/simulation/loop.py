"""An event loop with a clock of its own: no real time, no I/O, and the order of what is ready drawn by a seed."""

import asyncio
import heapq
import random
from collections import deque


class SeededLoop(asyncio.BaseEventLoop):
    """The same coroutines as in production, deterministic: equal seeds run equal lives (under PYTHONHASHSEED=0).

    Whatever is ready in one round runs in an order that the seed shuffles, so a race that can happen will, at some
    seed. Time stands still while anything is ready, and then jumps to the next timer.
    """

    # The standard library's own, which this loop reads and it alone fills.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._now = 0.0
        self._order = random.Random(f"order of {seed}")

    def time(self) -> float:
        return self._now

    def alone(self) -> bool:
        """Whether nothing but the caller can run at this instant: then giving way would change nothing."""
        return not self._ready and not (self._scheduled and self._due(self._scheduled[0]))

    def _due(self, timer: asyncio.TimerHandle) -> bool:
        return timer.when() < self._now + 1e-9  # sums of floats that mean one instant

    def _run_once(self) -> None:
        """One round, as the standard library has it, without what is for sockets and threads."""
        ready, timers = self._ready, self._scheduled
        if len(ready) > 1:
            order = list(ready)
            self._order.shuffle(order)
            ready = self._ready = deque(order)
        while timers and timers[0].cancelled():
            heapq.heappop(timers)
        if not ready:
            if not timers:
                raise RuntimeError("deadlock: nothing is ready and nothing is timed")
            self._now = max(self._now, timers[0].when())
        while timers and self._due(timers[0]):
            ready.append(heapq.heappop(timers))
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()
