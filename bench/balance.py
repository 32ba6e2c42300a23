"""The balance of an account with a million transfers: ``python -m bench.balance``. Status 1 if reading it takes 10 ms.

Every row of the ledger is of this account, which is the hardest for the planner. Before the roll-up, after it, and
after it with a tail of a thousand rows; the first page of its history; and, for the ratio, the balance of an account
with one transfer.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date

from adapters.outbound.sql import SqlDatabase, create_engine
from adapters.outbound.sql.account_queries import SqlAccountQueries
from adapters.outbound.sql.migrations import migrate
from application.roll_up_balances import RollUpBalances
from bench.stock import execute
from bootstrap.embedded import EmbeddedPostgres, temporary_postgres
from domain.channels import Mode
from domain.ledger import Account, AccountKind, Transfer
from domain.money import Money

ROWS, TAIL, LOOKS, BOUND = 1_000_000, 1_000, 50, 10.0
ACCOUNT = Account(AccountKind.MERCHANT_AVAILABLE, "mch_hot", Mode.LIVE, "CNY")
OTHER = Account(AccountKind.CHANNEL_RECEIVABLE, "cha_hot", Mode.LIVE, "CNY", "BASIC")
SMALL = Account(AccountKind.MERCHANT_AVAILABLE, "mch_small", Mode.LIVE, "CNY")
DAY = date(2026, 11, 22)
_FILL = f"""INSERT INTO transfer (idem_key, fact, debit_account, credit_account, amount, currency, mode, about,
  channel_date)
SELECT '{{name}}' || g, 'released', CASE WHEN g % 3 = 0 THEN {ACCOUNT.id} ELSE {OTHER.id} END,
       CASE WHEN g % 3 = 0 THEN {OTHER.id} ELSE {ACCOUNT.id} END, 1 + g % 7, 'CNY', 'live', 'pay_' || g, '{DAY}'
FROM generate_series(1, {{rows}}) g"""


@dataclass(frozen=True, slots=True)
class Balances:
    """Medians in milliseconds, and how long the roll-up took in seconds."""

    unrolled: float
    rolling: float
    rolled: float
    tail: float
    history: float
    small: float  # of an account with one transfer

    @property
    def kept(self) -> bool:
        return max(self.rolled, self.tail) < BOUND


async def measure(server: EmbeddedPostgres) -> Balances:
    """In a database of its own, "balance"."""
    await execute(server.url(), "CREATE DATABASE balance")
    url = server.url("balance")
    await migrate(url)
    engine = create_engine(url, pool_size=2, patience_seconds=600)
    database = SqlDatabase(engine)

    async def balance(account: Account = ACCOUNT) -> object:
        async with database.unit_of_work() as uow:
            return await uow.ledger.balance(account)

    async def page() -> object:
        return await SqlAccountQueries(database).history(ACCOUNT, cursor=None, limit=20)

    async with database.unit_of_work() as uow:
        await uow.ledger.post(
            [
                Transfer(
                    idem_key="small",
                    fact="released",
                    debit=OTHER,
                    credit=SMALL,
                    amount=Money(1),
                    about="pay_small",
                    channel_date=DAY,
                )
            ]
        )
    await execute(url, _FILL.format(name="a", rows=ROWS), "VACUUM ANALYZE transfer", "SELECT 1")
    unrolled = await _milliseconds(balance, looks=3)
    began = time.perf_counter()
    while await RollUpBalances(database.unit_of_work)():
        pass
    rolling = time.perf_counter() - began
    rolled, small = await _milliseconds(balance), await _milliseconds(lambda: balance(SMALL))
    await execute(url, _FILL.format(name="b", rows=TAIL), "SELECT 1")
    tail, history = await _milliseconds(balance), await _milliseconds(page)
    await engine.dispose()
    return Balances(unrolled, rolling, rolled, tail, history, small)


def lines(found: Balances) -> list[str]:
    ratio = found.rolled / found.small
    return [
        f"{ROWS:,} rows of one account, not rolled up: {found.unrolled:.1f} ms; rolled up in {found.rolling:.1f} s.",
        f"The balance then: {found.rolled:.2f} ms, **{ratio:.2f}** of that of an account with one transfer;",
        f"with {TAIL:,} rows behind the snapshot: {found.tail:.2f} ms (aim: below {BOUND:.0f} ms);",
        f"a page of the history: {found.history:.2f} ms. Medians.",
    ]


def main() -> int:
    with temporary_postgres() as server:
        found = asyncio.run(measure(server))
    print("\n".join(lines(found)))
    return 0 if found.kept else 1


async def _milliseconds(look: Callable[[], Awaitable[object]], *, looks: int = LOOKS) -> float:
    times = []
    for _ in range(looks):
        began = time.perf_counter()
        await look()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
