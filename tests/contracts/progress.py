"""Contract of progress: the last word of a run is known to everybody, and over is over."""

from datetime import date, timedelta

from application.ports.progress import Progress, Step

DAY = date(2026, 11, 20)
READING = Step(bill="fund:BASIC", lines=5_000, taken=70_000, size=1 << 33)
MATCHING = Step(lines=9_000, matched=8_999)


class ProgressContract:
    async def test_what_was_told_last_is_known_of_each_day_alone(self, progress: Progress) -> None:
        other = DAY + timedelta(days=1)
        assert await progress.step("cha_1", DAY) is None
        await progress.tell("cha_1", DAY, READING)
        await progress.tell("cha_1", other, READING)
        await progress.tell("cha_1", DAY, MATCHING)
        assert await progress.step("cha_1", DAY) == MATCHING
        assert await progress.step("cha_1", other) == READING
        assert await progress.step("cha_2", DAY) is None

    async def test_what_is_over_is_unknown(self, progress: Progress) -> None:
        for _ in range(2):
            await progress.tell("cha_1", DAY, READING)
            await progress.tell("cha_1", DAY, None)
            assert await progress.step("cha_1", DAY) is None
        await progress.tell("cha_1", DAY, None)
