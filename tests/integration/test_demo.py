"""`pitaya demo` as a person runs it: the main job, every way to stop it, and what the next start finds."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bootstrap.embedded import EmbeddedPostgres
from bootstrap.smoke import PLAYED
from tests.integration.demo import DOWN_WITHIN, misses_nothing, processes_of, run, start


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One state directory for the module, so that each start after the first goes on where the last one ended."""
    state = tmp_path_factory.mktemp("demo") / "state"
    yield state
    for pid in processes_of(state):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def acknowledged() -> list[str]:
    """Ids of all orders that a demo of this module has answered with 201."""
    return []


def test_the_smoke_test_plays_the_main_job_by_many_methods_and_a_refund(state: Path) -> None:
    done = run("--smoke", "--state", str(state))
    assert done.returncode == 0, done.stdout + done.stderr
    for played in (*PLAYED, "refund"):
        assert f"✓ {played}: " in done.stdout
    assert processes_of(state) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process_even_with_an_open_cashier_page(
    state: Path, acknowledged: list[str], number: signal.Signals
) -> None:
    demo = start(state)
    misses_nothing(demo, acknowledged)
    acknowledged.append(demo.place(f"before-{number.name}"))
    with httpx.stream("GET", f"{demo.cashier}/events", timeout=30) as stream:
        next(stream.iter_text())
        assert demo.stop(number) == 0
    assert processes_of(state) == []


def test_after_kill_9_the_next_start_ends_the_leftovers_and_misses_no_order(
    state: Path, acknowledged: list[str]
) -> None:
    demo = start(state)
    acknowledged += [demo.place(f"kill-{n}") for n in range(20)]
    with httpx.stream("GET", f"{demo.cashier}/events", timeout=30) as stream:
        next(stream.iter_text())
        demo.process.kill()
        demo.process.wait(DOWN_WITHIN)
        left = set(processes_of(state))
        assert left, "kill -9 leaves them behind: otherwise this test shows nothing"
        again = start(state)
    assert again.key == demo.key, "a second run keeps the state"
    assert left.isdisjoint(processes_of(state))
    misses_nothing(again, acknowledged)
    assert again.stop(signal.SIGINT) == 0
    assert processes_of(state) == []


def test_taken_ports_are_left_alone_and_a_second_demo_says_who_runs_there(state: Path, acknowledged: list[str]) -> None:
    ports = json.loads((state / "ports.json").read_text())
    with socket.create_server(("127.0.0.1", ports["web"])), socket.create_server(("127.0.0.1", ports["sandbox"])):
        demo = start(state)
        assert not demo.web.endswith(f":{ports['web']}")
        assert not demo.sandbox.endswith(f":{ports['sandbox']}")
        misses_nothing(demo, acknowledged)
        second = run("--state", str(state))
        assert second.returncode == 1
        assert str(demo.process.pid) in second.stderr
        assert demo.stop(signal.SIGINT) == 0


def canaries_of(state: Path) -> set[str]:
    """Every secret that these processes hold: keys, pepper, passwords, and how a private key begins."""
    kept = json.loads((state / "demo.json").read_text())
    secrets = json.loads((state / "secrets.json").read_text())
    return {
        kept["api_key"],
        kept["webhook_secret"],
        kept["webhook_secret"].removeprefix("whsec_"),
        secrets["PITAYA_KEY_PEPPER"],
        secrets["PITAYA_MASTER_KEYS"].partition(":")[2],
        (state / "valkey" / "password").read_text(),
        "PRIVATE KEY",
        "MIIEv",  # PKCS#8 of 2048 bits, without its armour
        "MIIEp",  # PKCS#1
    }


def test_no_secret_reaches_the_database_in_clear(state: Path) -> None:
    demo = start(state)
    try:
        dump = EmbeddedPostgres(state / "postgres").dump("pitaya").decode()
    finally:
        assert demo.stop(signal.SIGINT) == 0
    assert "COPY public.credential" in dump
    for canary in canaries_of(state):
        assert canary not in dump
        assert canary.encode().hex() not in dump


def test_no_secret_reaches_a_log(state: Path) -> None:
    """After all of the above: everything these processes wrote, against every secret they hold."""
    canaries = canaries_of(state)
    logs = [path for path in (state / "log").iterdir() if path.is_file()]
    assert any(path.stat().st_size for path in logs)
    for path in logs:
        text = path.read_text(errors="replace")
        assert [canary for canary in canaries if canary in text] == [], path
