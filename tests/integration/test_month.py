"""February 2026, with the Spring Festival in it: sold, refunded, reconciled, released and paid out, to the fen."""

import random
from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
import pytest_asyncio

from adapters.outbound.sql.promises import SqlPromises
from domain.channels import Mode
from domain.ledger import PLATFORM, Account, AccountKind
from domain.workdays import presumed
from tests.integration.month import (
    ALIPAY,
    PAYMENTS,
    PAYOUTS,
    SETTLEMENT,
    STATEMENTS,
    WECHAT,
    Month,
    alipay_account,
    beginning,
    one_clock,
)

FIRST, LAST = date(2026, 2, 2), date(2026, 2, 28)
FESTIVAL = [date(2026, 2, day) for day in range(15, 24)]
MAKE_UP = [date(2026, 2, 14), date(2026, 2, 28)]  # Saturdays on which China works for it
BIG, BIG_SOLD, BIG_RETURNED = 50_000, date(2026, 2, 3), date(2026, 2, 10)
SETTLEMENT_FEE, SEED = 50, 20_260_201


@pytest_asyncio.fixture
async def month(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> AsyncIterator[Month]:
    one_clock(monkeypatch)
    async with beginning(FIRST - timedelta(days=3), database_url, redis_url) as month:
        yield month


async def test_a_month_in_which_everything_happens_leaves_every_fen_accounted_for(month: Month) -> None:
    await _opens_for_business(month)
    dice, sold = random.Random(SEED), []
    day, owed, settled_on = FIRST, 0, set()
    while day <= LAST + timedelta(days=5):
        await _morning(month, day)
        if day <= LAST:
            sold += await _sales(month, day, dice)
            await _refunds(month, day, dice, sold)
        if await _afternoon(month, day):
            settled_on.add(day)
        owed = max(owed, (await month.balance())["debt"])
        day += timedelta(days=1)

    assert owed > 0, "the refund in the console was more than the merchant had left"
    assert not settled_on & set(FESTIVAL)
    assert set(MAKE_UP) <= settled_on
    assert not [saturday for saturday in settled_on if saturday not in MAKE_UP and not presumed(saturday)]
    await _every_day_is_closed(month)
    await _every_fen_is_accounted_for(month)
    await month.sweep(*PAYMENTS)
    assert await SqlPromises(month.stack.container.database().engine).broken() == []


async def _opens_for_business(month: Month) -> None:
    merchant = month.stack.merchant.merchant_id
    await month.agree(
        f"/merchants/{merchant}/payee", {"kind": "alipay_login", "holder": "张三", "number": "cafe@example.com"}
    )
    rule = {"cycle": "daily", "minimum": 1_000, "fee": SETTLEMENT_FEE, "risk_days": 1}
    source = {"rail": "alipay", "source": await alipay_account(month), "fund": "BASIC"}
    await month.maker.call("PUT", f"/merchants/{merchant}/settlement_rule", rule | source)


async def _morning(month: Month, day: date) -> None:
    """The bills of the day before. One of them comes late, another one torn."""
    month.turn(day, 10, 16)
    if day == date(2026, 2, 6):
        await month.stack.control("faults", channel="alipay", api="bill", fault="bill_late", times=2)
    if day == date(2026, 2, 9):
        await month.stack.control("faults", channel="wechat", api="bill_file", fault="torn", times=1)
    await month.sweep(*STATEMENTS)
    month.turn(day, 11)
    await month.sweep(*STATEMENTS, *SETTLEMENT)


async def _sales(month: Month, day: date, dice: random.Random) -> list[dict[str, Any]]:
    """Of every third payment nobody tells us; then it is we who ask."""
    month.turn(day, 12)
    amounts = [dice.randint(1_000, 9_999) for _ in range(3)]
    found = [
        await month.sell(amount, dice.choice((ALIPAY, ALIPAY, WECHAT)), told=turn != 1)
        for turn, amount in enumerate(amounts)
    ]
    if day == BIG_SOLD:
        found.append(await month.sell(BIG, ALIPAY))
    month.later(minutes=1)
    await month.sweep(*PAYMENTS)
    for order in found:
        await month.stack.until(order, "paid", 1)
    return found


async def _refunds(month: Month, day: date, dice: random.Random, sold: list[dict[str, Any]]) -> None:
    """One in two days, of an order of today or yesterday, whose money is still here; and once, past us, of one that was
    paid out long ago."""
    month.turn(day, 13)
    if day == BIG_RETURNED:
        (big,) = [order for order in sold if month.paid[order["id"]] == BIG]
        await month.give_back_in_the_console(big, BIG)
    elif day > BIG_SOLD and day.day % 2:
        order = dice.choice([order for order in sold[-6:] if month.paid[order["id"]] != BIG])
        left = month.paid[order["id"]] - month.refunded.get(order["id"], 0)
        if left > 1 and (await month.balance())["debt"] == 0:
            await month.give_back(order, dice.randint(1, left))
    for _ in range(3):
        month.later(minutes=2)
        await month.sweep(*PAYMENTS)


async def _afternoon(month: Month, day: date) -> int:
    """What is available is settled, approved and paid out. Alipay refuses one, and loses our call of another."""
    month.turn(day, 14, 1)
    await month.sweep("settle_merchants")
    if day == date(2026, 2, 5):
        await month.stack.control("faults", channel="alipay", api="transfer", fault="transfer_refused", times=1)
    if day == date(2026, 2, 12):
        await month.stack.control("faults", channel="alipay", api="transfer", fault="lost", times=1)
    approved = await month.approve_settlements()
    for _ in range(3):
        await month.sweep(*PAYOUTS)
        month.later(minutes=2)
    return approved


async def _every_day_is_closed(month: Month) -> None:
    days = [each for each in await month.days() if each["day"] <= str(LAST)]
    amiss = [each for each in days if each["status"] != "closed" or each["differences"]]
    found = await month.maker.call("GET", "/discrepancies?limit=100")
    assert not amiss, f"{amiss} {found['data']}"
    assert {each["day"] for each in days} >= {str(FIRST + timedelta(days=n)) for n in range((LAST - FIRST).days + 1)}


def _rounded(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


async def _every_fen_is_accounted_for(month: Month) -> None:
    """Reckoned here once more, from what was sold and given back alone."""
    fees = owed = 0
    for order, amount in month.paid.items():
        fee, back = _rounded(Decimal(amount) * 6 / 1_000), month.refunded.get(order, 0)
        fees += fee - _rounded(Decimal(fee) * back / amount)
        owed += amount - back
    paid = [each for each in await month.settlements() if each["status"] == "paid"]
    failed = [each for each in await month.settlements() if each["status"] == "failed"]
    assert (len(failed), len(paid) > 10) == (1, True)
    balance = await month.balance()
    standing = {name: balance[name] for name in ("pending", "frozen", "refunding", "settling", "debt")}
    assert standing == dict.fromkeys(standing, 0)
    assert balance["available"] == owed - fees - sum(each["amount"] for each in paid)
    sent = [each for each in await month.transfers() if each["state"] == "SUCCESS"]
    assert sum(each["amount"] for each in sent) == sum(each["payout"] for each in paid)
    assert sorted(each["number"] for each in sent) == sorted(each["number"] for each in paid)
    async with month.stack.container.database().unit_of_work() as uow:
        income = await uow.ledger.balance(Account(AccountKind.FEE_INCOME, PLATFORM, Mode.TEST, "CNY"))
    assert income == fees + SETTLEMENT_FEE * len(paid)
