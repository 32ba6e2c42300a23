"""Every day of every channel account that has seen money gets its statement day, once, however many look."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from application.ports.bills import Span
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from domain.statements import StatementDay
from domain.times import SHANGHAI, shanghai_day

# Both channels make yesterday's bills from nine o'clock on and promise them from ten (their documents of the bill
# APIs). They keep them for three months.
PUBLISHED = time(10, 15, tzinfo=SHANGHAI)
KEPT = timedelta(days=90)
ONE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class OpenStatementDays:
    """One sweep. Days that nobody was there for are caught up, the oldest first, as far back as channels keep bills."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            spans = await uow.bills.spans()
        opened = 0
        for span in spans:
            for day in self._missing(span):
                async with self.unit_of_work() as uow:
                    opened += await uow.bills.open_day(
                        StatementDay(account_id=span.account_id, mode=span.mode, day=day, next_at=published(day))
                    )
        return opened

    def _missing(self, span: Span) -> list[date]:
        today = shanghai_day(self.clock.now())
        first = max(span.first_money, today - KEPT, span.last_opened + ONE if span.last_opened else date.min)
        return [first + n * ONE for n in range((today - first).days)]


def published(day: date) -> datetime:
    """When the bill of a day can be asked for at the earliest."""
    return datetime.combine(day + ONE, PUBLISHED)
