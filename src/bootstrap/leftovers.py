"""Finds and ends the processes that a supervisor killed with -9 left behind, and touches nobody else's.

Two traces lead to them. A record per child (pid, start time, how to stop it), believed only while a process with that
pid *and* that start time lives, since pids are given out again. And a marker in the environment, which their own
children inherit into whatever session they open. A process seen by neither is not ours.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

MARKER = "PITAYA_SUPERVISED_IN"  # its value: the absolute state directory
PROC = Path("/proc")
LAST_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    """One row of the process table. ``started`` only compares: ticks since boot, or a date as ``ps`` writes it."""

    pid: int
    parent: int
    group: int
    started: str


def records(state: Path) -> Path:
    """The directory that holds one record a child."""
    return state / "children"


def remember(state: Path, name: str, pid: int, stop: Iterable[signal.Signals], grace: float) -> None:
    """Writes down a child that has just been started."""
    process = table().get(pid)
    record = {"pid": pid, "started": process and process.started, "stop": [int(s) for s in stop], "grace": grace}
    write(records(state) / f"{name}.json", json.dumps(record))


def forget(state: Path, name: str) -> None:
    """The child has ended."""
    (records(state) / f"{name}.json").unlink(missing_ok=True)


def end(state: Path, say: Callable[[str], None]) -> None:
    """Ends whatever still runs of this state: recorded children by their own signals, the last started first, then
    all that is left by SIGKILL. Returns when they are gone. Raises TimeoutError if one survives even that."""
    for path in sorted(records(state).glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        record = json.loads(path.read_text())
        name, pid, started = path.stem, int(record["pid"]), record["started"]
        if _is(pid, started):
            say(f"{name} (process {pid}) was left behind by an earlier run: ending it")
            group = {process.pid: process.started for process in table().values() if process.group == pid}
            for number in record["stop"]:
                if not _is(pid, started):
                    break
                os.kill(pid, number)
                _until_gone({pid: started}, record["grace"])
            _kill(group)
        path.unlink()
    _kill({pid: process.started for pid, process in marked(state).items()})


def marked(state: Path) -> dict[int, Process]:
    """Every process that carries this state's marker, but for ourselves and those we descend from."""
    processes = table()
    ours, pid = set(), os.getpid()
    while pid in processes and pid not in ours:
        ours.add(pid)
        pid = processes[pid].parent
    wanted = f"{MARKER}={state}"
    return {p: processes[p] for p in _with_environment(wanted) if p in processes and p not in ours}


def table() -> dict[int, Process]:
    """The live processes by pid; a zombie does not live."""
    return _table_of_proc() if (PROC / "self/stat").exists() else _table_of_ps()


def write(path: Path, text: str) -> None:
    """Replaces a file whole, for us alone: whoever reads it, or kills us meanwhile, finds the old text or the new."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(0o600)
    new.replace(path)


def _is(pid: int, started: str | None) -> bool:
    process = table().get(pid)
    return process is not None and process.started == started


def _kill(processes: dict[int, str]) -> None:
    for pid, started in processes.items():
        if _is(pid, started):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if alive := _until_gone(processes, LAST_GRACE):
        raise TimeoutError(f"processes {sorted(alive)} of an earlier run cannot be ended")


def _until_gone(processes: dict[int, str], seconds: float) -> set[int]:
    """Waits for them to end; those that did not in time."""
    deadline = time.monotonic() + seconds
    while True:
        now = table()
        alive = {pid for pid, started in processes.items() if pid in now and now[pid].started == started}
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.02)


def _table_of_proc() -> dict[int, Process]:
    processes = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked
            # "pid (name) state ppid pgrp ... starttime": the name may hold blanks and brackets
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[0] not in "ZX":
                pid = int(entry.name)
                processes[pid] = Process(pid, int(fields[1]), int(fields[2]), fields[19])
    return processes


def _table_of_ps() -> dict[int, Process]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart="],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    rows = (line.split(maxsplit=4) for line in listing.stdout.splitlines())
    return {
        int(pid): Process(int(pid), int(parent), int(group), started.strip())
        for pid, parent, group, state, started in rows
        if state[0] != "Z"
    }


def _with_environment(wanted: str) -> list[int]:
    if not (PROC / "self/environ").exists():
        listing = subprocess.run(["ps", "axeww", "-o", "pid=,command="], check=True, capture_output=True, text=True)
        rows = (line.split(maxsplit=1) for line in listing.stdout.splitlines())
        return [int(pid) for pid, command in (row for row in rows if len(row) == 2) if f" {wanted} " in f"{command} "]
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended, or it is another user's
                if os.fsencode(wanted) in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
