"""``python -m tests.simulation.run --lives 5000 --seed 0``: many lives on all cores, or one again by its seed."""

import argparse
import gc
import math
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.simulation.life import live
from tests.simulation.planted import PLANTED
from tests.simulation.planted_changes import PLANTED_CHANGES
from tests.simulation.planting import Planted

CHUNK = 25


@dataclass
class Tally:
    """What came of many lives: counts by name, and the complaints of each seed that failed."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[int, list[str]] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        self.counts += other.counts
        self.failures |= other.failures
        self.digests |= other.digests


def some(seeds: Iterable[int], *, until: float = math.inf, digests: bool = False) -> Tally:
    """Live these, one after the other, until that time of the monotonic clock."""
    tally = Tally()
    with _collecting_by_hand():
        for n, seed in enumerate(seeds):
            if time.monotonic() > until:
                break
            life = live(seed)
            tally.counts += life.counts
            if digests:
                tally.digests[seed] = life.digest
            if life.complaints:
                tally.failures[seed] = life.complaints
            if n % 5 == 4:
                gc.collect()
    return tally


@contextmanager
def _collecting_by_hand() -> Iterator[None]:
    """Left to itself, the collector looks through what is imported again and again; and what it has not found is kept
    by every further ``freeze``, until memory is slow."""
    gc.collect()
    gc.freeze()  # what is imported stays
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def many(first: int, lives: int, *, budget: float = math.inf, digests: bool = False) -> Tally:
    """Live seeds from ``first`` on, on all cores, until there were so many or the seconds of ``budget`` are over."""
    tally, live_them = Tally(), partial(some, until=time.monotonic() + budget, digests=digests)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(live_them, _chunks(first, lives)):
            tally.add(part)
    return tally


def survey(lives: int) -> Iterator[str]:
    """Of each planted fault: in how many of so many lives of its kind it is found, and by which seed first."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for planted in (*PLANTED, *PLANTED_CHANGES):
            found = sorted(seed for part in pool.map(partial(_found, planted), _chunks(0, lives)) for seed in part)
            yield f"{planted.name}: {len(found)} of {lives}, first by seed {found[0] if found else None}"


def _found(planted: Planted, seeds: range) -> list[int]:
    with _collecting_by_hand():
        return list(planted.found_by(seeds))


def _chunks(first: int, lives: int) -> list[range]:
    return [range(seed, min(seed + CHUNK, first + lives)) for seed in range(first, first + lives, CHUNK)]


def replay(seed: int) -> str:
    """How to see one life again."""
    return f"PYTHONHASHSEED=0 python -m tests.simulation.run --seed {seed} --lives 1"


def report(tally: Tally, seconds: float) -> str:
    counts = tally.counts
    pace = f"{counts['lives']} lives in {seconds:.0f} s ({counts['lives'] / seconds:.0f} a second)"
    doubled = counts["repeated notices"] + counts["repeated deliveries"]
    told = (
        "effective",
        "held",
        "closed",
        "charges",
        "reversed",
        "given back",
        "undone unheard",
        "faults",
        "repeated notices",
        "repeated deliveries",
        "missed while off",
        "suspensions",
        "paid while suspended",
        "price changes",
        "paid at an earlier price",
        "reroutes",
        "paid through a switched-off account",
        "hours",
    )
    afterwards = ("released", "payouts", "settlement paid", "settlement bounced", "entries", "closed days")
    lines = [
        f"{pace}, {counts['kills']} kills, {doubled} duplicates, {len(tally.failures)} failures",
        ", ".join(f"{name} {counts[name]}" for name in told),
        f"{counts['went on']} lives went on: " + ", ".join(f"{name} {counts[name]}" for name in afterwards),
    ]
    for seed, complaints in sorted(tally.failures.items())[:10]:
        lines += [f"seed {seed}:", *(f"    {complaint}" for complaint in complaints[:5]), f"    {replay(seed)}"]
    return "\n".join(lines)


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a seed's story
        return subprocess.call(
            [sys.executable, "-m", "tests.simulation.run", *sys.argv[1:]], env={**os.environ, "PYTHONHASHSEED": "0"}
        )
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lives", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--digest", action="store_true", help="print what each life came to, to compare replays")
    parser.add_argument("--planted", action="store_true", help="print how soon each planted fault is found instead")
    arguments = parser.parse_args()
    if arguments.planted:
        for line in survey(arguments.lives):
            print(line, flush=True)
        return 0
    began = time.monotonic()
    tally = many(arguments.seed, arguments.lives, budget=arguments.seconds, digests=arguments.digest)
    print(report(tally, time.monotonic() - began))
    if arguments.digest:
        print(*(f"digest {seed} {digest}" for seed, digest in sorted(tally.digests.items())), sep="\n")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
