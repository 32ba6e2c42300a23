"""Each day's bill is fetched, matched and closed once, whether no scheduler is alive, one, or three."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest_asyncio
import redis

from adapters.outbound.sql import SqlDatabase, create_engine
from domain.bookkeeping import payment_held
from domain.channels import Channel, Credential, Mode
from tests.integration.jobs.days import ACCOUNT, DAYS, FIRST, PAYMENT

ROOT = Path(__file__).parents[3]
ONE = timedelta(days=1)


class Town:
    """Workers and schedulers as processes of their own, on one database, where a test says what day it is."""

    def __init__(self, broker: str, url: str, folder: Path) -> None:
        self.broker, self.url, self.folder = broker, url, folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    async def found(self) -> "Town":
        engine = create_engine(self.url, pool_size=1)
        async with SqlDatabase(engine).unit_of_work() as uow:
            await uow.accounts.add_credential(
                Credential(id="crd_1", channel=Channel.WECHAT, mode=Mode.TEST, app_id="wx1")
            )
            await uow.accounts.add(ACCOUNT)
            await uow.payments.add(PAYMENT)
            await uow.ledger.post(payment_held(PAYMENT))
        await engine.dispose()
        self.db: Any = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        await self.db.execute("CREATE TABLE asked (day date, by int); CREATE TABLE swept (job text, by int)")
        await self.db.execute("CREATE TABLE hour (at timestamptz); CREATE TABLE sending (by int)")
        await self.db.execute("INSERT INTO hour VALUES ($1)", _noon(FIRST))
        return self

    def start(self, role: str, name: str = "") -> None:
        name = name or role
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.jobs.days", role, self.broker, self.url],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
            )

    def stop(self, *names: str) -> None:
        for name in names:
            self.processes[name].send_signal(signal.SIGTERM)
            self.processes.pop(name).wait(30)

    async def end(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        await self.db.close()

    async def dawn(self, day: date) -> None:
        """It is noon of that day, everywhere."""
        await self.db.execute("UPDATE hour SET at = $1", _noon(day))

    async def days(self) -> list[tuple[date, str]]:
        return [tuple(row) for row in await self.db.fetch("SELECT day, status FROM statement_day ORDER BY day")]

    async def asked(self) -> list[date]:
        """Which days' bills the channel was asked for, once for each time."""
        return [row["day"] for row in await self.db.fetch("SELECT day FROM asked ORDER BY day")]

    async def swept(self) -> int:
        """How often the job was run that was run the least."""
        found = await self.db.fetch("SELECT count(*) AS runs FROM swept GROUP BY job")
        return min(row["runs"] for row in found) if len(found) == len(DAYS) else 0

    async def until(self, true: Callable[[], Awaitable[bool]], within: float = 60) -> None:
        deadline = asyncio.get_running_loop().time() + within
        while not await true():
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended:\n{self.log(name)}"
            assert asyncio.get_running_loop().time() < deadline, f"{await self.days()}\n{self.log('worker')}"
            await asyncio.sleep(0.05)

    async def until_swept_again(self) -> None:
        """Whatever would be done twice is done twice by then."""
        before = await self.swept()

        async def again() -> bool:
            return await self.swept() >= before + 6

        await self.until(again)

    async def until_closed(self, last: date) -> None:
        async def closed() -> bool:
            return (last, "closed") in await self.days() and {status for _, status in await self.days()} == {"closed"}

        await self.until(closed)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()[-3000:]


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)


@pytest_asyncio.fixture
async def town(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    town = await Town(redis_url, database_url, tmp_path).found()
    try:
        yield town
    finally:
        await town.end()


async def test_each_day_is_run_once_with_no_scheduler_then_one_then_three_and_missed_days_are_caught_up(
    town: Town,
) -> None:
    town.start("worker")
    await town.dawn(FIRST + 3 * ONE)

    async def listening() -> bool:
        with redis.Redis.from_url(town.broker) as client:
            return bool(client.pubsub_numsub("pitaya:work")[0][1] == 2)

    async def looked() -> bool:
        return bool(await town.db.fetchval("SELECT count(*) FROM swept WHERE job = 'fetch_statements'"))

    await town.until(listening)
    with redis.Redis.from_url(town.broker) as client:
        client.publish("pitaya:work", "fetch_statements")
    await town.until(looked)
    assert (await town.days(), await town.asked()) == ([], []), "nobody has said that there is something to do"

    town.start("beat")
    await town.until_closed(FIRST + 2 * ONE)
    await town.until_swept_again()
    missed = [FIRST + n * ONE for n in range(3)]
    assert [day for day, _ in await town.days()] == await town.asked() == missed

    for name in ("second", "third"):
        town.start("beat", name)
    town.start("worker", "other")

    async def all_at_work() -> bool:
        counts = "SELECT (SELECT count(*) FROM sending), (SELECT count(DISTINCT by) FROM swept)"
        schedulers, workers = await town.db.fetchrow(counts)
        return bool(schedulers == 3 and workers > 2)

    await town.until(all_at_work)
    await town.dawn(FIRST + 5 * ONE)
    await town.until_closed(FIRST + 4 * ONE)
    await town.until_swept_again()
    assert [day for day, _ in await town.days()] == await town.asked() == [FIRST + n * ONE for n in range(5)]
    assert await town.db.fetchval("SELECT count(*) FROM audit_record WHERE action = 'statement_day.closed'") == 5
    assert await town.db.fetchval("SELECT count(*) FROM statement_file") == 1

    town.stop("beat", "second", "third")
    before = await town.asked()
    await town.dawn(FIRST + 7 * ONE)
    town.start("beat")
    await town.until_closed(FIRST + 6 * ONE)
    await town.until_swept_again()
    assert await town.asked() == [*before, FIRST + 5 * ONE, FIRST + 6 * ONE], "the days of no scheduler, each once"
