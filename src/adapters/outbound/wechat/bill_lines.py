"""Reading WeChat Pay's bills: CSV in UTF-8, each value behind a backtick, and a summary that has to fit.

https://pay.weixin.qq.com/doc/v3/merchant/4013071238 (交易账单), 4013071243 (资金账单). Amounts are in yuan.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import IO

from adapters.outbound.wechat import parties
from adapters.outbound.wechat.bill_rows import FEN, YUAN, BillRows, Row, compare, units
from adapters.outbound.wechat.plain_payments import ORDER, PlainPayments
from domain.channels import Access
from domain.errors import BillInvalid
from domain.money import Money
from domain.numbers import is_ours
from domain.statements import FundLine, Line, LineKind, Lines, LineStatus, Movement
from domain.times import SHANGHAI, midnight

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
    *("微信退款单号", "商户退款单号", "退款金额", "退款状态", "手续费"),
)
_OF_REFUNDS = "退款成功时间"  # a column of the bill that has refunds alone (bill_type REFUND)
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


def trade_lines(access: Access, day: date, source: IO[bytes]) -> Iterator[Lines]:
    """The lines of a trade bill. Raises BillInvalid."""
    sums = dict.fromkeys(("总交易单数", *_TRADE_TOTALS), 0)
    rows = BillRows(source, _TRADE_COLUMNS, "总交易单数")
    if _OF_REFUNDS in rows.names:
        raise BillInvalid("a bill of refunds alone", line=1)
    plain = PlainPayments(access, day, usual=rows.names == list(ORDER))
    for first, block in rows.blocks():
        n, behind = first, block.split(b"\n")[:-1] if rows.in_total else []
        if not rows.in_total:
            lines, gaps = plain.read(first, block)
            others = []
            for at, text in gaps:
                row = rows.row(first + at, text)
                if row is None:
                    n, behind = first + at + 1, block.split(b"\n")[at + 1 : -1]
                    break
                _add(sums, first + at, row)
                _check_parties(access, first + at, row)
                others.append(_trade_line(first + at, day, row))
            if found := replace(lines, others=others):
                yield found
        if behind:
            row = rows.row(n, behind[0])
            assert row is not None  # the summary has its names already
            rows.end(n, behind[1:])
            compare(n, row, _all(sums, plain))
            return


def _add(sums: dict[str, int], n: int, row: Row) -> None:
    sums["总交易单数"] += YUAN
    for total, column in _TRADE_TOTALS.items():
        sums[total] += units(n, row, column)


def _all(sums: dict[str, int], plain: PlainPayments) -> dict[str, int]:
    """With what the plain payments come to."""
    plainly = {
        "总交易单数": plain.count * YUAN,
        "应结订单总金额": plain.received * FEN,
        "订单总金额": plain.total * FEN,
        "手续费总金额": plain.fee,
    }
    return {name: units + plainly.get(name, 0) for name, units in sums.items()}


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
        fee=_minor(units(n, row, "手续费")),
        status=status,
        at=_time(n, day, row["交易时间"]),
        method=row["交易类型"],
    )


def fund_lines(day: date, source: IO[bytes], fund: str) -> Iterator[FundLine]:
    """The lines of a fund bill. Raises BillInvalid."""
    sums = dict.fromkeys(("资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额"), 0)
    rows = BillRows(source, _FUND_COLUMNS, "资金流水总笔数")
    for n, row in rows:
        if rows.in_total:
            compare(n, row, sums)
            return
        direction, amount = row["收支类型"], units(n, row, "收支金额")
        if direction not in ("收入", "支出") or amount < 0:
            raise BillInvalid("neither in nor out", line=n)
        for name, step in (("资金流水总笔数", YUAN), (f"{direction}笔数", YUAN), (f"{direction}金额", amount)):
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
            balance=_minor(units(n, row, "账户结余")),
            at=_time(n, day, row["记账时间"]),
            words=f"{row['业务名称']} {row['业务类型']} {row['备注']}"[:200],
        )


def _check_parties(access: Access, n: int, row: Row) -> None:
    sub_merchant = parties.sub_merchant(access)
    found = (row["商户号"], row["特约商户号"])
    direct = sub_merchant is None and found[0] == access.account.payee and found[1] in ("", "0")
    if not direct and found != (access.credential.provider, sub_merchant):
        raise BillInvalid("of another merchant", line=n)


def _money(n: int, row: Row, name: str) -> Money:
    amount = units(n, row, name)
    if amount < 0 or amount % FEN:
        raise BillInvalid(f"{name} is not an amount in fen", line=n)
    return Money(amount // FEN)


def _minor(amount: int) -> int:
    """In fen, half away from zero. Fees have five decimals."""
    fen = (abs(amount) + FEN // 2) // FEN
    return -fen if amount < 0 else fen


def _time(n: int, day: date, text: str) -> datetime:
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI)
    except ValueError as error:
        raise BillInvalid("no time", line=n) from error
    start = midnight(day)
    if not start - _SLACK <= at < start + timedelta(days=1) + _SLACK:
        raise BillInvalid("of another day", line=n)
    return at
