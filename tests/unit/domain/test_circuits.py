"""Five failures in a row pause an address, each pause twice as long, and one try after it finds out."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.circuits import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE, SILENCE, TRIP, Circuit
from tests.unit.domain.samples import NOW

SECOND = timedelta(seconds=1)


def failing(times: int) -> Circuit:
    circuit = Circuit.first("whe_1", "whe_1", NOW)
    for _ in range(times - 1):
        circuit = circuit.failed(NOW)
    return circuit


def test_four_failures_change_nothing_and_the_fifth_pauses() -> None:
    assert failing(TRIP - 1).room(NOW, 4) == 4
    tripped = failing(TRIP)
    assert tripped.room(NOW, 4) == 0
    assert tripped.room(NOW + FIRST_PAUSE - SECOND, 4) == 0
    assert tripped.room(NOW + FIRST_PAUSE, 4) == 1


def test_tries_under_way_when_the_pause_begins_do_not_lengthen_it() -> None:
    assert failing(TRIP + 3).paused_until == failing(TRIP).paused_until


def test_each_pause_is_twice_as_long_up_to_ten_minutes() -> None:
    circuit, pauses = failing(TRIP), []
    for _ in range(8):
        assert circuit.paused_until is not None
        pauses.append(circuit.paused_until - circuit.failed_at)
        circuit = circuit.failed(circuit.paused_until)
    assert pauses[:5] == [FIRST_PAUSE * 2**n for n in range(5)]
    assert set(pauses[5:]) == {LONGEST_PAUSE}


@given(st.lists(st.integers(0, 40_000), max_size=400))
def test_a_pause_never_outlasts_its_longest_however_one_fails(waits: list[int]) -> None:
    circuit, now = failing(1), NOW
    for wait in waits:
        now += wait * SECOND
        circuit = circuit.failed(now)
        assert circuit.paused_until is None or circuit.paused_until <= now + LONGEST_PAUSE
        assert circuit.room(now + LONGEST_PAUSE, 4) >= 1


@pytest.mark.parametrize(("gap", "hopeless"), [(timedelta(hours=12), True), (SILENCE, True), (SILENCE + SECOND, False)])
def test_five_days_of_failures_are_hopeless_unless_nobody_tried_for_two(gap: timedelta, hopeless: bool) -> None:
    circuit, now = failing(1), NOW
    while now < NOW + PATIENCE:
        assert not circuit.hopeless(now)
        now = now + gap
        circuit = circuit.failed(now)
    assert circuit.hopeless(now) is hopeless


def test_a_moment_before_five_days_there_is_hope() -> None:
    circuit = replace(failing(1), failed_at=NOW + PATIENCE - SECOND)
    assert not circuit.failed(NOW + PATIENCE - SECOND).hopeless(NOW + PATIENCE - SECOND)
    assert circuit.failed(NOW + PATIENCE).hopeless(NOW + PATIENCE)
