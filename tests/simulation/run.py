"""``python -m tests.simulation.run --lives 5000 --seed 0``: many lives on all cores, or one again by its seed."""

import argparse
import gc
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.life import live

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


def some(seeds: Iterable[int]) -> Tally:
    """Live these, one after the other."""
    gc.freeze()  # what is imported stays
    gc.set_threshold(100_000)  # a life leaves little behind, and looking for it often costs a seventh of the time
    tally = Tally()
    for seed in seeds:
        life = live(seed)
        tally.counts += life.counts
        tally.digests[seed] = life.digest
        if life.complaints:
            tally.failures[seed] = life.complaints
    return tally


def many(first: int, lives: int, *, budget: float = 1e9) -> Tally:
    """Live seeds from ``first`` on, on all cores, until there were so many or the seconds of ``budget`` are over."""
    tally, deadline = Tally(), time.monotonic() + budget
    chunks = [range(seed, min(seed + CHUNK, first + lives)) for seed in range(first, first + lives, CHUNK)]
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        for position in range(0, len(chunks), 2 * cores):
            if time.monotonic() > deadline:
                break
            for part in pool.map(some, chunks[position : position + 2 * cores]):
                tally.add(part)
    return tally


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
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--digest", action="store_true", help="print what each life came to, to compare replays")
    arguments = parser.parse_args()
    began = time.monotonic()
    tally = many(arguments.seed, arguments.lives, budget=arguments.seconds)
    print(report(tally, time.monotonic() - began))
    if arguments.digest:
        print(*(f"digest {seed} {digest}" for seed, digest in sorted(tally.digests.items())), sep="\n")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
