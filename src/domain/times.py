"""Instants are aware UTC; days belong to Asia/Shanghai and are computed here, once."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone

# Shanghai has kept one offset since 1991, and no payment is older. A fixed offset needs no time zone database.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


def shanghai_day(at: datetime) -> date:
    """The calendar day of an instant where both channels keep their books."""
    return at.astimezone(SHANGHAI).date()


def midnight(day: date) -> datetime:
    """The instant at which a day begins there."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)


def rung(ladder: Sequence[int], climbed: int, tail: timedelta) -> timedelta:
    """The pause before the next look after ``climbed`` of them: the ladder's seconds, then ``tail`` for ever."""
    return timedelta(seconds=ladder[climbed]) if climbed < len(ladder) else tail


def rfc3339(at: datetime) -> str:
    """An instant as the API writes it: UTC, milliseconds, explicit offset."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
