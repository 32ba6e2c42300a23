"""The lines that a trade bill is mostly made of, read many at a time.

A bill may have a million of them: what is done once for each is done by the regular expression and by ``map`` and
``zip`` over columns, a thousand lines in the time of a few.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from operator import add

from adapters.outbound.wechat import parties
from domain.channels import Access
from domain.statements import Lines

# All columns in the order in which they have been published for years, and a payment as it then looks. The groups:
# minute, second, 微信订单号, 商户订单号, 交易类型, 应结订单金额, 商品名称, 商户数据包, 手续费, 订单金额, 费率备注; and
# the whole line where it looks any different. Only three columns may hold more than ASCII. Bytes stand here for
# themselves (latin-1).
ORDER = (
    *("交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号", "用户标识", "交易类型"),
    *("交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额", "微信退款单号", "商户退款单号", "退款金额"),
    *("充值券退款金额", "退款类型", "退款状态", "商品名称", "商户数据包", "手续费", "费率", "订单金额", "申请退款金额"),
    "费率备注",
)
_ANY, _TEXT, _FEN_TEXT = r"[^,`\0\r\n\x80-\xff]{{0,512}}+", r"([^,`\0\r\n]{{0,1024}}+)", r"[0-9]{{1,12}}\.[0-9]{{2}}"
_PLAIN = ",".join(
    (
        "`{day} ((?:[01][0-9]|2[0-3]):[0-5][0-9]):([0-5][0-9])",
        f"`{_ANY},{{merchants}},`{_ANY},`([0-9A-Za-z]{{{{1,64}}}}),`([0-9A-Za-z_*|-]{{{{1,64}}}}),`{_ANY}",
        f"`([0-9A-Za-z]{{{{1,32}}}}),`SUCCESS,`{_ANY},`CNY,`({_FEN_TEXT}),`{_ANY},`0?,`0?,`0\\.00,`{_ANY},`{_ANY},`{_ANY}",
        f"`{_TEXT},`{_TEXT},`([0-9]{{{{1,12}}}}\\.[0-9]{{{{5}}}}),`{_ANY},`({_FEN_TEXT}),`0\\.00,`{_TEXT}\r*",
    )
)
_LINE = "(?:{plain}|([^\n]*))\n"
_NEVER = ",".join(["(?!)", *["()"] * 11])
# A line cut by it gives what was before it (nothing) and twelve groups, of which these may hold any words. All in one
# list: a million little tuples would keep the garbage collector at work.
_STEP, _TEXTS = 13, (7, 8, 11)

_MOST_KNOWN = 1 << 16


class _Known(dict[str, int]):
    """What a text comes to, worked out once: prices repeat, and so do seconds."""

    def __init__(self, worked_out: Callable[[str], int]) -> None:
        self._worked_out = worked_out

    def __missing__(self, text: str) -> int:
        value = self._worked_out(text)
        if len(self) < _MOST_KNOWN:
            self[text] = value
        return value


def _digits(text: str) -> int:
    """The amount in units of its last decimal."""
    return int(text.replace(".", ""))


def _seconds(text: str) -> int:
    """Of a minute (HH:MM) since midnight, of a second (SS) since the minute."""
    hour, _, minute = text.rpartition(":")
    return int(hour) * 3_600 + int(minute) * 60 if hour else int(minute)


@dataclass
class PlainPayments:
    """Reads in one step the lines that a bill is mostly made of: a payment of this merchant on this day in renminbi
    without a refund, every amount with its usual decimals. What looks any different is not for it, and is read by
    itself; what it takes would be read just so there. Nothing is for it in a bill with unusual columns.

    Sums are in fen, ``fee`` in hundred-thousandths of a yuan.
    """

    access: Access
    day: date
    usual: bool
    count: int = 0
    received: int = 0
    total: int = 0
    fee: int = 0

    def __post_init__(self) -> None:
        self._prices, self._fees, self._seconds = _Known(_digits), _Known(_digits), _Known(_seconds)
        sub_merchant = parties.sub_merchant(self.access)
        if sub_merchant is None:
            merchants = f"`{re.escape(self.access.account.payee)},`0?"
        else:
            merchants = f"`{re.escape(str(self.access.credential.provider))},`{re.escape(sub_merchant)}"
        plain = _PLAIN.format(day=self.day, merchants=merchants)
        self._none = re.compile(_LINE.format(plain=_NEVER)).split
        self._cut = re.compile(_LINE.format(plain=plain)).split if self.usual else self._none

    def read(self, n: int, block: bytes) -> tuple[Lines, Sequence[tuple[int, bytes]]]:
        """What is for us of the lines from the n-th on, each with its end; and the places and texts of the others."""
        text = block.decode("latin-1")
        pieces = self._cut(text)
        try:
            for group in _TEXTS:
                "\n".join(filter(None, pieces[group::_STEP])).encode("latin-1").decode()
        except UnicodeDecodeError:
            pieces = self._none(text)
        *columns, others = (pieces[group::_STEP] for group in range(1, _STEP))
        gaps = [(at, other.encode("latin-1")) for at, other in enumerate(others) if other is not None]
        places = list(range(n, n + len(others)))
        for at, _ in reversed(gaps):
            del places[at]
            for column in columns:
                del column[at]
        minutes, seconds, ids, numbers, methods, settled, _, _, fees, totals, _ = columns
        received, total = (list(map(self._prices.__getitem__, prices)) for prices in (settled, totals))
        charged = list(map(self._fees.__getitem__, fees))
        self.count += len(places)
        self.received += sum(received)
        self.total += sum(total)
        self.fee += sum(charged)
        lines = Lines(
            day=self.day,
            others=[],
            n=places,
            numbers=numbers,
            transaction_ids=ids,
            totals=total,
            received=received,
            fees=[(units + 500) // 1_000 for units in charged],
            seconds=list(map(add, map(self._seconds.__getitem__, minutes), map(self._seconds.__getitem__, seconds))),
            methods=methods,
        )
        return lines, gaps
