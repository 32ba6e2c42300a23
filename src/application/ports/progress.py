"""How far a run of a statement day is, for whoever looks on."""

from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """``bill`` is being read, or, where that is empty, the day is being matched. ``lines`` were read so far, ``taken``
    of ``size`` bytes; ``matched`` of them agree with our records, as soon as that is known."""

    bill: str = ""
    lines: int = 0
    taken: int = 0
    size: int = 0
    matched: int = 0


class Progress(Protocol):
    """A hint, which goes by itself after a while: losing any or all of it loses nothing."""

    async def tell(self, account_id: str, day: date, step: Step | None) -> None:
        """What is being done; None: nothing any more. Returns soon, never raises."""
        ...

    async def step(self, account_id: str, day: date) -> Step | None:
        """What was told last. None: nothing is known to be done. Returns soon, never raises."""
        ...
