"""`make bench`: place and confirm beside a bare handler, a hot merchant, webhook deliveries, a big balance, start-ups.

Everything runs on a PostgreSQL of its own with its durable defaults. Systems take turns, each has a database of its own
with the same rows, and what counts is their ratio in this run: the machine's speed cancels out. Writes last.md.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import balance, merchants, report, starts, webhooks
from bench.hot import (
    Measured,
    Pgbench,
    Request,
    Web,
    confirm_script,
    given_to_bare,
    number_attempts,
    place_script,
    take_turns,
)
from bench.load import post, send
from bench.processes import answers, running
from bench.stock import Ground, Merchant, environment, execute, notice, orders, prepare
from bootstrap.embedded import EmbeddedPostgres, temporary_postgres, temporary_valkey
from bootstrap.supervisor import any_port

SYSTEMS = ("pitaya", "bare", "plain", "pgbench")
WARM = 320


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    each: int  # requests a round; a multiple of the client's connections
    webhooks: int
    merchants: int  # confirmations a round, for one merchant and for a thousand

    @property
    def placed(self) -> int:
        return WARM + self.rounds * self.each


FULL = Size(rounds=5, each=1_600, webhooks=2_000, merchants=1_000)
QUICK = Size(rounds=2, each=640, webhooks=500, merchants=1_000)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of five; last.md stays as it is")
    quick = parser.parse_args(argv).quick
    began = time.monotonic()
    sheet = _measure(QUICK if quick else FULL)
    sheet.seconds = time.monotonic() - began
    text = report.write(sheet)
    print(text)
    if not quick:
        (Path(__file__).parent / "last.md").write_text(text)
    return 0


def _measure(size: Size) -> report.Sheet:
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pitaya-bench-")))
        server = stack.enter_context(temporary_postgres())
        redis_url = stack.enter_context(temporary_valkey()).url()
        _say("preparing orders")
        hot = size.rounds * size.merchants
        merchant, attempts, spread = asyncio.run(
            prepare(server, redis_url, size.placed + hot, many=merchants.MANY, spread=merchants.WARM + hot)
        )
        for name in (*SYSTEMS[1:], "starts"):
            asyncio.run(execute(server.url(), f"CREATE DATABASE {name} TEMPLATE pitaya"))
        asyncio.run(number_attempts(server.url("pgbench"), attempts[: size.placed]))
        sheet = report.Sheet(_machine(server), os.getloadavg()[0])
        _say("start-up times")
        ground = Ground(server, redis_url, merchant, logs)
        sheet.starts = starts.measure(ground)
        _say("signing notices")
        notices, others = (
            [(notice(merchant, attempt), {"Content-Type": _FORM}) for attempt in shown] for shown in (attempts, spread)
        )
        servers = _serve(stack, ground)
        given_to_bare(merchant, server.url("pgbench"))
        _say("place")
        sheet.place = _place(size, ground, servers)
        sheet.tail = _tail(servers["pitaya"], merchant, sheet.place["pitaya"].rate / 2)
        _say("confirm")
        sheet.confirm = _confirm(size, ground, servers, notices)
        asyncio.run(_check(server, size))
        _say("one hot merchant")
        web = servers["pitaya"](f"/notices/alipay/{merchant.account_id}")
        sheet.hot_merchant = merchants.measure(ground, web, notices[size.placed :], others, size.rounds)
        asyncio.run(merchants.check(server.url("pitaya"), len(notices), len(others)))
        _say("webhooks")
        sheet.webhooks = webhooks.measure(ground, size.rounds, size.webhooks)
        _say("the balance of an account with a million transfers")
        sheet.balances = asyncio.run(balance.measure(server))
        return sheet


_FORM = "application/x-www-form-urlencoded; charset=utf-8"
Servers = dict[str, Callable[[str], Web]]


def _serve(stack: ExitStack, ground: Ground) -> Servers:
    """Pitaya's web process and bare.py twice, each with two workers: given a path, what to load."""
    found: Servers = {}
    for name in ("pitaya", "bare", "plain"):
        port = any_port()
        if name == "pitaya":
            words = ["-m", "bootstrap.main", "web", "--port", str(port), "--workers", "2"]
            env, alive = environment(ground.server.url(name), ground.redis_url, port), "/readyz"
        else:
            words = ["-m", "granian", "--interface", "asgi", "--no-ws", "--workers", "2", "--port", str(port)]
            words, env, alive = (
                [*words, "bench.bare:app"],
                given_to_bare(ground.merchant, ground.server.url(name)),
                "/place",
            )
        process = stack.enter_context(running(words, env, ground.logs / f"{name}.log"))
        process.until(partial(_up, f"http://127.0.0.1:{port}{alive}"))
        found[name] = partial(Web, process, port)
    return found


def _up(url: str) -> bool:
    import urllib.error

    try:
        return answers(url)
    except urllib.error.HTTPError as refused:
        return refused.code == 405  # bare.py has no GET


def _place(size: Size, ground: Ground, servers: Servers) -> dict[str, Measured]:
    webs = {name: servers[name](path) for name, path in _paths("/v1/orders", "/place", "/place3").items()}
    pgbench = Pgbench(place_script(ground.merchant, ground.logs), "pgbench")
    for web in webs.values():
        web.warm(orders(ground.merchant, "warm", WARM))

    def turn(web: Web, round_: int, into: Measured) -> None:
        web.round(ground.server, orders(ground.merchant, f"r{round_}", size.each), into)

    turns: dict[str, Callable[[int, Measured], None]] = {name: partial(turn, web) for name, web in webs.items()}
    turns["pgbench"] = lambda _, into: pgbench.round(ground.server, size.each, 0, into)
    return take_turns(size.rounds, turns)


def _confirm(size: Size, ground: Ground, servers: Servers, notices: Sequence[Request]) -> dict[str, Measured]:
    paths = _paths(f"/notices/alipay/{ground.merchant.account_id}", "/confirm", "/confirm3")
    webs = {name: servers[name](path) for name, path in paths.items()}
    pgbench = Pgbench(confirm_script(ground.logs), "pgbench")
    for web in webs.values():
        web.warm(notices[:WARM])
    pgbench.round(ground.server, WARM, 0, Measured())

    def turn(web: Web, round_: int, into: Measured) -> None:
        first = WARM + round_ * size.each
        web.round(ground.server, notices[first : first + size.each], into)

    turns: dict[str, Callable[[int, Measured], None]] = {name: partial(turn, web) for name, web in webs.items()}
    turns["pgbench"] = lambda round_, into: pgbench.round(ground.server, size.each, WARM + round_ * size.each, into)
    return take_turns(size.rounds, turns)


def _paths(*paths: str) -> dict[str, str]:
    return dict(zip(SYSTEMS, paths, strict=False))


def _tail(web: Callable[[str], Web], merchant: Merchant, rate: float) -> tuple[float, float, float]:
    """Rate, median and p99 in milliseconds of placing at that rate."""
    target = web("/v1/orders")
    wire = [post(target.path, body, headers) for body, headers in orders(merchant, "tail", int(rate * 5))]
    run = send(target.port, wire, rate=rate)
    return rate, run.percentile(0.5) * 1000, run.percentile(0.99) * 1000


async def _check(server: EmbeddedPostgres, size: Size) -> None:
    """Every order was paid and booked exactly once, everywhere: what answered fast has also done it."""
    paid = size.placed
    for name in SYSTEMS:
        for table, rows in {"channel_payment": paid, "transfer": 2 * paid, "outbox": paid, "notice": paid}.items():
            found = await execute(server.url(name), f"SELECT count(*) FROM {table}")
            assert found == rows, f"{name} has {found} rows of {table}, not {rows}"


def _machine(server: EmbeddedPostgres) -> str:
    version = asyncio.run(execute(server.url(), "SHOW server_version"))
    durable = [asyncio.run(execute(server.url(), f"SHOW {name}")) for name in ("fsync", "synchronous_commit")]
    system = f"{os.cpu_count()} cores, Python {platform.python_version()}, PostgreSQL {version}"
    return f"{system} with fsync {durable[0]} and synchronous_commit {durable[1]}"


def _say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
