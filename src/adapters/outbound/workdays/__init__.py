"""Workdays by the State Council's announcements, as the package chinesecalendar has them, a year at a time."""

from datetime import date

from chinese_calendar import is_workday
from chinese_calendar.constants import holidays

from domain.workdays import presumed

KNOWN_UNTIL: int = max(holidays).year


class ChineseWorkdays:
    """Public holidays and make-up workdays (调休). A year that the package does not know yet is ``presumed``; a newer
    release of the package, which comes within weeks of the announcement each November, puts it right."""

    def is_workday(self, day: date) -> bool:
        return bool(is_workday(day)) if day.year <= KNOWN_UNTIL else presumed(day)

    def known(self, day: date) -> bool:
        """Whether the year of this day has been announced to us."""
        return day.year <= KNOWN_UNTIL
