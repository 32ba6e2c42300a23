"""The rows of a WeChat Pay bill: lines of UTF-8, each value behind a backtick, the summary last."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from domain.errors import BillInvalid

_LINE_LIMIT = 64 * 1024
_BLOCK = 256 * 1024
_UNIT = re.compile(r"[(（].*[)）]$")
_AMOUNT = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,5}))?")
# A few merchants' bills still have the form of before 免充值券 (交易账单详细说明, 注意事项): other names, and what was
# settled and what was ordered are one column.
_FORMERLY = {
    "子商户号": "特约商户号",
    "总金额": "应结订单金额",
    "总交易额": "应结订单总金额",
    "总退款金额": "退款总金额",
}
_ONE_WITH = {
    "订单金额": "应结订单金额",
    "申请退款金额": "退款金额",
    "订单总金额": "应结订单总金额",
    "申请退款总金额": "退款总金额",
}
YUAN, FEN = 100_000, 1_000  # amounts are added up in the unit of their last decimal

Row = Mapping[str, str]


class BillRows:
    """``in_total`` once the summary has begun. A file that ends without one is torn."""

    def __init__(self, source: IO[bytes], columns: tuple[str, ...], total: str) -> None:
        self._source, self._total, self._rest = source, total, b""
        first = source.readline(_LINE_LIMIT)
        self.names, self.in_total = _header(1, _text(1, first)), False
        if not set(columns) <= set(self.names):
            raise BillInvalid("not a bill of this kind", line=1)

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Row by row, the summary last."""
        for first, block in self.blocks():
            lines = block.split(b"\n")[:-1]
            for at, line in enumerate(lines):
                row = self.row(first + at, line)
                if row is None:
                    continue
                if self.in_total:
                    self.end(first + at, lines[at + 1 :])
                yield first + at, row
                if self.in_total:
                    return

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """The lines behind the first, many at a time, each with its end; and the number of the first of them."""
        n = 2
        while piece := self._source.read(_BLOCK):
            block, newline, self._rest = (self._rest + piece).rpartition(b"\n")
            if newline:
                yield n, block + newline
                n += block.count(newline) + 1
            if len(self._rest) >= _LINE_LIMIT:
                raise BillInvalid("a line without end", line=n)
        if last := self._rest:
            self._rest = b""
            yield n, last + b"\n"
            n += 1
        raise BillInvalid("the file ends before its summary", line=n - 1)

    def row(self, n: int, line: bytes) -> Row | None:
        """By the columns' names. None for the names of the summary, which are those of the rows from then on."""
        text = _text(n, line).rstrip("\r")
        if not text.startswith("`"):
            self.names = _header(n, text)
            if self.in_total or self.names[0] != self._total:
                raise BillInvalid("neither a line nor the summary", line=n)
            self.in_total = True
            return None
        if "\0" in text:
            raise BillInvalid("not text", line=n)
        values = text[1:].split(",`")
        if len(values) != len(self.names):
            raise BillInvalid(f"{len(values)} values for {len(self.names)} columns", line=n)
        row = dict(zip(self.names, map(str.strip, values), strict=True))
        return {name: row[other] for name, other in _ONE_WITH.items() if other in row} | row

    def end(self, n: int, lines: Sequence[bytes]) -> None:
        """The summary stands at n, and nothing may follow it."""
        if any(line.strip() for line in lines) or self._rest.strip() or self._source.read(_LINE_LIMIT).strip():
            raise BillInvalid("something after the summary", line=n + 1)


def _text(n: int, line: bytes) -> str:
    if len(line) >= _LINE_LIMIT - 1:
        raise BillInvalid("a line without end", line=n)
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise BillInvalid("not UTF-8", line=n) from error


def _header(n: int, line: str) -> list[str]:
    names = [_UNIT.sub("", name.strip()) for name in line.removeprefix("\ufeff").split(",")]
    names = [_FORMERLY.get(name, name) for name in names]
    if len(set(names)) != len(names):
        raise BillInvalid("a column stands there twice", line=n)
    return names


def compare(n: int, row: Row, sums: Mapping[str, int]) -> None:
    for name, wanted in sums.items():
        if name not in row or units(n, row, name) != wanted:
            raise BillInvalid(f"{name} does not fit", line=n)


def units(n: int, row: Row, name: str) -> int:
    """An amount (or a count) in hundred-thousandths."""
    found = _AMOUNT.fullmatch(row[name])
    if found is None:
        raise BillInvalid(f"{name} is no amount", line=n)
    sign, whole, part = found.groups("")
    amount = int(whole) * YUAN + int(part.ljust(5, "0"))
    return -amount if sign else amount
