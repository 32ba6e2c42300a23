"""Workdays: which days banks and people in mainland China work, and what holds for a year not announced yet."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from domain.times import SHANGHAI

IsWorkday = Callable[[date], bool]

# Statutory holidays with a fixed date (全国年节及纪念日放假办法, State Council decree 795, in force since 2025).
FIXED = frozenset({(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)})


def presumed(day: date) -> bool:
    """For a year whose holidays the State Council has not announced: Monday to Friday without the fixed holidays.

    So nothing stands still at a turn of the year. A holiday that is announced later moves what is due from then on.
    """
    return day.weekday() < 5 and (day.month, day.day) not in FIXED


def workdays_after(day: date, n: int, is_workday: IsWorkday) -> date:
    """The ``n``-th workday after a day (T+N); for none the next day: one that has not ended cannot be closed."""
    if not n:
        return day + timedelta(days=1)
    while n:
        day += timedelta(days=1)
        n -= is_workday(day)
    return day


def on_or_after(day: date, is_workday: IsWorkday) -> date:
    """The day itself, or the next workday."""
    while not is_workday(day):
        day += timedelta(days=1)
    return day


def starts(day: date, at: time = time.min) -> datetime:
    """An instant of a day in Shanghai; its midnight unless said otherwise."""
    return datetime.combine(day, at, SHANGHAI)
