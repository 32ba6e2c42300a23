"""Confirming for one hot merchant beside confirming for a thousand: their payments must not wait for one another.

The same web process, channel account and tables; the two take turns. Nobody but the merchants' balances differs, and a
credit locks none: so the ratio is 1, but for noise.
"""

from collections.abc import Callable, Sequence
from statistics import median

from bench.hot import Measured, Request, Web, take_turns
from bench.stock import Ground, execute

MANY = 1_000
WARM = 5 * MANY  # a worker opens a merchant's account once: after five turns nearly all are known to both
WITHIN = 0.15  # how far from 1 the ratio may be


def measure(
    ground: Ground, web: Web, hot: Sequence[Request], spread: Sequence[Request], rounds: int
) -> tuple[float, float]:
    """The hot merchant's confirmations a second, and their ratio to those of a thousand: of each round its own, then
    the median. ``hot`` and ``spread`` are notices, used up in equal parts; what ``spread`` has more warms up."""
    each = len(hot) // rounds
    web.warm(spread[: len(spread) - len(hot)])
    notices = {"hot": hot, "spread": spread[len(spread) - len(hot) :]}

    def turn(name: str) -> Callable[[int, Measured], None]:
        mine = notices[name]
        return lambda round_, into: web.round(ground.server, mine[round_ * each : (round_ + 1) * each], into)

    found = take_turns(rounds, {name: turn(name) for name in notices})
    ratios = [ours / theirs for ours, theirs in zip(found["hot"].rates, found["spread"].rates, strict=True)]
    return found["hot"].rate, median(ratios)


async def check(url: str, hot: int, spread: int) -> None:
    """All were booked, and to whom they belong."""
    per = await execute(
        url, "SELECT array_agg(n ORDER BY n DESC) FROM (SELECT count(*) n FROM channel_payment GROUP BY merchant_id) _"
    )
    assert per == [hot] + [spread // MANY] * MANY, f"payments of merchants: {per[:3]}… of {len(per)}"
