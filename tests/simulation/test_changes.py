"""Suspensions, prices and routes that change in the middle of lives do what they say and nothing else."""

import pytest

from tests.simulation.planted_changes import PLANTED_CHANGES
from tests.simulation.planting import MOST_TO_FIND, Planted
from tests.simulation.run import some


def test_money_in_flight_goes_on_through_every_change() -> None:
    """The lives of ``test_lives`` are like these; here it is shown that the changes meet money at all."""
    tally = some(range(200, 500))
    assert tally.failures == {}
    for what in ("suspensions", "price changes", "reroutes", "paid while suspended", "paid at an earlier price"):
        assert tally.counts[what] >= 3, what
    assert tally.counts["paid through a switched-off account"]


@pytest.mark.parametrize("planted", PLANTED_CHANGES, ids=lambda planted: planted.name)
def test_a_change_that_does_more_or_less_than_it_says_is_found(planted: Planted) -> None:
    assert planted.is_found(), f"{MOST_TO_FIND} lives have not noticed"
