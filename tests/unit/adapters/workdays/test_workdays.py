"""The calendar of mainland China: holidays, make-up workdays, and a year that nobody has announced."""

from datetime import date

import pytest

from adapters.outbound.workdays import KNOWN_UNTIL, ChineseWorkdays


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 2, 17), False),  # Spring Festival, a Tuesday
        (date(2026, 2, 14), True),  # a Saturday that makes up for it
        (date(2026, 10, 1), False),
        (date(2026, 11, 26), True),
        (date(2026, 11, 28), False),  # a Saturday
    ],
)
def test_holidays_and_make_up_days_are_as_announced(day: date, works: bool) -> None:
    assert ChineseWorkdays().is_workday(day) is works
    assert ChineseWorkdays().known(day)


def test_a_year_that_is_not_announced_is_presumed_and_raises_nothing() -> None:
    calendar, year = ChineseWorkdays(), KNOWN_UNTIL + 10
    assert not calendar.known(date(year, 3, 1))
    assert not calendar.is_workday(date(year, 1, 1))
    assert not any(calendar.is_workday(date(year, 10, day)) for day in (1, 2, 3))
    march = [date(year, 3, day) for day in range(1, 32)]
    assert [calendar.is_workday(day) for day in march] == [day.weekday() < 5 for day in march]
