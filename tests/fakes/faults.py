"""What goes wrong next in a fake: scripted, standing, or chosen by a seeded function."""

from collections.abc import Callable
from enum import StrEnum
from typing import Generic, TypeVar

F = TypeVar("F", bound=StrEnum)


class Faults(Generic[F]):
    """Asked once before each step that can fail. ``always`` stands until taken away; ``choose`` is for simulations."""

    def __init__(self) -> None:
        self.always: F | None = None
        self.choose: Callable[[str], F | None] | None = None
        self._scripted: list[tuple[str, F]] = []

    def once(self, fault: F, at: str = "") -> None:
        """At the next step whose name starts with ``at``, and only there."""
        self._scripted.append((at, fault))

    def take(self, step: str) -> F | None:
        """The fault for this step, if any."""
        for position, (at, fault) in enumerate(self._scripted):
            if step.startswith(at):
                del self._scripted[position]
                return fault
        if self.choose is not None and (chosen := self.choose(step)) is not None:
            return chosen
        return self.always
