"""A Pace in memory."""

from application.ports.world import Clock


class FakePace:
    """Counts as the real one does. ``lost`` stands for a counter that cannot be reached."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, int], int] = {}
        self.lost = False

    async def take(self, key: str, *, most: int, seconds: int) -> int:
        if self.lost:
            return 0
        now = self._clock.now().timestamp()
        window = int(now // seconds)
        self._counts[key, window] = self._counts.get((key, window), 0) + 1
        return 0 if self._counts[key, window] <= most else max(1, int((window + 1) * seconds - now))
