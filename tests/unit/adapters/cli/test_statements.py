"""What `pitaya reconcile` draws while it runs."""

import io

from adapters.inbound.cli.statements import Screen
from application.ports.progress import Step
from tests.contracts.progress import DAY
from tests.fakes.progress import FakeProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


STEPS = (
    Step(bill="trade", size=1_000),
    Step(bill="trade", lines=1_234, taken=500, size=1_000),
    Step(bill="trade", lines=2_500, taken=1_000, size=1_000),
    None,
    Step(),
    Step(matched=2_499),
    None,
)


async def run(screen: io.StringIO) -> FakeProgress:
    others = FakeProgress()
    watched = Screen(others, screen)
    for step in STEPS:
        await watched.tell("cha_1", DAY, step)
        assert await watched.step("cha_1", DAY) == step
    return others


async def test_lines_read_and_lines_that_agree_are_drawn_over_each_other_and_told_to_others() -> None:
    screen = Terminal()
    assert (await run(screen)).told == list(STEPS)
    reading, matching, end = screen.getvalue().split("\n")
    assert [drawn.rstrip() for drawn in reading.split("\r")[1:]] == [
        f"trade [{'.' * 40}] 0 lines read",
        f"trade [{'#' * 20}{'.' * 20}] 1,234 lines read",
        f"trade [{'#' * 40}] 2,500 lines read",
    ]
    assert [drawn.rstrip() for drawn in matching.split("\r")[1:]] == ["matching", "matching, 2,499 lines agree"]
    assert end == ""


async def test_where_nobody_looks_nothing_is_drawn_and_others_are_told() -> None:
    screen = io.StringIO()
    assert (await run(screen)).told == list(STEPS)
    assert screen.getvalue() == ""
