"""The lines that a trade bill is mostly made of, read many at a time.

A bill may have a million of them: what is done once for each is done by the regular expression and by ``map`` and
``zip`` over columns, a hundred lines in the time of a few.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import repeat
from typing import TypeVar

from adapters.outbound.wechat import parties
from domain.channels import Access
from domain.money import Money
from domain.statements import Line, LineKind, LineStatus
from domain.times import SHANGHAI

T = TypeVar("T")

# All columns in the order in which they have been published for years, and a payment as it then looks. The groups:
# time, 微信订单号, 商户订单号, 交易类型, 应结订单金额, 手续费, 订单金额.
ORDER = (
    *("交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号", "用户标识", "交易类型"),
    *("交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额", "微信退款单号", "商户退款单号", "退款金额"),
    *("充值券退款金额", "退款类型", "退款状态", "商品名称", "商户数据包", "手续费", "费率", "订单金额", "申请退款金额"),
    "费率备注",
)
_ANY, _FEN_TEXT = r"[^,`\0\r\n]*+", r"[0-9]{{1,12}}\.[0-9]{{2}}"
_PLAIN = ",".join(
    (
        "`{day} ((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])",
        f"`{_ANY},{{merchants}},`{_ANY},`([0-9A-Za-z]+),`([0-9A-Za-z_*|-]+),`{_ANY},`([0-9A-Za-z]+),`SUCCESS,`{_ANY}",
        f"`CNY,`({_FEN_TEXT}),`{_ANY},`0?,`0?,`0\\.00,`{_ANY},`{_ANY},`{_ANY},`{_ANY},`{_ANY}",
        f"`([0-9]{{{{1,12}}}}\\.[0-9]{{{{5}}}}),`{_ANY},`({_FEN_TEXT}),`0\\.00,`{_ANY}\r*",
    )
)


_MOST_KNOWN = 1 << 16


class _Known(dict[str, T]):
    """What is made of a text, once: prices repeat."""

    def __init__(self, made: Callable[[str], T]) -> None:
        self._made = made

    def __missing__(self, text: str) -> T:
        value = self._made(text)
        if len(self) < _MOST_KNOWN:
            self[text] = value
        return value


def _digits(text: str) -> int:
    """The amount in units of its last decimal."""
    return int(text.replace(".", ""))


def _price(text: str) -> Money:
    return Money(_digits(text))


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

    def __post_init__(self) -> None:
        self._midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=SHANGHAI)
        self._prices, self._fees, self._times = _Known(_price), _Known(_digits), _Known(self._time)
        sub_merchant = parties.sub_merchant(self.access)
        if sub_merchant is None:
            merchants = f"`{re.escape(self.access.account.payee)},`0?"
        else:
            merchants = f"`{re.escape(str(self.access.credential.provider))},`{re.escape(sub_merchant)}"
        self._match = re.compile(_PLAIN.format(day=self.day, merchants=merchants)).fullmatch

    def read(self, n: int, texts: Sequence[str]) -> Iterator[Sequence[Line] | int]:
        """The lines from the n-th on, as many as follow each other at a time; and the place in ``texts`` of each that
        is not for us, in its turn."""
        found, at = list(map(self._match, texts)), 0
        while at < len(found):
            try:
                other = found.index(None, at)
            except ValueError:
                other = len(found)
            if other > at:
                yield self._lines(n + at, [match.groups() for match in found[at:other] if match])
            if other < len(found):
                yield other
            at = other + 1

    def _lines(self, n: int, rows: Sequence[tuple[str, ...]]) -> Sequence[Line]:
        times, ids, numbers, methods, settled, fees, totals = zip(*rows, strict=True)
        price = self._prices.__getitem__
        received, total = list(map(price, settled)), list(map(price, totals))
        charged = list(map(self._fees.__getitem__, fees))
        self.count += len(rows)
        self.received += sum([price.minor for price in received])
        self.total += sum([price.minor for price in total])
        self.fee += sum(charged)
        columns = (
            range(n, n + len(rows)),
            repeat(self.day),
            repeat(LineKind.PAYMENT),
            numbers,
            numbers,
            ids,
            total,
            received,
            [(units + 500) // 1_000 for units in charged],
            repeat(LineStatus.SUCCEEDED),
            map(self._times.__getitem__, times),
            methods,
        )
        return list(map(Line._make, zip(*columns, strict=False)))

    def _time(self, text: str) -> datetime:
        return self._midnight.replace(hour=int(text[:2]), minute=int(text[3:5]), second=int(text[6:]))
