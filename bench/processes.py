"""The processes that are measured: started in sessions of their own, their CPU read from /proc."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bootstrap.embedded import EmbeddedPostgres

UP_WITHIN = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A child in a session of its own; its CPU is that of the whole tree below it."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                env={**os.environ, **env},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.log = log

    def cpu(self) -> float:
        return cpu_of(self._process.pid)

    def until(self, ready: Callable[[], bool]) -> float:
        """Seconds until ``ready()`` is true. Raises when the process ends or takes too long."""
        began = time.monotonic()
        while not _true(ready):
            if self._process.poll() is not None or time.monotonic() > began + UP_WITHIN:
                raise RuntimeError(f"it does not come up:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.01)
        return time.monotonic() - began

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()


@contextmanager
def running(arguments: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[Process]:
    process = Process(arguments, env, log)
    try:
        yield process
    finally:
        process.stop()


def answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=1) as answer:
        return bool(answer.status == 200)


def _true(ready: Callable[[], bool]) -> bool:
    try:
        return bool(ready())
    except OSError:
        return False


def cpu_of(root: int) -> float:
    """Seconds of CPU used by a process and all below it, those that have ended and were waited for included."""
    used: dict[int, float] = {}
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended while we looked
                continue
            parents[int(entry.name)] = int(fields[1])
            used[int(entry.name)] = sum(map(int, fields[11:15])) / _TICKS
    total, tree = 0.0, {root}
    while tree:
        total += sum(used.get(pid, 0.0) for pid in tree)
        tree = {pid for pid, parent in parents.items() if parent in tree}
    return total


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])
