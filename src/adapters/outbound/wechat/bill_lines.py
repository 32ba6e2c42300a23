"""Reading WeChat Pay's bills: CSV in UTF-8, each value behind a backtick, and a summary that has to fit.

https://pay.weixin.qq.com/doc/v3/merchant/4013071238 (交易账单), 4013071243 (资金账单). Amounts are in yuan.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import IO

from adapters.outbound.wechat import parties
from domain.channels import Access
from domain.errors import BillInvalid
from domain.money import Money
from domain.numbers import is_ours
from domain.statements import FundLine, Line, LineKind, LineStatus, Movement
from domain.times import SHANGHAI

_LINE_LIMIT = 64 * 1024
_UNIT = re.compile(r"[(（].*[)）]$")
_AMOUNT = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,5}))?")
_YUAN, _FEN = 100_000, 1_000  # amounts are added up in the unit of their last decimal
# Midnight is not the same moment for everything that is on a bill.
_SLACK = timedelta(hours=1)

_TRADE_COLUMNS = (
    *(
        "交易时间",
        "商户号",
        "特约商户号",
        "微信订单号",
        "商户订单号",
        "交易类型",
        "交易状态",
        "货币种类",
        "应结订单金额",
    ),
    *("微信退款单号", "商户退款单号", "退款金额", "退款状态", "手续费", "订单金额", "申请退款金额"),
)
_TRADE_TOTALS = {
    "应结订单总金额": "应结订单金额",
    "退款总金额": "退款金额",
    "手续费总金额": "手续费",
    "订单总金额": "订单金额",
    "申请退款总金额": "申请退款金额",
}
_FUND_COLUMNS = (
    *("记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型", "收支金额", "账户结余"),
    *("备注", "业务凭证号"),
)
# By the business's type, else its name, and the direction. What is not here is for a person.
_MOVEMENTS = {
    ("交易", "收入"): Movement.PAYMENT,
    ("退款", "支出"): Movement.REFUND,
    ("扣除交易手续费", "支出"): Movement.FEE,
    ("交易手续费", "支出"): Movement.FEE,
    ("退还交易手续费", "收入"): Movement.FEE_RETURNED,
    ("交易手续费", "收入"): Movement.FEE_RETURNED,
    ("退款关闭", "收入"): Movement.REFUND_CLOSED,
    ("退款退回", "收入"): Movement.REFUND_CLOSED,
    ("提现", "支出"): Movement.PAYOUT,
    ("充值", "收入"): Movement.TOP_UP,
    ("分账", "支出"): Movement.SHARED,
    ("分账", "收入"): Movement.SHARED,
    ("分账回退", "收入"): Movement.SHARE_RETURNED,
    ("分账回退", "支出"): Movement.SHARE_RETURNED,
    ("商家转账", "支出"): Movement.TRANSFER,
    ("商家转账退回", "收入"): Movement.TRANSFER,
    ("企业付款", "支出"): Movement.TRANSFER,
}

# All columns in the order in which they have been published for years, and a payment as it then looks. The groups:
# time, 微信订单号, 商户订单号, 交易类型, 应结订单金额, 手续费, 订单金额.
_ORDER = (
    *("交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号", "用户标识", "交易类型"),
    *("交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额", "微信退款单号", "商户退款单号", "退款金额"),
    *("充值券退款金额", "退款类型", "退款状态", "商品名称", "商户数据包", "手续费", "费率", "订单金额", "申请退款金额"),
    "费率备注",
)
_ANY, _FEN_TEXT = r"[^,`\0]*+", r"[0-9]{{1,12}}\.[0-9]{{2}}"
_PLAIN = ",".join(
    (
        "`{day} ((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])",
        f"`{_ANY},{{merchants}},`{_ANY},`([0-9A-Za-z]+),`([0-9A-Za-z_*|-]+),`{_ANY},`([0-9A-Za-z]+),`SUCCESS,`{_ANY}",
        f"`CNY,`({_FEN_TEXT}),`{_ANY},`0?,`0?,`0\\.00,`{_ANY},`{_ANY},`{_ANY},`{_ANY},`{_ANY}",
        f"`([0-9]{{{{1,12}}}}\\.[0-9]{{{{5}}}}),`{_ANY},`({_FEN_TEXT}),`0\\.00,`{_ANY}",
    )
)

_usual = lru_cache(maxsize=1 << 16)(Money)  # prices repeat

Row = Mapping[str, str]


def trade_lines(access: Access, day: date, source: IO[bytes]) -> Iterator[Line]:
    """The lines of a trade bill. Raises BillInvalid."""
    sums = dict.fromkeys(("总交易单数", *_TRADE_TOTALS), 0)
    rows = _Rows(source, _TRADE_COLUMNS, "总交易单数")
    plain = PlainPayments(access, day) if rows.names == list(_ORDER) else None
    for n, text in rows:
        if plain and not rows.in_total and (line := plain.read(n, text)):
            yield line
            continue
        row = rows.row(n, text)
        if rows.in_total:
            _add(sums, plain)
            _compare(n, row, sums)
            return
        sums["总交易单数"] += _YUAN
        for total, column in _TRADE_TOTALS.items():
            sums[total] += _units(n, row, column)
        _check_parties(access, n, row)
        yield _trade_line(n, day, row)


def _add(sums: dict[str, int], plain: "PlainPayments | None") -> None:
    """What the plain payments come to."""
    if plain:
        sums["总交易单数"] += plain.count * _YUAN
        sums["应结订单总金额"] += plain.received * _FEN
        sums["订单总金额"] += plain.total * _FEN
        sums["手续费总金额"] += plain.fee


@dataclass
class PlainPayments:
    """Reads in one step the lines that a bill is mostly made of: a payment of this merchant on this day in renminbi
    without a refund, every amount with its usual decimals. What looks any different is not for it, and is read column
    by column; what it takes would be read just so there. Sums are in fen, ``fee`` in hundred-thousandths of a yuan.
    """

    access: Access
    day: date
    count: int = 0
    received: int = 0
    total: int = 0
    fee: int = 0
    _times: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sub_merchant = parties.sub_merchant(self.access)
        if sub_merchant is None:
            merchants = f"`{re.escape(self.access.account.payee)},`0?"
        else:
            merchants = f"`{re.escape(str(self.access.credential.provider))},`{re.escape(sub_merchant)}"
        self._match = re.compile(_PLAIN.format(day=self.day, merchants=merchants)).fullmatch

    def read(self, n: int, text: str) -> Line | None:
        found = self._match(text)
        if found is None:
            return None
        at, id_, number, method, received, fee, total = found.groups()
        fen = int(received.replace(".", ""))
        total_fen = fen if total == received else int(total.replace(".", ""))
        charged = int(fee.replace(".", ""))
        self.count += 1
        self.received += fen
        self.total += total_fen
        self.fee += charged
        when = self._times.get(at)
        if when is None:
            when = self._times[at] = datetime.fromisoformat(f"{self.day} {at}").replace(tzinfo=SHANGHAI)
        return Line(
            n,
            self.day,
            LineKind.PAYMENT,
            number,
            number,
            id_,
            _usual(total_fen),
            _usual(fen),
            (charged + 500) // 1_000,
            LineStatus.SUCCEEDED,
            when,
            method,
        )


def _trade_line(n: int, day: date, row: Row) -> Line:
    state, number = row["交易状态"], row["商户订单号"]
    if state == "SUCCESS":
        kind, status, own, id_ = LineKind.PAYMENT, LineStatus.SUCCEEDED, number, row["微信订单号"]
        total, received = _money(n, row, "订单金额"), _money(n, row, "应结订单金额")
    elif state in ("REFUND", "REVOKED"):
        kind, refund_number = LineKind.REFUND, row["商户退款单号"]
        status = LineStatus.FAILED if row["退款状态"] in ("FAIL", "CHANGE") else LineStatus.SUCCEEDED
        own, id_ = refund_number if is_ours(refund_number) else "", row["微信退款单号"]
        if state == "REVOKED":
            status, own = LineStatus.REVERSED, number
            id_ = id_ if id_ not in ("", "0") else row["微信订单号"]
        total, received = _money(n, row, "申请退款金额"), _money(n, row, "退款金额")
    else:
        raise BillInvalid(f"unknown state {state[:20]!r}", line=n)
    if row["货币种类"] != "CNY":
        raise BillInvalid("another currency", line=n)
    if not number or not id_:
        raise BillInvalid("a line without a number", line=n)
    return Line(
        n=n,
        day=day,
        kind=kind,
        number=own,
        payment_number=number,
        transaction_id=id_,
        total=total,
        received=received,
        fee=_minor(_units(n, row, "手续费")),
        status=status,
        at=_time(n, day, row["交易时间"]),
        method=row["交易类型"],
    )


def fund_lines(day: date, source: IO[bytes], fund: str) -> Iterator[FundLine]:
    """The lines of a fund bill. Raises BillInvalid."""
    sums = dict.fromkeys(("资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额"), 0)
    rows = _Rows(source, _FUND_COLUMNS, "资金流水总笔数")
    for n, text in rows:
        row = rows.row(n, text)
        if rows.in_total:
            _compare(n, row, sums)
            return
        direction, amount = row["收支类型"], _units(n, row, "收支金额")
        if direction not in ("收入", "支出") or amount < 0:
            raise BillInvalid("neither in nor out", line=n)
        for name, step in (("资金流水总笔数", _YUAN), (f"{direction}笔数", _YUAN), (f"{direction}金额", amount)):
            sums[name] += step
        if not row["资金流水单号"]:
            raise BillInvalid("a line without a number", line=n)
        kinds = ((row[name], direction) for name in ("业务类型", "业务名称"))
        yield FundLine(
            n=n,
            fund=fund,
            flow_id=row["资金流水单号"],
            transaction_id=row["微信支付业务单号"],
            number=row["业务凭证号"],
            movement=next((_MOVEMENTS[kind] for kind in kinds if kind in _MOVEMENTS), Movement.OTHER),
            amount=_minor(amount if direction == "收入" else -amount),
            balance=_minor(_units(n, row, "账户结余")),
            at=_time(n, day, row["记账时间"]),
            words=f"{row['业务名称']} {row['业务类型']} {row['备注']}"[:200],
        )


class _Rows:
    """The rows of a bill as text, the summary last: ``in_total`` then. A file that ends without one is torn."""

    def __init__(self, source: IO[bytes], columns: tuple[str, ...], total: str) -> None:
        self._source, self._total = source, total
        self.names, self.in_total = _header(1, _text(1, source.readline(_LINE_LIMIT))), False
        if not set(columns) <= set(self.names):
            raise BillInvalid("not a bill of this kind", line=1)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        n, readline = 1, self._source.readline
        while raw := readline(_LINE_LIMIT):
            n += 1
            line = _text(n, raw)
            if line.startswith("`"):
                if self.in_total and readline(_LINE_LIMIT).strip():
                    raise BillInvalid("something after the summary", line=n + 1)
                yield n, line
                continue
            self.names = _header(n, line)
            if self.in_total or self.names[0] != self._total:
                raise BillInvalid("neither a line nor the summary", line=n)
            self.in_total = True
        raise BillInvalid("the file ends before its summary", line=n)

    def row(self, n: int, text: str) -> Row:
        """By the columns' names."""
        if "\0" in text:
            raise BillInvalid("not text", line=n)
        values = text[1:].split(",`")
        if len(values) != len(self.names):
            raise BillInvalid(f"{len(values)} values for {len(self.names)} columns", line=n)
        return dict(zip(self.names, (value.strip() for value in values), strict=True))


def _header(n: int, line: str) -> list[str]:
    names = [_UNIT.sub("", name.strip()) for name in line.removeprefix("\ufeff").split(",")]
    if len(set(names)) != len(names):
        raise BillInvalid("a column stands there twice", line=n)
    return names


def _text(n: int, raw: bytes) -> str:
    if len(raw) >= _LINE_LIMIT:
        raise BillInvalid("a line without end", line=n)
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BillInvalid("not UTF-8", line=n) from error


def _check_parties(access: Access, n: int, row: Row) -> None:
    sub_merchant = parties.sub_merchant(access)
    found = (row["商户号"], row["特约商户号"])
    direct = sub_merchant is None and found[0] == access.account.payee and found[1] in ("", "0")
    if not direct and found != (access.credential.provider, sub_merchant):
        raise BillInvalid("of another merchant", line=n)


def _compare(n: int, row: Row, sums: Mapping[str, int]) -> None:
    for name, wanted in sums.items():
        if name not in row or _units(n, row, name) != wanted:
            raise BillInvalid(f"{name} does not fit", line=n)


def _units(n: int, row: Row, name: str) -> int:
    """An amount (or a count) in hundred-thousandths."""
    found = _AMOUNT.fullmatch(row[name])
    if found is None:
        raise BillInvalid(f"{name} is no amount", line=n)
    sign, whole, part = found.groups("")
    units = int(whole) * _YUAN + int(part.ljust(5, "0"))
    return -units if sign else units


def _money(n: int, row: Row, name: str) -> Money:
    units = _units(n, row, name)
    if units < 0 or units % _FEN:
        raise BillInvalid(f"{name} is not an amount in fen", line=n)
    return Money(units // _FEN)


def _minor(units: int) -> int:
    """In fen, half away from zero. Fees have five decimals."""
    fen = (abs(units) + _FEN // 2) // _FEN
    return -fen if units < 0 else fen


def _time(n: int, day: date, text: str) -> datetime:
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI)
    except ValueError as error:
        raise BillInvalid("no time", line=n) from error
    start = datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
    if not start - _SLACK <= at < start + timedelta(days=1) + _SLACK:
        raise BillInvalid("of another day", line=n)
    return at
