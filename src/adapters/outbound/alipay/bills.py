"""Alipay's bills (业务明细, 账务明细): a zip of GBK CSVs with `#` lines around the table, checked against themselves.

The forms are those that alipay.data.dataservice.bill.downloadurl.query hands out for bill_type trade and signcustomer
(https://opendocs.alipay.com/open/204). What a file is, its own first line says; names in the zip are not trusted.
"""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import IO

from adapters.channel_wire import Unreadable
from adapters.outbound.alipay.reports import instant
from domain.channels import Access
from domain.errors import BillInvalid
from domain.money import Money
from domain.statements import FundLine, Line, LineKind, Lines, LineStatus, Movement

LARGEST = 1 << 30  # bytes of one table, unpacked
_MOST_FILES, _LINE_LIMIT = 16, 64 * 1024  # in a bill, where there are two or three; characters
AT_A_TIME = 1_000  # lines
_TRADE, _FUND = "#支付宝业务明细查询", "#支付宝账务明细查询"
_TRADE_COLUMNS = ("支付宝交易号", "商户订单号", "业务类型", "完成时间", "订单金额", "商家实收", "服务费")
_FUND_COLUMNS = ("账务流水号", "业务流水号", "商户订单号", "发生时间", "收入金额", "支出金额", "账户余额", "业务类型")
_REFUND_NUMBER = ("退款批次号/请求号", "退款批次号")
_UNIT = re.compile(r"[（(][^（）()]*元[)）]$")
_ACCOUNT = re.compile(r"#账号：\[(\d+)\]")
_PERIOD = re.compile(r"#起始日期：\[(.+?) 00:00:00\]\s*终止日期：\[(.+?) 00:00:00\]")
_TOTAL = re.compile(r"#(\S{2})合计：(\d+)笔，(?:商家实收(?:退款)?)?共(-?[\d.]+)元")
_AMOUNT = re.compile(r"[+-]?\d{1,12}(?:\.\d{1,2})?")
_CURRENCY_ACCOUNT = "0156"  # what follows the PID in 账号: its account in renminbi
_KINDS = {"交易": LineKind.PAYMENT, "退款": LineKind.REFUND}
_MOVEMENTS = {
    "在线支付": Movement.PAYMENT,
    "交易付款": Movement.PAYMENT,
    "交易退款": Movement.REFUND,
    "退款": Movement.REFUND,
    "收费": Movement.FEE,
    "退费": Movement.FEE,
    "提现": Movement.PAYOUT,
    "充值": Movement.TOP_UP,
    "转账": Movement.TRANSFER,
    "转账退回": Movement.TRANSFER,
    "交易分账": Movement.SHARED,
}


def trade_lines(access: Access, day: date, source: IO[bytes]) -> Iterator[Lines]:
    """The lines of a trade bill, many at a time."""
    lines = _trade_lines(access, day, source)
    while some := list(islice(lines, AT_A_TIME)):
        yield Lines(day, some)


def _trade_lines(access: Access, day: date, source: IO[bytes]) -> Iterator[Line]:
    """What payers paid and got back. 服务费 is negative where it was charged."""
    sums = {"交易": [0, 0], "退款": [0, 0]}
    with _table(source, _TRADE) as table:
        for row in table.rows(access, day, _TRADE_COLUMNS):
            kind = _KINDS.get(row["业务类型"])
            if kind is None:
                raise BillInvalid(f"unknown 业务类型 {row['业务类型'][:20]!r}", line=table.at)
            received, fee = _fen(row["商家实收"], table), _fen(row["服务费"], table)
            total = _fen(row["订单金额"], table)
            if (received < 0 or total <= 0) if kind is LineKind.PAYMENT else (received > 0 or total >= 0):
                raise BillInvalid("the amounts do not fit the 业务类型", line=table.at)
            sums[row["业务类型"]][0] += 1
            sums[row["业务类型"]][1] += received
            refund = next((row[name] for name in _REFUND_NUMBER if name in row), "")
            yield Line(
                n=table.count,
                day=day,
                kind=kind,
                number=row["商户订单号"] if kind is LineKind.PAYMENT else refund,
                payment_number=row["商户订单号"],
                transaction_id=table.numbered(row["支付宝交易号"]),
                total=Money(abs(total)),
                received=Money(abs(received)),
                fee=-fee,
                status=LineStatus.SUCCEEDED,
                at=_at(row["完成时间"], table),
            )
        table.check({name: (count, sum_) for name, (count, sum_) in sums.items()})


def fund_lines(access: Access, day: date, source: IO[bytes], fund: str) -> Iterator[FundLine]:
    """What moved in the account: income is positive, expense negative however the bill writes it."""
    sums = {"收入": [0, 0], "支出": [0, 0]}
    with _table(source, _FUND) as table:
        for row in table.rows(access, day, _FUND_COLUMNS):
            income, expense = _fen(row["收入金额"] or "0", table), abs(_fen(row["支出金额"] or "0", table))
            if income < 0 or bool(income) == bool(expense):
                raise BillInvalid("neither an income nor an expense", line=table.at)
            sums["收入" if income else "支出"][0] += 1
            sums["收入" if income else "支出"][1] += income + expense
            movement = _MOVEMENTS.get(row["业务类型"], Movement.OTHER)
            if movement is Movement.FEE and income:
                movement = Movement.FEE_RETURNED
            yield FundLine(
                n=table.count,
                fund=fund,
                flow_id=table.numbered(row["账务流水号"]),
                transaction_id=row["业务流水号"],
                number=row["商户订单号"],
                movement=movement,
                amount=income - expense,
                balance=_fen(row["账户余额"], table),
                at=_at(row["发生时间"], table),
                words=" ".join(filter(None, (row["业务类型"], row.get("备注", "")))),
            )
        table.check({name: (count, sum_) for name, (count, sum_) in sums.items()}, unsigned=True)


@dataclass
class _Table:
    """One CSV as it is read; ``at`` is the line in it, ``count`` how many rows there were."""

    text: io.TextIOWrapper
    title: str
    at: int = 0
    count: int = 0

    def rows(self, access: Access, day: date, needed: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
        """By column name, without its unit; everything before and between the marks is checked."""
        self._head(access, day)
        names = [_UNIT.sub("", name.strip()) for name in next(csv.reader([self._line()]), [])]
        if missing := [name for name in needed if name not in names]:
            raise BillInvalid(f"no column {missing[0]}", line=self.at)
        while not (line := self._line()).startswith("#"):
            values = [value.strip() for value in next(csv.reader([line]), [])]
            if len(values) != len(names):
                raise BillInvalid(f"a row of {len(values)} values under {len(names)} names", line=self.at)
            self.count += 1
            yield dict(zip(names, values, strict=True))
        if "列表结束" not in line:
            raise BillInvalid("the table has no end", line=self.at)

    def check(self, sums: Mapping[str, tuple[int, int]], *, unsigned: bool = False) -> None:
        """The bill's own totals, which must be there and be those of its rows."""
        told = {}
        while line := self._read():
            if found := _TOTAL.match(line):
                amount = _fen(found[3], self)
                told[found[1]] = (int(found[2]), abs(amount) if unsigned else amount)
        for name, sum_ in sums.items():
            if told.get(name) != sum_:
                raise BillInvalid(f"{name}合计 is not the sum of its rows", line=self.at)

    def _head(self, access: Access, day: date) -> None:
        _title, *head = (self._line() for _ in range(4))
        account, period = _ACCOUNT.match(head[0]), _PERIOD.match(head[1])
        if not account or account[1].removesuffix(_CURRENCY_ACCOUNT) != access.account.payee:
            raise BillInvalid("the bill of another account", line=2)
        wanted = (f"{day:%Y年%m月%d日}", f"{day + timedelta(days=1):%Y年%m月%d日}")
        if not period or period.groups() != wanted:
            raise BillInvalid("the bill of another day", line=3)
        if not head[2].startswith("#---"):
            raise BillInvalid("not the table that it says it is", line=4)

    def numbered(self, number: str) -> str:
        """What the channel's own number of a row is."""
        if not number:
            raise BillInvalid("a line without a number", line=self.at)
        return number

    def _line(self) -> str:
        line = self._read()
        if not line:
            raise BillInvalid("the bill ends too early", line=self.at)
        return line.rstrip("\r\n")

    def _read(self) -> str:
        """One line with its end, nothing behind the last one. No line is read further than any is long."""
        self.at += 1
        line = self.text.readline(_LINE_LIMIT)
        if len(line) == _LINE_LIMIT:
            raise BillInvalid("a line without end", line=self.at)
        if "\0" in line:
            raise BillInvalid("not text", line=self.at)
        return line


@contextmanager
def _table(source: IO[bytes], title: str) -> Iterator[_Table]:
    """The one table of this title. Raises BillInvalid for whatever is not a zip with it."""
    try:
        with zipfile.ZipFile(source) as bundle:
            if len(bundle.infolist()) > _MOST_FILES:
                raise BillInvalid(f"{len(bundle.infolist())} files in the bill")
            named = [member for member in bundle.infolist() if _title(bundle, member) == title]
            if len(named) != 1:
                raise BillInvalid(f"{len(named)} tables of this kind in the bill")
            if named[0].file_size > LARGEST:
                raise BillInvalid("the bill is too large")
            with bundle.open(named[0]) as raw:
                yield _Table(io.TextIOWrapper(raw, encoding="gb18030", newline="\n"), title)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise BillInvalid(f"the bill cannot be unpacked: {type(error).__name__}") from error


def _title(bundle: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    with bundle.open(member) as raw:
        return raw.readline(200).decode("gb18030", "replace").strip()


def _fen(text: str, table: _Table) -> int:
    if not _AMOUNT.fullmatch(text):
        raise BillInvalid(f"not an amount: {text[:20]!r}", line=table.at)
    whole, _, part = text.lstrip("+-").partition(".")
    fen = int(whole) * 100 + int(part.ljust(2, "0"))
    return -fen if text.startswith("-") else fen


def _at(text: str, table: _Table) -> datetime:
    try:
        return instant(text)
    except Unreadable as error:
        raise BillInvalid(str(error), line=table.at) from error
