"""One process's house with its back office: what follows a sale, beside what makes one."""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.fakes.closings import FakeRoots
from tests.fakes.house import House
from tests.fakes.treasury import Treasury

# One look for work; how much it found.
Sweep = Callable[[], Coroutine[Any, Any, int]]


@dataclass
class BackOffice(House):
    """``roots`` stand outside the database, and outlive every process."""

    roots: FakeRoots = field(default_factory=FakeRoots)

    def _wire(self) -> None:
        super()._wire()
        self.__dict__.pop("treasury", None)

    @cached_property
    def treasury(self) -> Treasury:
        """Made when it is first asked for: most houses sell and no more."""
        return Treasury(self, self.roots)

    def sales(self) -> Iterator[tuple[str, Sweep]]:
        """The sweeps of the main job, by the names that the alarm knows them by."""
        yield "fan_out", self.fan_out
        yield "deliver", self.deliver
        yield "check", self.check_due_attempts
        yield "expire", self.expire_orders
        yield "refund", self.check_due_refunds

    def afterwards(self) -> Iterator[tuple[str, Sweep]]:
        """The sweeps of what follows it."""
        treasury = self.treasury
        yield "close", treasury.close_matched
        yield "schedule", treasury.schedule
        yield "release", treasury.release_due
        yield "settle", treasury.settle_due
        yield "payout", self.check_due_payouts
        yield "proposal", treasury.expire
