"""Thousands of lives keep every promise; and planted faults do not survive a few hundred."""

import os
import re
import subprocess
import sys

import pytest

from tests.simulation.life import live
from tests.simulation.planted import PLANTED
from tests.simulation.planting import MOST_TO_FIND, Planted
from tests.simulation.run import Tally, report

LIVES = int(os.environ.get("PITAYA_SIM_LIVES", "5000"))
SECONDS = 60
ENOUGH = 500  # of a busy machine's lives in that time; an idle one of two cores lives 5,000 and more


def run(*words: str, hash_seed: str = "0") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation.run", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=10 * SECONDS,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )


def test_thousands_of_lives_keep_every_promise() -> None:
    done = run("--lives", str(LIVES), "--seconds", str(SECONDS))
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.match(r"(\d+) lives .*, (\d+) kills, (\d+) duplicates, 0 failures", done.stdout)
    assert counted, done.stdout
    lives, kills, duplicates = map(int, counted.groups())
    assert lives >= min(LIVES, ENOUGH)
    assert kills > lives, "lives without trouble show nothing"
    assert duplicates > lives
    afterwards = dict(re.findall(r"(released|payouts|settlement paid|settlement bounced|entries) (\d+)", done.stdout))
    assert len(afterwards) == 5
    assert min(map(int, afterwards.values())) > lives / 50, "money that goes nowhere shows nothing"


# Found by this simulation once, and mended: each stays a life that must go well.
@pytest.mark.parametrize("seed", [0, 50, 10_828])
def test_what_a_life_once_broke_stays_whole(seed: int) -> None:
    assert live(seed).complaints == []


@pytest.mark.parametrize("seed", [1, 43, 112])
def test_one_seed_is_one_life(seed: int) -> None:
    first, again = live(seed), live(seed)
    assert (first.digest, first.counts) == (again.digest, again.counts)
    assert first.digest != live(seed + 1).digest


def test_one_seed_is_one_life_in_another_process_too() -> None:
    once, again = run("--lives", "5", "--digest"), run("--lives", "5", "--digest", hash_seed="7")
    assert once.returncode == 0, once.stderr
    assert [line for line in once.stdout.splitlines() if line.startswith("digest")] == [
        line for line in again.stdout.splitlines() if line.startswith("digest")
    ]
    assert once.stdout.count("digest") == 5


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_fault_is_found_within_two_hundred_lives_of_its_kind(planted: Planted) -> None:
    assert planted.is_found(), f"{MOST_TO_FIND} lives have not noticed"


def test_a_failing_seed_is_printed_with_all_that_replays_it() -> None:
    text = report(Tally(failures={77: ["L3 at the end: an event"]}), seconds=1)
    assert "L3 at the end: an event" in text
    assert "PYTHONHASHSEED=0 python -m tests.simulation.run --seed 77 --lives 1" in text
