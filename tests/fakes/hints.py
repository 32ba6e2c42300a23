"""Wake-ups that are written down, or lost."""

from collections.abc import Callable


class FakeHints:
    """``lost`` drops them all, as a dead Redis does; ``on_work`` lets a simulation wake its workers."""

    def __init__(self, on_work: Callable[[str], None] | None = None) -> None:
        self.jobs: list[str] = []
        self.changed_orders: list[str] = []
        self.lost = False
        self._on_work = on_work

    async def work(self, job: str) -> None:
        if self.lost:
            return
        self.jobs.append(job)
        if self._on_work is not None:
            self._on_work(job)

    async def order_changed(self, order_id: str) -> None:
        if not self.lost:
            self.changed_orders.append(order_id)
