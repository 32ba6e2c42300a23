"""Closed days on PostgreSQL: each transfer in one of them, none ever added, and whatever the owner changes found."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.outbound.roots import LEDGER_FILE, FileAuditRoots
from application.close_day import CloseDay, Proved, ProveDays
from domain.errors import Conflict, NotFound
from domain.times import shanghai_day
from tests.contracts.books import INCOME, PENDING, RECEIVABLE, transfer
from tests.contracts.stage import Stage
from tests.fakes.clock import FakeClock

Owner = Any  # asyncpg's connection, generic only in its stubs
KEY = b"a pepper of thirty-two characters"
DAY = timedelta(days=1)


class Ledger:
    """Three days: payments and a refund on the first two, nothing on the third. Nothing is closed yet."""

    def __init__(self, stage: Stage, owner: Owner, directory: Path) -> None:
        self.stage, self.owner = stage, owner
        self.roots = FileAuditRoots.of_ledger(directory, KEY)
        self.file = directory / LEDGER_FILE
        self.today = shanghai_day(datetime.now(UTC))
        self.clock = FakeClock(datetime.now(UTC))
        self.close = CloseDay(stage.unit_of_work, self.roots, self.clock)
        self.days = [self.today - n * DAY for n in (3, 2, 1)]

    async def post(self, key: str, minor: int, day: date, **ends: Any) -> None:
        async with self.stage.unit_of_work() as uow:
            await uow.ledger.post([transfer(key, minor, **ends)])
        await self.owner.execute("UPDATE transfer SET posting_date = $1 WHERE idem_key = $2", day, key)

    async def live(self) -> "Ledger":
        first, second, _ = self.days
        await self.post("a", 9_940, first)
        await self.post("b", 60, first, credit=INCOME)
        await self.post("c", 40, second, debit=PENDING, credit=RECEIVABLE)
        return self

    async def prove(self, only: date | None = None) -> Proved:
        return await ProveDays(self.stage.unit_of_work, self.roots)(only)

    async def figures(self) -> list[tuple[Any, ...]]:
        rows = await self.owner.fetch(
            "SELECT a.kind, c.day, opening, debits, credits, closing FROM account_closing c"
            " JOIN ledger_account a ON a.id = c.account_id ORDER BY a.kind, c.day"
        )
        return [tuple(row) for row in rows]


@pytest.fixture
async def ledger(stage: Stage, owner: Owner, tmp_path: Path) -> Ledger:
    return await Ledger(stage, owner, tmp_path / "export").live()


async def test_each_day_is_closed_once_and_opening_and_movement_make_closing(ledger: Ledger) -> None:
    first, second, third = ledger.days
    closed = await ledger.close()
    assert [(each.day, each.transfers) for each in closed] == [(first, 2), (second, 1), (third, 0)]
    assert await ledger.figures() == [
        ("CR", first, 0, 10_000, 0, -10_000),
        ("CR", second, -10_000, 0, 40, -9_960),
        ("FI", first, 0, 0, 60, 60),
        ("MP", first, 0, 0, 9_940, 9_940),
        ("MP", second, 9_940, 40, 0, 9_900),
    ]
    async with ledger.stage.unit_of_work() as uow:
        trial = await uow.closings.trial(third)
        assert [(row.kind, row.opening, row.debits, row.credits, row.closing) for row in trial] == [
            ("CR", -9_960, 0, 0, -9_960),
            ("FI", 60, 0, 0, 60),
            ("MP", 9_900, 0, 0, 9_900),
        ]
        assert sum(row.credits - row.debits for row in await uow.closings.trial(first)) == 0
    assert await ledger.close() == [], "closing again changes nothing"
    proved = await ledger.prove()
    assert (list(proved.findings), proved.days, proved.transfers, proved.roots) == ([], 3, 3, 3)
    assert (await ledger.prove(second)).transfers == 1


async def test_a_day_that_is_not_over_is_not_closed(ledger: Ledger) -> None:
    with pytest.raises(Conflict) as refused:
        await ledger.close(ledger.today)
    assert refused.value.code == "day_not_over"
    with pytest.raises(NotFound):
        await ledger.prove(ledger.today)
    assert [each.day for each in await ledger.close(ledger.days[0])] == [ledger.days[0]]


async def test_several_who_close_at_once_close_each_day_once(ledger: Ledger) -> None:
    closed = await asyncio.gather(*(ledger.close() for _ in range(4)))
    assert sorted(each.day for one in closed for each in one) == ledger.days
    assert list((await ledger.prove()).findings) == []
    assert len(ledger.file.read_text().splitlines()) == 3


async def test_what_commits_after_its_day_was_closed_counts_for_the_next(ledger: Ledger) -> None:
    """A transaction that began before midnight and is still open when the day is closed."""
    first, second, _ = ledger.days
    posted = asyncio.Event()
    go_on = asyncio.Event()

    async def slow() -> None:
        async with ledger.stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("slow", 7)])
            await uow.ledger.balance(PENDING)  # sent: it has its place, below whatever comes
            posted.set()
            await go_on.wait()

    task = asyncio.create_task(slow())
    await posted.wait()
    await ledger.post("quick", 5, first)  # above the slow one's place, so behind the cut too
    assert [each.transfers for each in await ledger.close(first)] == [2]
    go_on.set()
    await task
    await ledger.owner.execute("UPDATE transfer SET posting_date = $1 WHERE idem_key = 'slow'", first)
    assert list((await ledger.prove()).findings) == [], "the closed day is what it was"
    assert [each.transfers for each in await ledger.close(second)] == [3]
    assert ("MP", second, 9_940, 40, 12, 9_912) in await ledger.figures()
    assert list((await ledger.prove()).findings) == []


FORGED = """INSERT INTO transfer (id, idem_key, fact, debit_account, credit_account, amount, currency, mode, about,
  channel_date, posting_date, xid, created_at) OVERRIDING SYSTEM VALUE
SELECT id + 1000, 'forged', fact, debit_account, credit_account, 1, currency, mode, about, channel_date, posting_date,
  xid, created_at FROM transfer WHERE idem_key = 'a'"""
TAMPERED = [
    "UPDATE transfer SET amount = amount + 1 WHERE idem_key = 'c'",
    "UPDATE transfer SET fact = 'other' WHERE idem_key = 'a'",
    "UPDATE transfer SET about = 'pay_2' WHERE idem_key = 'a'",
    "UPDATE transfer SET channel_date = channel_date - 1 WHERE idem_key = 'a'",
    "UPDATE transfer SET created_at = created_at - interval '1 s' WHERE idem_key = 'a'",
    "UPDATE transfer SET posting_date = posting_date + 1 WHERE idem_key = 'a'",
    "UPDATE transfer SET debit_account = credit_account, credit_account = debit_account WHERE idem_key = 'b'",
    "DELETE FROM transfer WHERE idem_key = 'b'",
    FORGED,
    "UPDATE account_closing SET opening = opening + 1, closing = closing + 1",
    "DELETE FROM account_closing WHERE credits > 0",
    "UPDATE ledger_closing SET digest = '\\x00' WHERE transfers = 0",
    "UPDATE ledger_closing SET cut = '3'",
    "DELETE FROM ledger_closing WHERE transfers = 0",
    "DELETE FROM ledger_closing WHERE transfers = 1",
]


@pytest.mark.parametrize("deed", TAMPERED)
async def test_whatever_the_tables_owner_changes_in_a_closed_day_is_found(
    ledger: Ledger, owner: Owner, deed: str
) -> None:
    await ledger.close()
    assert await owner.execute(deed) not in ("UPDATE 0", "DELETE 0", "INSERT 0 0")
    assert (await ledger.prove()).findings


async def test_days_closed_anew_over_changed_rows_differ_from_what_was_exported(ledger: Ledger, owner: Owner) -> None:
    await ledger.close()
    kept = ledger.file.read_text()
    await owner.execute("TRUNCATE ledger_closing, account_closing")
    await owner.execute("UPDATE transfer SET amount = amount + 1 WHERE idem_key = 'c'")
    await ledger.close()
    assert ledger.file.read_text() == kept, "what is exported stays"
    findings = (await ledger.prove()).findings
    assert len(findings) == 3, "they have another cut, too"
    assert all("not what was exported" in finding for finding in findings)


async def test_a_tampered_file_of_roots_is_found(ledger: Ledger) -> None:
    await ledger.close()
    ledger.file.write_text(ledger.file.read_text().replace('"position": 2', '"position": 3', 1))
    assert (await ledger.prove()).findings
