"""The balance of an account with a million transfers: ``python -m bench.balance``. Status 1 if reading it takes 10 ms.

A PostgreSQL of our own. Every row of the ledger is of this account, which is the hardest for the planner. Before the
roll-up, after it, and after it with a tail of a thousand rows; and the first page of its history.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from adapters.outbound.sql import SqlDatabase, create_engine
from adapters.outbound.sql.account_queries import SqlAccountQueries
from adapters.outbound.sql.migrations import migrate
from application.roll_up_balances import RollUpBalances
from bench.stock import execute
from bootstrap.embedded import temporary_postgres
from domain.channels import Mode
from domain.ledger import Account, AccountKind

ROWS, TAIL, LOOKS, BOUND = 1_000_000, 1_000, 50, 10.0
ACCOUNT = Account(AccountKind.MERCHANT_AVAILABLE, "mch_hot", Mode.LIVE, "CNY")
OTHER = Account(AccountKind.CHANNEL_RECEIVABLE, "cha_hot", Mode.LIVE, "CNY", "BASIC")
_FILL = f"""INSERT INTO transfer (idem_key, fact, debit_account, credit_account, amount, currency, mode, about,
  channel_date)
SELECT '{{name}}' || g, 'released', CASE WHEN g % 3 = 0 THEN {ACCOUNT.id} ELSE {OTHER.id} END,
       CASE WHEN g % 3 = 0 THEN {OTHER.id} ELSE {ACCOUNT.id} END, 1 + g % 7, 'CNY', 'live', 'pay_' || g, '2026-11-22'
FROM generate_series(1, {{rows}}) g"""


async def main() -> int:
    with temporary_postgres() as server:
        await execute(server.url(), "CREATE DATABASE pitaya")
        url = server.url("pitaya")
        await migrate(url)
        engine = create_engine(url, pool_size=2, patience_seconds=600)
        database = SqlDatabase(engine)

        async def balance() -> object:
            async with database.unit_of_work() as uow:
                return await uow.ledger.balance(ACCOUNT)

        async def page() -> object:
            return await SqlAccountQueries(database).history(ACCOUNT, cursor=None, limit=20)

        await execute(url, _FILL.format(name="a", rows=ROWS), "VACUUM ANALYZE transfer", "SELECT 1")
        before = await _milliseconds(balance, looks=3)
        began, rolled_up = time.perf_counter(), 0
        while taken := await RollUpBalances(database.unit_of_work)():
            rolled_up += taken
        took = time.perf_counter() - began
        after = await _milliseconds(balance)
        await execute(url, _FILL.format(name="b", rows=TAIL), "SELECT 1")
        tail, history = await _milliseconds(balance), await _milliseconds(page)
        await engine.dispose()
    print(f"{ROWS:,} rows of one account, nothing rolled up: {before:.1f} ms")
    print(f"rolled up {rolled_up:,} rows in {took:.1f} s; the balance then: {after:.2f} ms")
    print(f"with {TAIL:,} rows behind the snapshot: {tail:.2f} ms; a page of the history: {history:.2f} ms (medians)")
    return 0 if max(after, tail) < BOUND else 1


async def _milliseconds(look: Callable[[], Awaitable[object]], *, looks: int = LOOKS) -> float:
    times = []
    for _ in range(looks):
        began = time.perf_counter()
        await look()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
