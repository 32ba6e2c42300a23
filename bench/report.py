"""The figures as a page: one table a question, medians, and the ratio that was aimed at."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

from bench import balance, merchants
from bench.hot import Measured

AIM = 0.6
AIM_WEBHOOKS = 0.5
_WHO = {
    "pitaya": "Pitaya",
    "bare": "bare.py, one CTE",
    "plain": "bare.py, three statements",
    "pgbench": "pgbench, the same CTE",
}


@dataclass(slots=True)
class Sheet:
    """All that one run found. ``tail`` is (rate, p50, p99), ``webhooks`` (ours, bare), both a second and ms.
    ``hot_merchant`` is (rate of one merchant's confirmations, ratio to those of a thousand merchants)."""

    machine: str
    load: float
    seconds: float = 0.0
    place: dict[str, Measured] = field(default_factory=dict)
    confirm: dict[str, Measured] = field(default_factory=dict)
    tail: tuple[float, float, float] = (0.0, 0.0, 0.0)
    webhooks: tuple[float, float] = (0.0, 0.0)
    hot_merchant: tuple[float, float] = (0.0, 0.0)
    balances: balance.Balances | None = None
    starts: dict[str, float] = field(default_factory=dict)


def write(sheet: Sheet) -> str:
    rate, p50, p99 = sheet.tail
    ours, bare = sheet.webhooks
    took = f"{sheet.seconds:.0f} s"
    return "\n".join(
        [
            "# The last run of `make bench`",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}; {sheet.machine}; load average {sheet.load:.1f} before it; {took}.",
            "16 connections, 2 web workers each, medians of interleaved rounds.",
            "Compare within this page only: ratios carry over to other machines, figures do not.",
            "",
            *_hot("Place an order", sheet.place),
            *_hot("Confirm by a verified notice (RSA2, nine rows)", sheet.confirm),
            *_merchants(*sheet.hot_merchant),
            "## Placing at half of that load",
            "",
            f"At {rate:.0f} a second: median {p50:.1f} ms, p99 {p99:.1f} ms, counted from when each call was due.",
            "",
            "## Signed webhook deliveries, one process",
            "",
            f"Pitaya {ours:.0f} a second (claimed, read, signed, posted, stored), a bare aiohttp loop {bare:.0f}:",
            f"**{ours / bare:.2f}** (aim {AIM_WEBHOOKS}).",
            "",
            *_balances(sheet.balances),
            "## From the command to the first use",
            "",
            *(f"- {name}: {seconds:.1f} s" for name, seconds in sheet.starts.items()),
            "",
        ]
    )


def _hot(title: str, results: dict[str, Measured]) -> list[str]:
    lines = [
        f"## {title}",
        "",
        "| | a second (min-max) | of bare.py | by CPU | p99 ms | CPU ms a request: web | PostgreSQL | client |",
        "|---|---|---|---|---|---|---|---|",
    ]
    bare = results["bare"]
    for name, found in results.items():
        # Of each round its own ratio: what the machine did meanwhile, it did to both.
        ratio = median(ours / theirs for ours, theirs in zip(found.rates, bare.rates, strict=True))
        span = f"{found.rate:.0f} ({min(found.rates):.0f}-{max(found.rates):.0f})"
        cpu = " | ".join(_ms(values) for values in (found.web_cpu, found.database_cpu, found.client_cpu))
        tail = f"{median(found.p99):.0f}" if found.p99 else "–"
        by_cpu = median(_server_cpu(bare)) / median(_server_cpu(found))
        lines.append(f"| {_WHO[name]} | {span} | **{ratio:.2f}** | {by_cpu:.2f} | {tail} | {cpu} |")
    aim = f"Aim: at least {AIM} of bare.py's one CTE."
    return [
        *lines,
        "",
        f"{aim} By CPU is the servers' time alone: the steadier figure where others use the machine.",
        "",
    ]


def _merchants(rate: float, ratio: float) -> list[str]:
    return [
        "## Confirming for one hot merchant",
        "",
        f"{rate:.0f} a second, **{ratio:.2f}** of what {merchants.MANY:,} merchants in turn reach on the same account",
        f"(aim: within {merchants.WITHIN:.0%}).",
        "",
    ]


def _balances(found: balance.Balances | None) -> list[str]:
    return ["## The balance of an account with a million transfers", "", *balance.lines(found), ""] if found else []


def _server_cpu(found: Measured) -> list[float]:
    web = found.web_cpu or [0.0] * len(found.database_cpu)
    return [ours + theirs for ours, theirs in zip(web, found.database_cpu, strict=True)]


def _ms(values: list[float]) -> str:
    return f"{median(values):.2f}" if values else "–"
