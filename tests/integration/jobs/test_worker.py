"""A real Celery worker and beat as processes, on a real broker, through the accidents they will meet."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import redis

from tests.integration.jobs.rows import database

HERE = Path(__file__).parent


class House:
    """One worker with two processes, one beat, and their database."""

    def __init__(self, broker: str, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.path = str(folder / "rows.db")
        self.db: sqlite3.Connection = database(self.path)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        with (self.folder / f"{role}.log").open("ab") as log:
            self.processes[role] = subprocess.Popen(
                [sys.executable, str(HERE / "rows.py"), role, self.broker, self.path],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def stop(self, role: str) -> int:
        self.processes[role].send_signal(signal.SIGTERM)
        return self.ended(role)

    def ended(self, role: str) -> int:
        """Its exit status. A process that does not end stays ours, to be killed at the end."""
        status = self.processes[role].wait(10)
        del self.processes[role]
        return status

    def end(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.db.close()

    def add(self, *ids: str) -> None:
        for id_ in ids:
            self.db.execute("INSERT INTO due (id, next_at) VALUES (?, ?)", (id_, time.time()))

    def one(self, query: str, *values: object) -> int:
        return int(self.db.execute(query, values).fetchone()[0])

    def undone(self) -> int:
        return self.one("SELECT count(*) FROM due WHERE done IS NULL")

    def log(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text()

    def until(self, true: Callable[[], bool], within: float = 12) -> None:
        deadline = time.monotonic() + within
        while not true():
            for role, process in self.processes.items():
                assert process.poll() is None, f"{role} ended:\n{self.log(role)[-3000:]}"
            assert time.monotonic() < deadline, f"it did not happen:\n{self.log('worker')[-3000:]}"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def house(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    house = House(redis_server, tmp_path_factory.mktemp("house"))
    try:
        house.start("worker")
        house.start("beat")
        house.until(lambda: house.one("SELECT count(*) FROM sweep WHERE job = 'work'") > 0)
        yield house
    finally:
        house.end()


def test_beat_drives_the_worker_until_nothing_is_due(house: House) -> None:
    house.add(*(f"row{i}" for i in range(8)))
    house.until(lambda: house.undone() == 0)


def test_a_job_of_every_period_runs_when_beat_starts(house: House) -> None:
    house.until(lambda: house.one("SELECT count(*) FROM sweep WHERE job = 'hinted'") > 0)


def test_a_hint_runs_a_job_at_once_in_every_process(house: House) -> None:
    with redis.Redis.from_url(house.broker) as client:
        house.until(lambda: client.pubsub_numsub("pitaya:work")[0][1] == 2)
        before = house.one("SELECT count(*) FROM sweep WHERE job = 'hinted'")
        began = time.monotonic()
        client.publish("pitaya:work", "hinted")
        house.until(lambda: house.one("SELECT count(*) FROM sweep WHERE job = 'hinted'") >= before + 2)
        assert time.monotonic() - began < 2, "its next beat is an hour away"


def test_a_process_killed_at_work_loses_no_due_row(house: House) -> None:
    house.add("deadly", "after")
    house.until(lambda: house.undone() == 0)
    assert house.one("SELECT tries FROM due WHERE id = 'deadly'") == 2
    with redis.Redis.from_url(house.broker) as client:
        house.until(lambda: client.pubsub_numsub("pitaya:work")[0][1] == 2)  # the pool is whole again


def test_wiping_redis_delays_by_one_sweep_and_loses_nothing(house: House) -> None:
    with redis.Redis.from_url(house.broker) as client:
        client.flushall()
        house.add("wiped")
        house.until(lambda: house.undone() == 0, within=5)
        client.client_kill_filter(_type="normal", skipme=True)  # and every connection with it
        client.client_kill_filter(_type="pubsub")
        house.add("cut off")
        house.until(lambda: house.undone() == 0)


def test_several_schedulers_do_no_harm(house: House) -> None:
    first = house.processes.pop("beat")
    house.start("beat")
    house.processes["first beat"] = first
    began = house.one("SELECT count(*) FROM sweep WHERE job = 'hinted'")
    house.until(lambda: house.one("SELECT count(*) FROM sweep WHERE job = 'hinted'") > began)  # the second one works
    house.add("shared")
    house.until(lambda: house.undone() == 0)
    assert house.one("SELECT tries FROM due WHERE id = 'shared'") == 1
    house.stop("first beat")


def test_beat_stops_even_when_it_is_told_where_exceptions_are_lost(house: House) -> None:
    house.start("deaf")
    assert house.ended("deaf") == 0


def test_at_the_end_both_stop_in_time_with_everything_closed_and_no_file_left(house: House) -> None:
    began = time.monotonic()
    assert house.stop("worker") == 0
    assert house.stop("beat") == 0
    assert time.monotonic() - began < 8
    opened = {by for (by,) in house.db.execute("SELECT by FROM life WHERE what = 'opened'")}
    closed = {by for (by,) in house.db.execute("SELECT by FROM life WHERE what = 'closed'")}
    assert len(opened) == 3, "two processes, and one in the place of the killed"
    assert len(opened - closed) == 1, "all but the killed one"
    assert {path.name.split("-")[0] for path in house.folder.iterdir()} <= {
        "rows.db",
        "worker.log",
        "beat.log",
        "deaf.log",
    }


def test_every_line_that_they_logged_is_json(house: House) -> None:
    words = {"", "worker: Warm shutdown (MainProcess)"}  # what Celery prints past all logging
    lines = (house.log("worker") + house.log("beat")).splitlines()
    logged = [json.loads(line) for line in lines if line not in words]
    assert any("SIGKILL" in line["event"] for line in logged), "the death of a process was not logged"
