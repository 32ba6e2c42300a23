"""`make bench-bills`: a day of WeChat Pay with a million lines, read, kept and matched; next to DuckDB in the same run.

DuckDB does the bare minimum: our records are copied out of PostgreSQL, where they are, into a file (by the server
itself, which is the quickest way out), it parses that and the bill, joins them, and counts what is equal. It keeps
nothing, checks no totals, and books nothing. That is what Pitaya is compared with; beside it, for information, the same
with the file of our records lying there already. All are processes of their own and take turns.
"""

import argparse
import asyncio
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import asyncpg
import duckdb

from adapters.outbound.sql import SqlDatabase, create_engine
from adapters.outbound.sql.migrations import migrate
from adapters.outbound.wechat.bill_lines import trade_lines
from application.import_statement import ImportStatement
from application.reconcile import Reconcile
from bench.stock import plain
from bootstrap.embedded import EmbeddedPostgres, temporary_postgres
from domain.channels import Access, Channel, ChannelAccount, Credential, Method, Mode
from domain.money import Money, Rate
from domain.numbers import channel_number
from domain.statements import DayStatus, Lines, StatementKind
from domain.times import SHANGHAI
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds
from tests.fakes.progress import FakeProgress
from tests.fakes.statements import FakeStatements

DAY = date(2026, 11, 20)
SIZES = (10_000, 100_000, 1_000_000)
COST = Rate(3_800)
REFUND_EVERY = 50
CREDENTIAL = Credential(id="crd_1", channel=Channel.WECHAT, mode=Mode.LIVE, app_id="wx1")
ACCOUNT = ChannelAccount(
    id="cha_1",
    channel=Channel.WECHAT,
    mode=Mode.LIVE,
    credential_id="crd_1",
    payee="1900000001",
    methods=frozenset({Method.WECHAT_NATIVE}),
    cost_rate=COST,
)
HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMMARY = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Files:
    """The bill as the channel publishes it, our records as DuckDB reads them, and where the server may write them."""

    bill: Path
    ours: Path
    copied: Path


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float
    parts: dict[str, float]
    growth: float  # MB of memory beyond what the process had before it began
    matched: int


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.bills", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 100 thousand lines")
    parser.add_argument("--one", nargs=3, metavar=("WHO", "WHERE", "DIRECTORY"), help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.one:
        who, where, home = asked.one
        files = Files(Path(home, "bill.csv"), Path(home, "ours.csv"), Path(home, "server", "ours.csv"))
        run = asyncio.run(_pitaya(where, files)) if who == "pitaya" else _duckdb(where, files)
        print(json.dumps([run.seconds, run.parts, run.growth, run.matched]))
        return 0
    sizes = SIZES[:2] if asked.quick else SIZES
    print(
        "| lines | Pitaya s | of which | MB beyond its start | DuckDB s | MB beyond its start | Pitaya / DuckDB "
        "| DuckDB s, our records in a file already |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    spent = []
    with temporary_postgres() as server:
        for size in sizes:
            with tempfile.TemporaryDirectory(prefix="pitaya-bench-") as home:
                ours, theirs, ready = _measure(server, size, Path(home))
            spent.append(ours.seconds)
            parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in ours.parts.items())
            print(
                f"| {size:,} | {ours.seconds:.1f} | {parts} | {ours.growth:.0f} | {theirs.seconds:.1f} "
                f"| {theirs.growth:.0f} | {ours.seconds / theirs.seconds:.1f} | {ready.seconds:.1f} |",
                flush=True,
            )
    for (few, short), (many, long) in pairwise(zip(sizes, spent, strict=True)):
        slope = (long - short) / (many - few) * 1e6
        print(f"slope from {few:,} to {many:,} lines: {slope:.1f} microseconds a line")
    return 0


def _measure(server: EmbeddedPostgres, size: int, home: Path) -> tuple[Run, Run, Run]:
    """Each the better of two, turn by turn: Pitaya; DuckDB with our records out of PostgreSQL; and out of a file."""
    name = f"bills_{size}"
    asyncio.run(_sold(server, name, size, home))
    home.chmod(0o711)
    (home / "server").mkdir()
    (home / "server").chmod(0o777)  # the server may run as another user
    runs = [
        (
            _run("pitaya", server.url(f"{name}_{turn}"), home),
            _run("duckdb", server.url(f"{name}_0"), home),
            _run("duckdb", "", home),
        )
        for turn in range(2)
    ]
    assert all(run.matched == size for turn in runs for run in turn), runs
    ours, theirs, ready = (min(turns, key=lambda run: run.seconds) for turns in zip(*runs, strict=True))
    return ours, theirs, ready


def _run(who: str, where: str, home: Path) -> Run:
    command = [sys.executable, "-m", "bench.bills", "--one", who, where, str(home)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Run(*json.loads(done.stdout))


# ── What happened that day ───────────────────────────────────────────────────────────────────────────────────────────


async def _sold(server: EmbeddedPostgres, name: str, size: int, home: Path) -> None:
    """Two databases with that many payments and refunds of one day, and the bill that tells of each."""
    connection = await asyncpg.connect(plain(server.url()))
    await connection.execute(f"CREATE DATABASE {name}_0")
    await migrate(server.url(f"{name}_0"), role="pitaya_app")
    engine = create_engine(server.url(f"{name}_0"), pool_size=1)
    async with SqlDatabase(engine).unit_of_work() as uow:
        await uow.accounts.add_credential(CREDENTIAL)
        await uow.accounts.add(ACCOUNT)
    await engine.dispose()
    stock = await asyncpg.connect(plain(server.url(f"{name}_0")))
    await stock.execute("SET session_replication_role = replica")  # attempts without their orders: nobody asks for them
    payments, refunds = _write(size, home)
    await _copied(stock, "attempt", [_attempt(row) for row in payments])
    await _copied(stock, "channel_payment", payments)
    await _copied(stock, "refund", refunds)
    await stock.execute("VACUUM (ANALYZE)")  # as autovacuum would have done
    await stock.close()
    await connection.execute(f"CREATE DATABASE {name}_1 TEMPLATE {name}_0")
    await connection.close()


async def _copied(connection: "asyncpg.Connection[asyncpg.Record]", table: str, rows: list[dict[str, object]]) -> None:
    names = list(rows[0])
    values = [tuple(row.values()) for row in rows]
    await connection.copy_records_to_table(table, records=values, columns=names)


def _write(size: int, home: Path) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The bill and our records of it as files, and as rows."""
    payments: list[dict[str, object]] = []
    refunds: list[dict[str, object]] = []
    sums = [0, 0, 0, 0, 0]
    start = datetime(DAY.year, DAY.month, DAY.day, tzinfo=SHANGHAI)
    with (home / "bill.csv").open("w", encoding="utf-8", newline="") as bill, (home / "ours.csv").open("w") as ours:
        bill.write(f"{HEADER}\r\n")
        ours.write("number,transaction_id,received,fee,status\n")
        for n in range(size):
            at = start + timedelta(milliseconds=86_399_000 * n // size)
            if n % REFUND_EVERY == REFUND_EVERY - 1:
                line, row = _refunded(n, at, payments[-1])
                refunds.append(row)
                figures = (0, row["debit"], -_fee(row["debit"]), 0, row["debit"])
            else:
                line, row = _paid(n, at)
                payments.append(row)
                figures = (row["received"], 0, _fee(row["received"]), row["received"], 0)
            sums = [before + int(str(figure)) for before, figure in zip(sums, figures, strict=True)]
            bill.write("`" + ",`".join(line) + "\r\n")
            amount = figures[0] or figures[1]
            ours.write(f"{line[15] or line[6]},{line[14] or line[5]},{amount},{figures[2]},{line[9]}\n")
        settled, refunded, fee, total, asked = (_yuan(one) for one in sums)
        last = (str(size), settled, refunded, "0.00", f"{fee}000", total, asked)
        bill.write(f"{SUMMARY}\r\n`" + ",`".join(last) + "\r\n")
    return payments, refunds


def _paid(n: int, at: datetime) -> tuple[list[str], dict[str, object]]:
    received = 100 + n * 7_919 % 50_000
    row: dict[str, object] = {
        "id": f"pay_{n:026d}", "account_id": "cha_1", "mode": "live", "fund_mode": "collect",
        "transaction_id": f"420000{n:022d}", "number": channel_number(_token(n)), "total": received,
        "received": received, "payer_paid": received, "fee": 0, "currency": "CNY", "paid_at": at,
        "evidence": "bench", "recorded_at": at, "attempt_id": f"att_{n:026d}", "merchant_id": "mch_1",
        "unattributed": "unknown_number",
    }  # fmt: skip
    line = [
        f"{at:%Y-%m-%d %H:%M:%S}", "wx1", "1900000001", "0", "", str(row["transaction_id"]), str(row["number"]),
        f"oUpF8uMuAJO_{n:016d}", "NATIVE", "SUCCESS", "OTHERS", "CNY", _yuan(received), "0.00", "", "", "0.00",
        "0.00", "", "", "咖啡", "", f"{_yuan(_fee(received))}000", "0.38%", _yuan(received), "0.00", "",
    ]  # fmt: skip
    return line, row


def _refunded(n: int, at: datetime, payment: dict[str, object]) -> tuple[list[str], dict[str, object]]:
    """The whole payment before it goes back."""
    debit = int(str(payment["received"]))
    row: dict[str, object] = {
        "id": f"ref_{n:026d}", "payment_id": payment["id"], "merchant_id": "mch_1", "mode": "live",
        "account_id": "cha_1", "fund_mode": "collect", "number": channel_number(_token(n)),
        "payment_number": payment["number"], "total": debit, "amount": debit, "debit": debit, "share": 0,
        "currency": "CNY", "reason": "bench", "origin": "merchant", "created_at": at, "from_pending": debit,
        "from_available": 0, "from_debt": 0, "status": "succeeded", "channel_id": f"503000{n:022d}",
        "accepted_at": at, "succeeded_at": at, "polls": 0, "revision": 0,
        "destination": "original",
    }  # fmt: skip
    line = [
        f"{at:%Y-%m-%d %H:%M:%S}", "wx1", "1900000001", "0", "", str(payment["transaction_id"]),
        str(payment["number"]), "o1", "NATIVE", "REFUND", "OTHERS", "CNY", "0.00", "0.00", str(row["channel_id"]),
        str(row["number"]), _yuan(debit), "0.00", "ORIGINAL", "SUCCESS", "咖啡", "", f"-{_yuan(_fee(debit))}000",
        "0.38%", "0.00", _yuan(debit), "",
    ]  # fmt: skip
    return line, row


def _attempt(payment: dict[str, object]) -> dict[str, object]:
    at = payment["paid_at"]
    return {
        "id": payment["attempt_id"], "order_id": "ord_1", "merchant_id": "mch_1", "mode": "live",
        "method": "wechat_native", "account_id": "cha_1", "number": payment["number"], "amount": payment["total"],
        "currency": "CNY", "fund_mode": "collect", "fee_ppm": 6_000, "fee_minimum": 0, "cost_ppm": COST.ppm,
        "created_at": at, "expires_at": at, "status": "succeeded", "polls": 0, "revision": 0, "shared": False,
        "fee_kept": False,
    }  # fmt: skip


def _fee(received: object) -> int:
    return COST.of(Money(int(str(received)))).minor


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _token(n: int) -> str:
    """Twenty-six characters, as a ULID has."""
    return f"01KB5P4Z0W{n:016d}"


# ── The two ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class WechatBills(FakeStatements):
    """The file is here already; the real reader reads it."""

    def trade_lines(self, access: Access, day: date, source: object) -> Iterator[Lines]:
        return trade_lines(access, day, source)  # type: ignore[arg-type]


async def _pitaya(url: str, files: Files) -> Run:
    """What the job does: the file is kept with its hash, every line checked and stored, the day matched and booked."""
    clock = FakeClock(datetime(2026, 11, 25, tzinfo=UTC))
    engine = create_engine(url, pool_size=2, role="pitaya_app", patience_seconds=600)
    unit_of_work, ids = SqlDatabase(engine).unit_of_work, FakeIds(1, clock)
    before, began = _memory(), time.perf_counter()
    with files.bill.open("rb") as source:
        import_ = ImportStatement(unit_of_work, {Channel.WECHAT: WechatBills()}, clock, ids, FakeProgress())
        await import_(Access(ACCOUNT, CREDENTIAL), DAY, StatementKind.TRADE, source)
    read = time.perf_counter()
    day = await Reconcile(unit_of_work, clock, ids, FakeProgress())(ACCOUNT.id, DAY)
    done = time.perf_counter()
    await engine.dispose()
    assert day.status is DayStatus.MATCHED, day
    parts = {"read and kept": read - began, "matched": done - read}
    return Run(done - began, parts, _memory() - before, day.matched)


_BARE = """
    WITH bill AS (
        SELECT CASE WHEN replace(column15, '`', '') = '' THEN replace(column06, '`', '')
                    ELSE replace(column15, '`', '') END AS number,
               CASE WHEN replace(column14, '`', '') = '' THEN replace(column05, '`', '')
                    ELSE replace(column14, '`', '') END AS transaction_id,
               CAST(CAST(replace(column12, '`', '') AS DECIMAL(18, 2)) * 100
                    + CAST(replace(column16, '`', '') AS DECIMAL(18, 2)) * 100 AS BIGINT) AS received,
               CAST(CAST(replace(column22, '`', '') AS DECIMAL(18, 5)) * 100 AS BIGINT) AS fee,
               replace(column09, '`', '') AS status
          FROM read_csv(?, delim = ',', quote = '', escape = '', header = false, skip = 1, all_varchar = true,
                        null_padding = true, auto_detect = false, strict_mode = false,
                        columns = {names})
         WHERE column26 IS NOT NULL
    ), ours AS (
        SELECT * FROM read_csv(?, header = true, auto_detect = false, delim = ',', quote = '', escape = '', columns = {
            'number': 'VARCHAR', 'transaction_id': 'VARCHAR', 'received': 'BIGINT', 'fee': 'BIGINT',
            'status': 'VARCHAR'})
    )
    SELECT count(*) FILTER (WHERE b.number IS NOT NULL AND o.number IS NOT NULL)
      FROM bill b FULL JOIN ours o USING (number, transaction_id, received, fee, status)
"""


_RECORDS = """
    SELECT p.number, p.transaction_id, p.received, (2 * p.received * a.cost_ppm + 1000000) / 2000000, 'SUCCESS'
      FROM channel_payment p JOIN attempt a ON a.id = p.attempt_id
     WHERE p.account_id = 'cha_1' AND p.paid_at >= '{day} 00:00+08' AND p.paid_at < '{next} 00:00+08'
    UNION ALL
    SELECT r.number, r.channel_id, r.debit, -(2 * r.debit * a.cost_ppm + 1000000) / 2000000, 'REFUND'
      FROM refund r JOIN channel_payment p ON p.id = r.payment_id JOIN attempt a ON a.id = p.attempt_id
     WHERE r.account_id = 'cha_1' AND r.accepted_at >= '{day} 00:00+08' AND r.accepted_at < '{next} 00:00+08'
"""


def _duckdb(where: str, files: Files) -> Run:
    """With our records from there, or as they lie in the file."""
    before, began = _memory(), time.perf_counter()
    parts = {}
    if where:
        asyncio.run(_copied_out(where, files.copied))
        parts["copied"] = time.perf_counter() - began
    names = "{" + ", ".join(f"'column{n:02d}': 'VARCHAR'" for n in range(27)) + "}"
    ours = str(files.copied if where else files.ours)
    found = duckdb.connect().execute(_BARE.replace("{names}", names), [str(files.bill), ours]).fetchone()
    assert found is not None
    return Run(time.perf_counter() - began, parts, _memory() - before, found[0])


async def _copied_out(where: str, into: Path) -> None:
    connection = await asyncpg.connect(plain(where))
    await connection.execute("SET work_mem = '128MB'")  # as the comparison has it
    records = _RECORDS.format(day=DAY, next=DAY + timedelta(days=1))
    await connection.execute(f"COPY ({records}) TO '{into}' (FORMAT csv, HEADER)")
    await connection.close()


def _memory() -> float:
    """The most that this process has had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would tell the parent's, too
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found is not None
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


if __name__ == "__main__":
    raise SystemExit(main())
