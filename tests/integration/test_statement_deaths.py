"""kill -9 in the midst of a bill, of its matching, of its closing: run again, it comes to the same."""

import asyncio
import gzip
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from adapters.outbound.sql import SqlDatabase, create_engine
from application.close_statement_day import CloseMatchedDays, CloseStatementDay
from domain.bookkeeping import payment_held
from domain.channels import Channel, ChannelAccount, Credential, FundMode, Method, Mode
from domain.money import Money, Rate
from domain.numbers import channel_number
from domain.payments import ChannelPayment, Unattributed
from domain.times import SHANGHAI
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds
from tests.injector import Bill
from tests.integration.stack import settings_of

DAY = date(2026, 11, 20)
LINES = 7_000  # more than are sent to the database at once
HERE = 6  # of which we know
HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMMARY = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
ACCOUNT = ChannelAccount(
    id="cha_1",
    channel=Channel.WECHAT,
    mode=Mode.TEST,
    credential_id="crd_1",
    payee="1900000001",
    methods=frozenset({Method.WECHAT_NATIVE}),
    cost_rate=Rate(3_800),
    merchant_id="mch_1",  # a merchant's own account: what is not ours is foreign, and not seven thousand discrepancies
)
# Where the process dies, and at the how manyth time that it passes there.
STATEMENT_DEATHS = {
    "statement.lines": 4,  # of the six times that lines are read, many at a time
    "statement.before_commit": 1,
    "statement.after_commit": 1,
    "reconcile.before_commit": 1,
    "reconcile.after_commit": 1,
    "close.before_commit": 1,
}


def row(n: int, number: str) -> list[str]:
    return [
        "2026-11-20 09:00:00", "wx1", "1900000001", "0", "", f"42000{n:08d}", number, "o1", "NATIVE", "SUCCESS",
        "OTHERS", "CNY", "100.00", "0.00", "0", "0", "0.00", "0.00", "", "", "咖啡", "", "0.38000", "0.38%", "100.00",
        "0.00", "",
    ]  # fmt: skip


class Desk:
    """A database with some payments of a day and the bill that tells of them, one of them with another fee."""

    def __init__(self, url: str, redis_url: str, home: Path) -> None:
        self.url, self.file = url, home / "trade.csv"
        self.environment = settings_of(url, redis_url, "https://pay.example", "http://127.0.0.1:9")
        self.clock = FakeClock(datetime(2026, 11, 25, tzinfo=UTC))

    async def trade(self) -> "Desk":
        ids, rows = FakeIds(1, self.clock), [row(n, f"SHOP-{n}") for n in range(HERE, LINES)]
        engine = create_engine(self.url, pool_size=1)
        async with SqlDatabase(engine).unit_of_work() as uow:
            await uow.accounts.add_credential(
                Credential(id="crd_1", channel=Channel.WECHAT, mode=Mode.TEST, app_id="wx1")
            )
            await uow.accounts.add(ACCOUNT)
            for n in range(HERE):
                number = channel_number(ids.new("num").removeprefix("num_"))
                rows.insert(n * 1_000, row(n, number))
                payment = ChannelPayment(
                    id=ids.new("pay"), account_id="cha_1", mode=Mode.TEST, fund_mode=FundMode.DIRECT,
                    transaction_id=f"42000{n:08d}", number=number, total=Money(10_000), received=Money(10_000),
                    payer_paid=Money(10_000), fee=Money(0), paid_at=datetime(2026, 11, 20, 9, tzinfo=SHANGHAI),
                    evidence="notice", recorded_at=self.clock.now(), unattributed=Unattributed.UNKNOWN_NUMBER,
                    merchant_id="mch_1",
                )  # fmt: skip
                await uow.payments.add(payment)
                await uow.ledger.post(payment_held(payment))
        await engine.dispose()
        self.write(rows, fee="0.40000")
        return self

    def write(self, rows: list[list[str]], *, fee: str) -> None:
        """The first of ours bears this fee."""
        rows[0] = [*rows[0][:22], fee, *rows[0][23:]]
        self.file.write_bytes(Bill(HEADER, rows, SUMMARY).written())

    async def reconcile(self, **environment: str) -> "subprocess.CompletedProcess[str]":
        words = ("reconcile", "--date", str(DAY), "--channel-account", "cha_1", "--file", f"trade={self.file}")
        return await self._run("-m", "bootstrap.main", *words, **environment)

    async def close(self, **environment: str) -> "subprocess.CompletedProcess[str]":
        """The sweep that closes matched days, in a process of its own."""
        return await self._run("-m", "tests.integration.test_statement_deaths", **environment)

    async def _run(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        bare = {name: value for name, value in os.environ.items() if not name.startswith("PITAYA_")}
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, *words],
            capture_output=True,
            text=True,
            timeout=120,
            env=bare | self.environment | environment,
            start_new_session=True,  # it dies with its whole group
        )

    async def kept(self) -> list[Any]:
        """All that is left behind by it: no id and no moment, which are other ones every time."""
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        rows = [
            await connection.fetch(query)
            for query in (
                "SELECT status, files::text, matched, differences, held, foreign_lines, closed_by FROM statement_day",
                "SELECT key, kind, amount, number, line_n, status FROM discrepancy ORDER BY key",
                "SELECT idem_key, fact, amount, debit_account FROM transfer ORDER BY idem_key",
                "SELECT sha256, size, lines FROM statement_file",
                "SELECT count(*), min(n), max(n), sum(received), count(DISTINCT day_number) FROM statement_line",
                "SELECT count(*) FROM statement_chunk",
                "SELECT action FROM audit_record ORDER BY action",
            )
        ]
        await connection.close()
        return [[tuple(found) for found in part] for part in rows]


@pytest_asyncio.fixture
async def desk(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    yield await Desk(database_url, redis_url, tmp_path).trade()


@pytest.mark.parametrize("name", [name for name in STATEMENT_DEATHS if not name.startswith("close")])
async def test_a_day_whose_process_was_killed_comes_to_the_same_when_it_is_run_again(desk: Desk, name: str) -> None:
    died = await desk.reconcile(PITAYA_CRASH=f"{name}:{STATEMENT_DEATHS[name]}")
    assert died.returncode == -signal.SIGKILL, died.stderr
    (day, _, posted, files, lines, *_) = await desk.kept()
    sha256 = hashlib.sha256(desk.file.read_bytes()).hexdigest()
    whole = name not in ("statement.lines", "statement.before_commit")
    assert [one[0] for one in files] == ([sha256] if whole else []), "a file is there whole or not at all"
    assert lines[0][0] == (LINES if whole else 0)
    assert any(one[1] == "channel_cost" for one in posted) == (name == "reconcile.after_commit")
    again = await desk.reconcile()
    assert again.returncode == 0, again.stderr
    (day, found, posted, files, lines, *_) = await desk.kept()
    assert day == [
        ("with_differences", f'{{"trade":"{sha256}"}}', HERE - 1, 1, 0, LINES - HERE, None),
    ]
    assert [(one[1], one[2], one[5]) for one in found] == [("fee", 2, "open")]
    assert [one[2] for one in posted if one[1] == "channel_cost"] == [HERE * 38 + 2]
    assert len(posted) == HERE + 1
    assert (len(files), lines[0][0], lines[0][4]) == (1, LINES, 1)


async def test_the_command_takes_a_gzipped_bill_as_the_bill_that_is_in_it_and_no_torn_one(desk: Desk) -> None:
    plain = desk.file.read_bytes()
    sha256 = hashlib.sha256(plain).hexdigest()
    desk.file.write_bytes(gzip.compress(plain)[:-9])
    torn = await desk.reconcile()
    assert (torn.returncode, torn.stdout) == (1, "")
    assert torn.stderr.splitlines()[-1] == "pitaya: the gzip ends too early (bill_invalid)"
    assert (await desk.kept())[3] == []
    desk.file.write_bytes(gzip.compress(plain))
    done = await desk.reconcile()
    assert done.returncode == 0, done.stderr
    (day, found, posted, files, lines, *_) = await desk.kept()
    assert day == [("with_differences", f'{{"trade":"{sha256}"}}', HERE - 1, 1, 0, LINES - HERE, None)]
    assert (files, lines[0][0], len(found)) == ([(sha256, len(plain), LINES)], LINES, 1)
    assert done.stdout.splitlines()[1] == f"matched {HERE - 1}, foreign {LINES - HERE}, held 0, open discrepancies 1"
    assert len(posted) == HERE + 1


async def test_a_day_whose_closing_was_killed_is_closed_once(desk: Desk) -> None:
    rows = Bill.read(desk.file.read_bytes()).rows
    desk.write(rows, fee="0.38000")
    assert (await desk.reconcile()).returncode == 0
    before = await desk.kept()
    assert (await desk.close(PITAYA_CRASH="close.before_commit:1")).returncode == -signal.SIGKILL
    assert await desk.kept() == before
    for _ in range(2):
        done = await desk.close()
        assert done.returncode == 0, done.stderr
        ((status, *_, closed_by),) = (await desk.kept())[0]
        assert (status, closed_by) == ("closed", "system")
        assert (await desk.kept())[-1].count(("statement_day.closed",)) == 1


async def _close(url: str) -> None:
    from bootstrap.crashes import arm

    arm(os.environ.get("PITAYA_CRASH"))
    engine = create_engine(url, pool_size=1)
    clock = FakeClock(datetime(2026, 11, 26, tzinfo=UTC))
    unit_of_work = SqlDatabase(engine).unit_of_work
    await CloseMatchedDays(unit_of_work, CloseStatementDay(unit_of_work, clock, FakeIds(os.getpid(), clock)))()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(_close(os.environ["PITAYA_DATABASE_URL"]))
