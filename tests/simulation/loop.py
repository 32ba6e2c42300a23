"""An event loop with a clock of its own: no real time, no real I/O, and the order of what is ready drawn by a seed."""

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Mapping
from typing import Any


class _NoSelector(selectors.BaseSelector):
    """Nothing to wait for but time: where the loop would sleep, its clock jumps."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("deadlock: nothing is ready and nothing is timed")
        self.now += timeout
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise RuntimeError("there is no I/O in a simulation")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise RuntimeError("there is no I/O in a simulation")

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}

    def close(self) -> None:
        pass


class SeededLoop(asyncio.SelectorEventLoop):
    """The same coroutines as in production, deterministic: equal seeds run equal lives (under PYTHONHASHSEED=0).

    Whatever is ready in one round runs in an order that the seed shuffles, so a race that can happen will, at some
    seed. Time stands still while anything is ready.
    """

    def __init__(self, seed: int) -> None:
        self._clock = _NoSelector()
        self._order = random.Random(f"order of {seed}")
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now

    def _make_self_pipe(self) -> None:
        self._ssock = self._csock = None
        self._internal_fds = 0

    def _close_self_pipe(self) -> None:
        pass

    def _run_once(self) -> None:
        if len(self._ready) > 1:  # type: ignore[has-type]  # the standard library's own queue
            ready = list(self._ready)  # type: ignore[has-type]
            self._order.shuffle(ready)
            self._ready = deque(ready)
        super()._run_once()  # type: ignore[misc]
