"""A merchant's own statement: what is on it, when it becomes final, and that it then stays."""

import csv
import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta

import pytest

from application.csv_lines import text
from application.freeze_merchant_statements import AGAIN, FreezeMerchantStatements
from application.open_statement_days import published
from application.read_merchant_statement import ReadMerchantStatement
from domain.channels import Method, Mode
from domain.errors import InvalidRequest, NotFound
from domain.merchant_statements import BALANCES, MerchantStatement
from domain.orders import Order
from domain.statements import DayStatus, StatementDay
from domain.times import shanghai_day
from tests.fakes.clock import FakeClock
from tests.fakes.house import House

DAY_SECONDS = 24 * 3600


@dataclass
class Desk:
    """A house with one merchant that has been paid, on the day after."""

    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.house = house = House(self.clock)
        self.read = ReadMerchantStatement(house.database.unit_of_work, house.clock)
        self.freeze = FreezeMerchantStatements(house.database.unit_of_work, house.clock)

    async def trade(self, n: int = 1) -> "Desk":
        self.merchant = await self.house.merchant()
        self.day = shanghai_day(self.clock.now())
        self.orders: list[Order] = [
            await self.house.paid(self.merchant, Method.ALIPAY_QR, f"A-{no}") for no in range(n)
        ]
        self.clock.advance(DAY_SECONDS)
        return self

    @property
    def whose(self) -> tuple[str, Mode]:
        return self.merchant.merchant.id, self.merchant.endpoint.mode

    async def close(self, day: date | None = None) -> None:
        """Every statement day of the account, closed."""
        async with self.house.database.unit_of_work() as uow:
            for account_id in self.merchant.account_ids:
                await uow.bills.open_day(
                    StatementDay(
                        account_id=account_id, mode=self.whose[1], day=day or self.day, status=DayStatus.CLOSED
                    )
                )

    async def statement(self, day: date | None = None) -> tuple[MerchantStatement, bytes]:
        statement, pieces = await self.read(*self.whose, day or self.day)
        return statement, b"".join([piece async for piece in pieces])


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


async def test_it_tells_what_moved_and_adds_up_from_opening_to_closing() -> None:
    desk = await Desk().trade(2)
    statement, content = await desk.statement()
    rows = rows_of(content)
    assert [row["type"] for row in rows] == ["opening", "payment", "payment", "total", "closing", "provisional"]
    assert [(row["merchant_order_no"], row["amount"], row["fee"], row["pending"]) for row in rows[1:3]] == [
        ("A-0", "100.00", "0.60", "99.40"),
        ("A-1", "100.00", "0.60", "99.40"),
    ]
    assert (rows[3]["amount"], rows[3]["fee"], rows[3]["pending"]) == ("200.00", "1.20", "198.80")
    for name in BALANCES:
        opening, *moved = (round(float(row[name]) * 100) for row in rows[:3])
        assert opening + sum(moved) == round(float(rows[4][name]) * 100)
    assert (statement.final, statement.entries, statement.size) == (False, 2, len(content))
    assert statement.sha256 == hashlib.sha256(content).hexdigest()


async def test_the_next_day_opens_with_what_this_one_closed_with() -> None:
    desk = await Desk().trade()
    closing = rows_of((await desk.statement())[1])[-2]
    desk.clock.advance(DAY_SECONDS)
    opening, *_, unmoved, _ = rows_of((await desk.statement(desk.day + timedelta(days=1)))[1])
    assert [closing[name] for name in BALANCES] == [opening[name] for name in BALANCES]
    assert [unmoved[name] for name in BALANCES] == [opening[name] for name in BALANCES]


async def test_it_becomes_final_when_every_bill_behind_it_is_closed_and_then_stays() -> None:
    desk = await Desk().trade()
    desk.clock.set(published(desk.day).astimezone(UTC))
    assert await desk.freeze() == 1
    assert not (await desk.statement())[0].final  # no channel's bill is closed yet
    await desk.close()
    assert await desk.freeze() == 0  # it has just been looked at
    desk.clock.advance(AGAIN.total_seconds())
    assert await desk.freeze() == 1
    statement, content = await desk.statement()
    assert (statement.final, statement.entries) == (True, 1)
    assert statement.sha256 == hashlib.sha256(content).hexdigest()
    assert [row["type"] for row in rows_of(content)][-1] == "closing"
    # What is booked for that day later stands on the day of its booking; these bytes stay.
    desk.clock.advance(DAY_SECONDS)
    await desk.house.paid(desk.merchant, Method.ALIPAY_QR, "A-9")
    assert await desk.freeze() == 0
    assert await desk.statement() == (statement, content)


async def test_before_its_bills_can_be_there_no_one_looks() -> None:
    desk = await Desk().trade()
    await desk.close()
    desk.clock.set(published(desk.day).astimezone(UTC) - timedelta(seconds=1))
    assert await desk.freeze() == 0
    assert [one.final for one in await desk.read.listed(*desk.whose, before=None, limit=9)] == [False]


async def test_two_sweeps_at_once_freeze_it_once() -> None:
    desk = await Desk().trade()
    await desk.close()
    desk.clock.set(published(desk.day).astimezone(UTC))
    assert await desk.freeze() == 1
    statement = (await desk.statement())[0]
    await desk.freeze._freeze(MerchantStatement(merchant_id=desk.whose[0], mode=desk.whose[1], day=desk.day))
    assert (await desk.statement())[0] == statement


async def test_a_day_without_anything_is_an_empty_statement() -> None:
    desk = await Desk().trade(0)
    statement, content = await desk.statement()
    assert [row["type"] for row in rows_of(content)] == ["opening", "total", "closing", "provisional"]
    assert statement.entries == 0


async def test_today_has_no_statement_and_nor_has_a_stranger() -> None:
    desk = await Desk().trade()
    with pytest.raises(InvalidRequest) as refused:
        await desk.statement(shanghai_day(desk.clock.now()))
    assert refused.value.code == "day_not_over"
    with pytest.raises(NotFound):
        await desk.read("mch_0", Mode.LIVE, desk.day)


async def test_a_number_that_would_be_a_formula_is_text() -> None:
    desk = Desk()
    desk.merchant = await desk.house.merchant()
    desk.day = shanghai_day(desk.clock.now())
    await desk.house.paid(desk.merchant, Method.ALIPAY_QR, "-1+1")
    desk.clock.advance(DAY_SECONDS)
    (row,) = (row for row in rows_of((await desk.statement())[1]) if row["type"] == "payment")
    assert row["merchant_order_no"] == "'-1+1"
    assert text("2026112022001499970512345678") == "2026112022001499970512345678\t"
