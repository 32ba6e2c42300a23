"""The supervisor as a process of its own, with dummy children: whatever ends it, nothing of its house survives."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from bootstrap import leftovers
from bootstrap.supervisor import AlreadyRunning, Child, ChildFailed, Supervisor, any_port, port_is_free

PYTHON = [sys.executable, "-S", "-c"]
# Each child writes its pid to <name>.pid: that is its readiness, too.
CALM = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"
DEAF = f"import signal; [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGINT)]; {CALM}"
# A parent with a child in its group and one in a session of its own, as Celery, granian and PostgreSQL have them.
FAMILY = f"""
import subprocess, sys
for name, own in (("worker", False), ("backend", True)):
    subprocess.Popen([sys.executable, "-S", "-c", {CALM!r}, sys.argv[1].replace("web", name)], start_new_session=own)
{CALM}
"""
HOUSE = """
import asyncio, sys
from pathlib import Path
from bootstrap.supervisor import Child, Supervisor
async def main(state, *children):
    async with Supervisor(state, say=lambda line: print(line, flush=True)) as house:
        for name, code, grace in zip(*[iter(children)] * 3):
            pid = state / f"{name}.pid"
            argv = [sys.executable, "-S", "-c", code, str(pid)]
            await house.start(Child(name=name, argv=argv, ready=pid.exists, grace=float(grace)))
        print("up", flush=True)
        await house.wait()
    print("stopped by", house.stopped_by.name, flush=True)
asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    state = tmp_path / "state"
    state.mkdir()
    yield state
    for pid in leftovers.marked(state):
        os.kill(pid, signal.SIGKILL)


class House:
    """A supervisor in a process of its own, started and ready. ``children`` are (name, code, grace) in order."""

    def __init__(self, state: Path, *children: tuple[str, str, float]) -> None:
        self.state = state
        for old in state.glob("*.pid"):
            old.unlink()
        words = [str(word) for child in children for word in child]
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOUSE, str(state), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line == "up\n":
                return self
        raise AssertionError(f"the house did not come up: {self.said}")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ends(self, within: float = 15) -> int:
        """Its exit status; what it said meanwhile is appended to ``said``."""
        output, _ = self.process.communicate(timeout=within)
        self.said += output.splitlines()
        return self.process.returncode

    def pid(self, name: str) -> int:
        path = self.state / f"{name}.pid"
        until(lambda: path.exists() and path.read_text() != "", f"{name} did not start")
        return int(path.read_text())


def until(condition: Callable[[], bool], otherwise: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def alive(*pids: int) -> set[int]:
    return set(pids) & leftovers.table().keys()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_ending_signal_stops_all_children_and_ends_well(state: Path, number: signal.Signals) -> None:
    with House(state, ("web", CALM, 5), ("beat", CALM, 5)) as house:
        pids = house.pid("web"), house.pid("beat")
        house.process.send_signal(number)

        assert house.ends() == 0
        assert house.said[-1] == f"stopped by {number.name}"
        assert not alive(*pids)
        assert not list((state / "children").iterdir()), "records of ended children"


def test_children_stop_in_reverse_order(state: Path) -> None:
    farewell = (
        "import signal, sys, pathlib; log = pathlib.Path(sys.argv[1]).with_name('farewells')\n"
        "def bye(*_):\n  log.open('a').write(sys.argv[1][-9:-4] + '\\n'); sys.exit()\n"
        f"signal.signal(signal.SIGTERM, bye); {CALM}"
    )
    with House(state, ("first", farewell, 5), ("other", farewell, 5)) as house:
        house.process.terminate()
        assert house.ends() == 0

    assert (state / "farewells").read_text().split() == ["other", "first"]


def test_a_child_that_ignores_its_signal_is_killed_after_its_grace(state: Path) -> None:
    with House(state, ("deaf", DEAF, 0.3)) as house:
        pid = house.pid("deaf")
        house.process.terminate()

        assert house.ends() == 0
        assert "deaf did not stop within 0.3 s: killed" in house.said
        assert not alive(pid)


async def test_a_terminal_that_is_gone_does_not_keep_children_alive(state: Path) -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    ready = state / "deaf.pid"
    async with Supervisor(state, say=gone) as house:
        await house.start(Child(name="deaf", argv=[*PYTHON, DEAF, str(ready)], ready=ready.exists, grace=0.1))

    assert not alive(int(ready.read_text()))


def test_a_second_signal_kills_at_once(state: Path) -> None:
    with House(state, ("deaf", DEAF, 60)) as house:
        pid = house.pid("deaf")
        house.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for the child, as it should
            house.process.wait(0.5)
        house.process.send_signal(signal.SIGINT)

        assert house.ends(within=5) == 0
        assert not alive(pid)


def test_grandchildren_end_too_in_the_group_or_out_of_it(state: Path) -> None:
    with House(state, ("web", FAMILY, 5)) as house:
        pids = house.pid("web"), house.pid("worker"), house.pid("backend")
        assert alive(*pids) == set(pids)
        house.process.terminate()

        assert house.ends() == 0
        assert not alive(*pids)


def test_a_killed_child_is_started_again_and_its_workers_are_not_left_beside_the_new_one(state: Path) -> None:
    with House(state, ("web", FAMILY, 5)) as house:
        first, worker = house.pid("web"), house.pid("worker")
        (state / "web.pid").unlink()
        os.kill(first, signal.SIGKILL)

        assert house.pid("web") != first
        assert not alive(first, worker)
        house.process.terminate()
        assert house.ends() == 0
        assert "web was killed by signal 9; starting it again in 0.2 s" in house.said


def test_the_next_start_ends_what_a_killed_supervisor_left(state: Path) -> None:
    with House(state, ("web", FAMILY, 5)) as house:
        left = house.pid("web"), house.pid("worker"), house.pid("backend")
        house.process.kill()
        house.process.wait()
        assert alive(*left) == set(left), "kill -9 is expected to leave them"

    with House(state, ("web", CALM, 5)) as house:
        assert not alive(*left)
        assert any(f"web (process {left[0]}) was left behind" in line for line in house.said)


def test_workers_whose_parent_is_dead_as_well_are_found_by_their_marker(state: Path) -> None:
    with House(state, ("web", FAMILY, 5)) as house:
        web, *orphans = house.pid("web"), house.pid("worker"), house.pid("backend")
        house.process.kill()
        house.process.wait()
        os.kill(web, signal.SIGKILL)
        until(lambda: not alive(web), "web survived")
        assert alive(*orphans) == set(orphans)

    with House(state, ("web", CALM, 5)):
        assert not alive(*orphans)


def test_a_record_whose_pid_now_belongs_to_another_process_harms_nobody(state: Path) -> None:
    leftovers.records(state).mkdir()
    bystander = subprocess.Popen([*PYTHON, "import time; time.sleep(600)"], start_new_session=True)
    try:
        leftovers.remember(state, "web", bystander.pid, [signal.SIGTERM], 1)
        record = leftovers.records(state) / "web.json"
        started = leftovers.table()[bystander.pid].started
        record.write_text(record.read_text().replace(started, f"{int(started) - 1}"))
        leftovers.end(state, print)

        assert bystander.poll() is None
        assert not record.exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_processes_of_another_state_are_left_alone(state: Path, tmp_path: Path) -> None:
    with House(state, ("web", CALM, 5)) as house:
        leftovers.records(tmp_path / "stat").mkdir(parents=True)
        leftovers.end(tmp_path / "stat", print)

        assert alive(house.pid("web"))


def test_where_there_is_no_proc_ps_tells_the_same(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with House(state, ("web", FAMILY, 5)) as house:
        pids = {house.pid("web"), house.pid("worker"), house.pid("backend")}
        by_proc, marked = leftovers.table(), leftovers.marked(state).keys()
        monkeypatch.setattr(leftovers, "PROC", Path("/nowhere"))
        by_ps = leftovers.table()

        assert marked == leftovers.marked(state).keys() == pids
        assert [(p, by_ps[p].group, by_ps[p].parent) for p in pids] == [
            (p, by_proc[p].group, by_proc[p].parent) for p in pids
        ]
        house.process.kill()
        house.process.wait()
        leftovers.remember(state, "web", house.pid("web"), [signal.SIGTERM], 5)
        leftovers.end(state, print)
        assert not alive(*pids)


async def test_a_crash_loop_ends_the_house_with_the_end_of_the_log(state: Path) -> None:
    with pytest.raises(ChildFailed, match=r"web ended with status 3, 5 times within \d+ s(?s:.*)no database"):
        async with Supervisor(state) as house:
            await house.start(Child(name="web", argv=[*PYTHON, "import sys; print('no database'); sys.exit(3)"]))
            async with asyncio.timeout(20):
                await house.wait()


async def test_a_child_that_is_not_ready_in_time_fails_the_start_and_stops_the_others(state: Path) -> None:
    ready = state / "calm.pid"
    with pytest.raises(ChildFailed, match=r"slow was not ready within 0\.3 s"):
        async with Supervisor(state) as house:
            await house.start(Child(name="calm", argv=[*PYTHON, CALM, str(ready)], ready=ready.exists))
            await house.start(
                Child(name="slow", argv=[*PYTHON, CALM, "x"], ready=lambda: False, ready_within=0.3, cwd=state)
            )

    assert not alive(int(ready.read_text()))


async def test_an_error_in_the_body_stops_the_children_and_is_not_hidden(state: Path) -> None:
    ready = state / "calm.pid"
    with pytest.raises(ZeroDivisionError):
        async with Supervisor(state) as house:
            await house.start(Child(name="calm", argv=[*PYTHON, CALM, str(ready)], ready=ready.exists))
            raise ZeroDivisionError

    assert not alive(int(ready.read_text()))


async def test_a_second_supervisor_is_refused_and_told_who_holds_the_state(state: Path) -> None:
    with House(state, ("web", CALM, 5)) as house:
        with pytest.raises(AlreadyRunning, match=f"process {house.process.pid} already runs"):
            async with Supervisor(state):
                pass

        assert alive(house.pid("web"))


async def test_a_taken_port_is_avoided_and_the_choice_remembered(state: Path) -> None:
    preferred = any_port()
    async with Supervisor(state) as house:
        assert house.port("web", preferred) == preferred
        assert house.port("sandbox", preferred) != preferred, "two children were given one port"
        with socket.create_server(("127.0.0.1", preferred)):
            assert not port_is_free(preferred)
            other = house.port("web", preferred)
            assert other != preferred

    async with Supervisor(state) as house:
        assert house.port("web", preferred) == other


async def test_the_output_of_the_last_two_runs_is_kept(state: Path) -> None:
    log = state / "log" / "web.log"
    for text in ("one", "two"):
        code = f"print({text!r}, flush=True); import time; time.sleep(600)"
        async with Supervisor(state) as house:
            await house.start(Child(name="web", argv=[*PYTHON, code], ready=lambda: bool(log.read_text())))

    assert (log.read_text(), log.with_suffix(".old").read_text()) == ("two\n", "one\n")
