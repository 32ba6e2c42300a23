"""A balance is exact at every moment: while writers commit in any order, and the roll-up runs beside them."""

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from adapters.outbound.sql import SqlDatabase
from application.roll_up_balances import RollUpBalances
from domain.channels import Mode
from domain.ledger import Account, AccountKind
from domain.merchant_statements import BALANCES, MerchantStatement
from domain.times import shanghai_day
from tests.contracts.books import INCOME, PENDING, RECEIVABLE, transfer
from tests.contracts.stage import Stage, soon

Owner = Any  # asyncpg's connection, generic only in its stubs
ONE = timedelta(days=1)
AVAILABLE = Account(AccountKind.MERCHANT_AVAILABLE, "mch_1", Mode.TEST, "CNY")

SUM = """SELECT coalesce(sum(amount) FILTER (WHERE credit_account = $1), 0)
  - coalesce(sum(amount) FILTER (WHERE debit_account = $1), 0) FROM transfer"""


async def plain_sum(owner: Owner, account: Account) -> int:
    return int(await owner.fetchval(SUM, account.id))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_balances_are_exact_while_writers_commit_and_the_roll_up_runs(
    stage: Stage, database: SqlDatabase, owner: Owner, seed: int
) -> None:
    """Ids are given at insertion and committed late, in another order; a look under the guard meets the plain sum."""
    chance, stop = random.Random(seed), asyncio.Event()
    async with stage.unit_of_work() as uow:
        await uow.ledger.post([transfer("open", 100_000, credit=AVAILABLE), transfer("fee", credit=INCOME)])

    async def write(name: str) -> None:
        for n in range(25):
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([transfer(f"{name}:{n}", chance.randint(1, 99), credit=AVAILABLE)])
                await uow.ledger.balance(INCOME)  # sends it: it has its id, and commits a while later
                await asyncio.sleep(chance.random() / 200)
                if chance.random() < 0.5:
                    await uow.ledger.post([transfer(f"{name}:{n}:out", 1, debit=AVAILABLE, credit=RECEIVABLE)])

    async def roll_up() -> None:
        while not stop.is_set():
            async with stage.unit_of_work() as uow:
                await uow.ledger.roll_up(limit=chance.randint(1, 7))
            await asyncio.sleep(chance.random() / 500)

    async def look() -> None:
        while not stop.is_set():
            async with stage.unit_of_work() as uow:
                await uow.ledger.guard(AVAILABLE)
                before = await plain_sum(owner, AVAILABLE)
                balance = await uow.ledger.balance(AVAILABLE)
                after = await plain_sum(owner, AVAILABLE)
                assert before <= balance <= after, "nobody lowers it under the guard, and credits only rise"
            await asyncio.sleep(0)

    watchers = [asyncio.create_task(each()) for each in (roll_up, roll_up, look)]
    await soon(asyncio.gather(*(write(f"w{n}") for n in range(4))))
    stop.set()
    await soon(asyncio.gather(*watchers))
    while await RollUpBalances(stage.unit_of_work)():
        pass
    async with stage.unit_of_work() as uow:
        for account in (AVAILABLE, INCOME, RECEIVABLE, PENDING):
            assert await uow.ledger.balance(account) == await plain_sum(owner, account)
    assert await owner.fetchval("SELECT sum(balance) FROM balance_snapshot") == 0
    assert await owner.fetchval("SELECT balance FROM balance_snapshot WHERE account_id = $1", AVAILABLE.id) == (
        await plain_sum(owner, AVAILABLE)
    ), "nothing was passed over"


async def test_two_roll_ups_at_once_take_each_row_once(stage: Stage, owner: Owner) -> None:
    async with stage.unit_of_work() as uow:
        await uow.ledger.post([transfer(f"t{n}", 1) for n in range(40)])
    roll_up = RollUpBalances(stage.unit_of_work)
    assert sorted(await soon(asyncio.gather(*(roll_up() for _ in range(5))))) == [0, 0, 0, 0, 40]
    assert await owner.fetchval("SELECT balance FROM balance_snapshot WHERE account_id = $1", PENDING.id) == 40


async def test_a_statement_opens_with_what_was_there_before_its_day_read_from_the_roll_up(
    stage: Stage, owner: Owner
) -> None:
    async def opening(day: date) -> int:
        statement = MerchantStatement(merchant_id="mch_1", mode=Mode.TEST, day=day)
        async with stage.unit_of_work() as uow:
            batches = [batch async for batch in uow.merchant_statements.entries(statement)]
        return dict(zip(BALANCES, batches[0][0].balances, strict=True))["pending"]

    async def agree() -> None:
        assert [await opening(today + n * ONE) for n in (-2, -1, 0, 1)] == [0, 0, 100, 127]

    today = shanghai_day(datetime.now(UTC))
    async with stage.unit_of_work() as uow:
        await uow.ledger.post([transfer("a", 100)])
    await owner.execute(
        "UPDATE transfer SET posting_date = posting_date - 1, created_at = created_at - INTERVAL '1 day'"
    )
    async with stage.unit_of_work() as uow:
        await uow.ledger.post([transfer("b", 20), transfer("c", 7), transfer("d", 9, credit=INCOME)])
    await agree()
    for _ in range(4):
        async with stage.unit_of_work() as uow:
            await uow.ledger.roll_up(limit=1)
        await agree()
    await owner.execute("UPDATE balance_snapshot SET balance = balance + 1000 WHERE account_id = $1", PENDING.id)
    assert await opening(today) == 1_100, "what is rolled up is not added up again"
