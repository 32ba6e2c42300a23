"""`pitaya demo` as a child of a test: start it, read its welcome, see which processes are its own."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from bootstrap.leftovers import MARKER

UP_WITHIN = 120.0  # seconds, on a busy machine
DOWN_WITHIN = 60.0


@dataclass
class Demo:
    """One running demo and what its welcome says."""

    process: "subprocess.Popen[bytes]"
    state: Path
    text: str

    @property
    def web(self) -> str:
        return self._find(r"API\s+(http://\S+)/docs")

    @property
    def sandbox(self) -> str:
        return self._find(r"Shop\s+(http://\S+)/shop")

    @property
    def key(self) -> str:
        return self._find(r"Test key\s+(pty_sk_test_\w+)")

    @property
    def cashier(self) -> str:
        return self._find(r"Cashier\s+(http://\S+)")

    def place(self, number: str) -> str:
        """An acknowledged order's id."""
        placed = httpx.post(
            f"{self.web}/v1/orders",
            json={"merchant_order_no": number, "amount": 1, "currency": "CNY", "subject": "x"},
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )
        assert placed.status_code == 201, placed.text
        return str(placed.json()["id"])

    def find(self, order_id: str) -> httpx.Response:
        return httpx.get(
            f"{self.web}/v1/orders/{order_id}", headers={"Authorization": f"Bearer {self.key}"}, timeout=30
        )

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(DOWN_WITHIN)

    def _find(self, pattern: str) -> str:
        match = re.search(pattern, self.text)
        assert match, self.text
        return match[1]


def start(state: Path, **environment: str) -> Demo:
    """Returns when the welcome has been printed."""
    output = state.parent / f"{state.name}-{time.monotonic_ns()}.out"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "bootstrap.main", "demo", "--state", str(state)],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    deadline = time.monotonic() + UP_WITHIN
    while "curl" not in (text := output.read_text()):
        assert process.poll() is None, text
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    return Demo(process, state, text)


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """A demo that ends by itself."""
    command = [sys.executable, "-m", "bootstrap.main", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=UP_WITHIN + DOWN_WITHIN, check=False)


def misses_nothing(demo: Demo, acknowledged: list[str]) -> None:
    """Every order that was ever answered with 201 is there."""
    assert [demo.find(order_id).status_code for order_id in acknowledged] == [200] * len(acknowledged)


def processes_of(state: Path) -> list[int]:
    """All processes that carry the mark of this state directory, whoever their parent is."""
    mark = f"{MARKER}={state.resolve()}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
