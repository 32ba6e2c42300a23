"""What a planted fault is: how to plant it, how it shows, and the kind of life to look for it in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.simulation.life import live
from tests.simulation.world import Odds, Sabotage

MOST_TO_FIND = 200  # lives of its kind that a fault may stay unseen in

SCANS = Odds(going_on=0.0, tills=0.0)  # the payer scans
SLOW_SCANS = Odds(going_on=0.0, tills=0.0, slow=(0.5,))
TILLS = Odds(going_on=0.0, tills=0.9)
TROUBLED_TILLS = Odds(going_on=0.0, tills=0.9, channel=(0.4,))
SALES = Odds(going_on=0.0)
DEADLY_SALES = Odds(going_on=0.0, kill=(0.02,))
REFUNDS = Odds(going_on=0.0, regrets=1.0)
TROUBLED_REFUNDS = Odds(going_on=0.0, regrets=1.0, channel=(0.4,))
CHANGES = Odds(going_on=0.0, changes=1.0)
AFTERWARDS = Odds(going_on=1.0)


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault, words that a complaint about it holds, and the odds of the lives in which it can show."""

    plant: Sabotage
    words: str
    odds: Odds

    @property
    def name(self) -> str:
        return str(getattr(self.plant, "__name__", self.plant))

    def found_by(self, seeds: Iterable[int]) -> Iterator[int]:
        """Those whose life complains of it."""
        for seed in seeds:
            if any(self.words in complaint for complaint in live(seed, self.plant, self.odds).complaints):
                yield seed

    def is_found(self) -> bool:
        return next(self.found_by(range(MOST_TO_FIND)), None) is not None
