"""Plants differences in a published Alipay trade bill (业务明细): edits bytes, knows its format and nothing of ours.

A bill is a zip of GBK tables whose names are in GBK, too: the details and the summary beside them. After each change
the totals below the details fit again, so that only a comparison with somebody's records can tell.
"""

import csv
import io
import random
import zipfile
from dataclasses import dataclass, field
from decimal import Decimal

TRANSACTION, NUMBER, KIND, FINISHED, TOTAL, RECEIVED, REFUND_NUMBER, FEE = 0, 1, 2, 5, 11, 12, 21, 22
FAULTS = ("amount", "fee", "missing_there", "missing_here", "duplicate", "transaction")
PAID, GIVEN = "交易", "退款"
TITLE = "#支付宝业务明细查询"


@dataclass
class AlipayBill:
    """``head`` is everything above the rows, ``rows`` the values of each, ``planted`` what was done: (kind, number)."""

    head: list[str]
    rows: list[list[str]]
    planted: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def read(cls, content: bytes) -> "AlipayBill":
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            tables = [bundle.read(name).decode("gbk").split("\r\n") for name in bundle.namelist()]
        (lines,) = (table for table in tables if table[0] == TITLE)
        end = next(n for n, line in enumerate(lines) if "列表结束" in line)
        return cls(lines[:5], [next(csv.reader([line])) for line in lines[5:end]])

    def written(self) -> bytes:
        file = io.BytesIO()
        names = ("20881234567890120156_20261120_业务明细.csv", "20881234567890120156_20261120_业务明细(汇总).csv")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, lines in zip(names, (self._details(), ["#支付宝业务汇总查询"]), strict=True):
                # As Alipay has it: the name is GBK, and nothing says so.
                entry = zipfile.ZipInfo(name.encode("gbk").decode("cp437"))
                bundle.writestr(entry, "".join(f"{line}\r\n" for line in lines).encode("gbk"))
        return file.getvalue()

    def spoil(self, chance: random.Random, *, most: int = 2) -> None:
        """Up to ``most`` faults a line, on some of the lines."""
        before, self.rows = self.rows, []
        for row in before:
            self._spoil(row, chance.sample(FAULTS, chance.choice((0, 0, 0, *range(1, most + 1)))), chance)

    def _details(self) -> list[str]:
        sums = {
            kind: sum((Decimal(row[RECEIVED]) for row in self.rows if row[KIND].strip() == kind), Decimal(0))
            for kind in (PAID, GIVEN)
        }
        count = {kind: sum(1 for row in self.rows if row[KIND].strip() == kind) for kind in (PAID, GIVEN)}
        return [
            *self.head,
            *(",".join(f'"{value}"' if "," in value else value for value in row) for row in self.rows),
            "#-----------------------------------------业务明细列表结束------------------------------------",
            f"#交易合计：{count[PAID]}笔，商家实收共{sums[PAID]:.2f}元，商家优惠共0.00元",
            f"#退款合计：{count[GIVEN]}笔，商家实收退款共{sums[GIVEN]:.2f}元，商家优惠退款共0.00元",
            "#导出时间：[2026年11月21日 09:06:42]",
        ]

    def _spoil(self, row: list[str], faults: list[str], chance: random.Random) -> None:
        number = number_of(row)
        if "missing_here" in faults:
            self._add_stranger(row, chance)
        if "missing_there" in faults:
            self.planted.add(("missing_there", number))
            return
        spoilt = list(row)
        for fault in faults:
            if fault == "duplicate" or _change(spoilt, fault):
                self.planted.add((fault, number))
        self.rows += [spoilt] * (2 if "duplicate" in faults else 1)

    def _add_stranger(self, row: list[str], chance: random.Random) -> None:
        """Somebody's payment that nobody told of; or a refund made in Alipay's console, under a number of its own."""
        stranger, new = list(row), f"99{chance.randrange(10**12):012d}"
        if row[KIND] == GIVEN:
            stranger[REFUND_NUMBER] = f"20261120{new}"
            self.planted.add(("missing_here", stranger[REFUND_NUMBER]))
        else:
            stranger[NUMBER], stranger[TRANSACTION] = f"{row[NUMBER].strip()[:-12]}{new[2:]}\t", f"{new}\t"
            self.planted.add(("missing_here", stranger[NUMBER].strip()))
        self.rows.append(stranger)


def number_of(row: list[str]) -> str:
    return (row[REFUND_NUMBER] if row[KIND] == GIVEN else row[NUMBER]).strip()


def _change(row: list[str], fault: str) -> bool:
    """Every line of Alipay's has succeeded: there is no state to change."""
    more = Decimal("-0.01") if row[KIND] == GIVEN else Decimal("0.01")
    if fault == "amount":
        for place in (TOTAL, RECEIVED):
            row[place] = f"{Decimal(row[place]) + more:.2f}"
    elif fault == "fee":
        row[FEE] = f"{Decimal(row[FEE]) - Decimal('0.02'):.2f}"
    elif fault == "transaction":
        row[TRANSACTION] = f"77{row[TRANSACTION]}"
    else:
        return False
    return True
