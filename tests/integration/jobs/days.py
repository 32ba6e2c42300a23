"""The statement jobs in a real worker and beat, on a real database; a channel that writes down whenever it is asked.

Run as ``python -m tests.integration.jobs.days worker|beat BROKER DATABASE``; what time it is stands in the table
``hour``.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import IO, Any

import asyncpg
from celery import signals

from adapters.inbound.jobs.celery_app import build_celery, run_beat, run_worker
from adapters.inbound.jobs.table import JOBS, Run
from adapters.outbound.redis.hints import RedisHints, connect
from adapters.outbound.sql import SqlDatabase, create_engine
from application.close_statement_day import CloseMatchedDays, CloseStatementDay
from application.fetch_statements import FetchDueStatements, FetchStatement
from application.import_statement import ImportStatement
from application.open_statement_days import OpenStatementDays
from application.reconcile import Reconcile
from bootstrap.ids import SystemIds
from bootstrap.logging import configure
from domain.channels import Access, Channel, ChannelAccount, FundMode, Method, Mode
from domain.money import Money, Rate
from domain.payments import ChannelPayment, Unattributed
from domain.statements import Line, LineKind, LineStatus, StatementKind
from domain.times import SHANGHAI
from tests.fakes.clock import FakeClock
from tests.fakes.progress import FakeProgress
from tests.fakes.statements import FakeStatements, written

NAMES = ("open_statement_days", "fetch_statements", "close_matched_days")
DAYS = [replace(job, every=0.3) for job in JOBS if job.name in NAMES]
FIRST = date(2026, 11, 20)
ACCOUNT = ChannelAccount(
    id="cha_1",
    channel=Channel.WECHAT,
    mode=Mode.TEST,
    credential_id="crd_1",
    payee="1900000001",
    methods=frozenset({Method.WECHAT_NATIVE}),
    cost_rate=Rate(0),
    merchant_id="mch_1",
)
PAYMENT = ChannelPayment(
    id="pay_1",
    account_id="cha_1",
    mode=Mode.TEST,
    fund_mode=FundMode.DIRECT,
    transaction_id="420001",
    number="PTY1",
    total=Money(100),
    received=Money(100),
    payer_paid=Money(100),
    fee=Money(0),
    paid_at=datetime(2026, 11, 20, 9, tzinfo=SHANGHAI),
    evidence="notice",
    recorded_at=datetime(2026, 11, 20, 1, tzinfo=UTC),
    unattributed=Unattributed.UNKNOWN_NUMBER,
    merchant_id="mch_1",
)
LINE = Line(
    n=1,
    day=FIRST,
    kind=LineKind.PAYMENT,
    number="PTY1",
    payment_number="PTY1",
    transaction_id="420001",
    total=Money(100),
    received=Money(100),
    fee=0,
    status=LineStatus.SUCCEEDED,
    at=PAYMENT.paid_at,
)


@dataclass
class AskedChannel(FakeStatements):
    """It has a bill of the first day and none of others. Each time that it is asked is a row."""

    book: Any = None

    async def fetch(
        self, access: Access, kind: StatementKind, day: date, into: IO[bytes], *, fund: str = "BASIC"
    ) -> bool:
        await self.book.execute("INSERT INTO asked VALUES ($1, $2)", day, os.getpid())
        await asyncio.sleep(0.2)  # long enough for others to come between
        into.write(written([LINE]) if day == FIRST else b"")
        return day == FIRST


@asynccontextmanager
async def resources(url: str) -> AsyncIterator[Mapping[str, Run]]:
    engine = create_engine(url, pool_size=5)
    book = await asyncpg.create_pool(url.replace("+asyncpg", ""), min_size=1, max_size=2)
    clock, ids, unit_of_work = FakeClock(), SystemIds(), SqlDatabase(engine).unit_of_work
    channels = {Channel.WECHAT: AskedChannel(book=book)}
    import_ = ImportStatement(unit_of_work, channels, clock, ids, FakeProgress())
    fetch = FetchStatement(unit_of_work, channels, import_, Reconcile(unit_of_work, clock, ids, FakeProgress()), clock)
    runs: dict[str, Callable[[], Awaitable[int]]] = {
        "open_statement_days": OpenStatementDays(unit_of_work, clock),
        "fetch_statements": FetchDueStatements(unit_of_work, fetch, clock, batch=1),
        "close_matched_days": CloseMatchedDays(unit_of_work, CloseStatementDay(unit_of_work, clock, ids)),
    }

    async def swept(name: str) -> int:
        clock.set(await book.fetchval("SELECT at FROM hour"))
        done = await runs[name]()
        await book.execute("INSERT INTO swept VALUES ($1, $2)", name, os.getpid())
        return done

    try:
        yield {name: partial(swept, name) for name in runs}
    finally:
        await book.close()
        await engine.dispose()


async def listen(broker: str) -> AsyncIterator[str]:
    async with connect(broker) as client:
        async for job in RedisHints(client).listen_work():
            yield job


def _sending(url: str, told: list[bool], **_: object) -> None:
    """The first time, a row says that this scheduler is at work."""

    async def tell() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        await connection.execute("INSERT INTO sending VALUES ($1)", os.getpid())
        await connection.close()

    if not told:
        told.append(True)
        asyncio.run(tell())


def main(role: str, broker: str, url: str) -> int:
    configure("INFO")
    app = build_celery(broker, open=partial(resources, url), listen=partial(listen, broker), jobs=DAYS)
    if role == "beat":
        signals.before_task_publish.connect(partial(_sending, url, []), weak=False)
        run_beat(app)
        return 0
    return run_worker(app, processes=2)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
