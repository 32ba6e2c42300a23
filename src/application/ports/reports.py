"""Reports of payments: what came in, went back, was earned and was charged, by what people ask for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Protocol, Self

from domain.channels import Channel, Mode
from domain.errors import InvalidRequest

LONGEST = 366  # days
MOST_ROWS = 50_000
_KNOWN = (date(2000, 1, 1), date(2200, 1, 1))


class By(StrEnum):
    """What rows stand apart by; rows are sorted in this order, too. Currencies always do."""

    DAY = "day"
    MERCHANT = "merchant_id"
    CHANNEL = "channel"
    METHOD = "method"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A report of the Shanghai days from ``first`` to ``last``, both included. Made by ``of``."""

    mode: Mode
    first: date
    last: date
    by: tuple[By, ...]
    merchant_id: str | None = None
    channel: Channel | None = None
    most: int = MOST_ROWS

    @classmethod
    def of(
        cls, mode: Mode, first: str, last: str, by: str, *, among: Collection[By] = tuple(By), **filters: Any
    ) -> Self:
        """From words: days as 2026-11-01, ``by`` some of ``among`` with commas, empty for the sum of everything. Raises
        InvalidRequest ("day_invalid", "time_range_invalid", "report_range_too_long", "filter_invalid")."""
        since, until = _day("first_day", first), _day("last_day", last)
        if until < since:
            raise InvalidRequest("this report ends before it begins", code="time_range_invalid", pointer="/last_day")
        if (until - since).days >= LONGEST:
            raise InvalidRequest(
                f"a report has at most {LONGEST} days", code="report_range_too_long", pointer="/last_day"
            )
        names = set(filter(None, by.split(",")))
        if names - set(among):
            raise InvalidRequest(f"by: some of {', '.join(among)}", code="filter_invalid", pointer="/by")
        return cls(mode=mode, first=since, last=until, by=tuple(each for each in By if each in names), **filters)


def _day(name: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or str(day) != text or not _KNOWN[0] <= day < _KNOWN[1]:
        raise InvalidRequest("a day is written as 2026-11-01", code="day_invalid", pointer=f"/{name}")
    return day


class Reports(Protocol):
    async def payments(self, wanted: Wanted) -> Sequence[Mapping[str, Any]]:
        """What stands now: rows with the asked ``By`` (None: not known), ``currency`` and figures in minor units.

        ``payments`` and ``gross``: how many paid an order and what the channel credits for them, on the day they were
        paid. Held money counts once it is attributed, to the merchant whose order it pays. ``refunds`` and
        ``refunded``: how many refunds of orders the channel has accepted and what it takes for them, on the day it
        did; void ones and those of held money do not count. ``fees``: ours, less what refunds gave back of them.
        ``cost``: what the channel is expected to keep by the attempt's frozen rate, in collect mode, less the part of
        each refund; the statement's own figures are in the ledger. ``margin`` = fees − cost.
        More rows than the ``most`` wanted raise InvalidRequest("report_too_large").
        """
        ...
