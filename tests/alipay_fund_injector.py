"""Plants differences in a published Alipay fund bill (账务明细): edits bytes, knows its format and nothing of ours.

The bill runs from the newest line to the oldest. After each change the balances follow the amounts again, except where
just that is the fault, and the totals below the table fit, so that only a comparison with the trade bill, the day
before or somebody's books can tell.
"""

import csv
import io
import random
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

FLOW, TRADE, AT, IN, OUT, BALANCE, TYPE = 0, 1, 4, 6, 7, 8, 10
TITLE, SUMMARY = "#支付宝账务明细查询", "#支付宝账务汇总查询"
OLD = (
    "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,"
    "交易渠道,业务类型,备注"
)
NEW = f"{OLD},业务描述,业务账单来源,业务基础订单号,业务订单号"
UNKNOWN = "其它"

FAULTS = ("lost", "one line lost", "amount", "twice", "turned", "retyped", "stranger", "unknown type")


@dataclass
class AlipayFundBill:
    """``head`` is everything above the rows, ``rows`` the values of each, the newest first; ``planted`` what was done:
    (kind, 业务流水号). ``opening`` is what the account held before, ``unsaid`` what moved after the oldest line without
    one of its own, ``wobble`` by how much the balance of the oldest of several lines is off."""

    head: list[str]
    rows: list[list[str]]
    opening: Decimal = Decimal(0)
    unsaid: Decimal = Decimal(0)
    wobble: Decimal = Decimal(0)
    planted: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def read(cls, content: bytes) -> "AlipayFundBill":
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            tables = [bundle.read(name).decode("gbk").split("\r\n") for name in bundle.namelist()]
        (lines,) = (table for table in tables if table[0] == TITLE)
        end = next(n for n, line in enumerate(lines) if "列表结束" in line)
        rows = [next(csv.reader([line])) for line in lines[5:end]]
        opening = Decimal(rows[-1][BALANCE]) - moved(rows[-1]) if rows else Decimal(0)
        return cls(lines[:5], rows, opening)

    def written(self) -> bytes:
        self._balance()
        file = io.BytesIO()
        names = ("20881234567890120156_20261120_账务明细.csv", "20881234567890120156_20261120_账务明细(汇总).csv")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, lines in zip(names, (self._details(), self._summary()), strict=True):
                # As Alipay has it: the name is GBK, and nothing says so.
                entry = zipfile.ZipInfo(name.encode("gbk").decode("cp437"))
                bundle.writestr(entry, "".join(f"{line}\r\n" for line in lines).encode("gbk"))
        return file.getvalue()

    @property
    def closing(self) -> Decimal:
        return self.opening + self.unsaid + sum(map(moved, self.rows), Decimal(0))

    def spoil(self, chance: random.Random) -> None:
        """At most one fault a trade, on some of them; then sometimes money that goes without a line."""
        for trade in dict.fromkeys(row[TRADE] for row in self.rows):
            if (fault := chance.choice((*FAULTS, *[""] * len(FAULTS)))) != "":
                self._spoil(trade, fault, chance)
        if len(self.rows) > 1:
            self.wobble = Decimal(chance.choice(("0", "0", "12.34")))
            self.unsaid = Decimal(chance.choice(("0", "0", "-0.50")))

    def _spoil(self, trade: str, fault: str, chance: random.Random) -> None:
        own = [n for n, row in enumerate(self.rows) if row[TRADE] == trade]
        at, id_ = chance.choice(own), trade.strip()
        row, flow = self.rows[at], f"88{chance.randrange(10**12):012d}"
        if fault in ("stranger", "unknown type"):
            stranger = [f"{flow}\t", f"{flow}\t", "\t", "\t", row[AT], "\t", "0.07", "0.00", "", *row[9:]]
            stranger[TYPE] = UNKNOWN if fault == "unknown type" else "在线支付"
            self.rows.insert(at, stranger)
            self.planted.add(("untraded", flow))
            return
        if fault == "lost":
            self.rows = [other for other in self.rows if other[TRADE] != trade]
        elif fault == "one line lost":
            del self.rows[at]
        elif fault == "twice":
            self.rows.insert(at, [f"{flow}\t", *row[1:]])
        elif fault == "turned":
            row[IN], row[OUT] = row[OUT].lstrip("-"), f"-{row[IN]}" if Decimal(row[IN]) else row[IN]
        elif fault == "retyped":
            row[TYPE] = UNKNOWN
            self.planted.add(("untraded", id_))
        else:
            place, more = (IN, "0.01") if Decimal(row[IN]) else (OUT, "-0.01")
            row[place] = f"{Decimal(row[place]) + Decimal(more):.2f}"
        self.planted.add(("unmoved", id_))

    def _balance(self) -> None:
        balance = self.opening
        for row in reversed(self.rows):
            balance += moved(row)
            row[BALANCE] = f"{balance:.2f}"
            balance += self.unsaid if row is self.rows[-1] else 0
        if self.rows and self.wobble:
            self.rows[-1][BALANCE] = f"{Decimal(self.rows[-1][BALANCE]) + self.wobble:.2f}"

    def _sums(self) -> list[tuple[int, Decimal]]:
        """Of what came in and of what went out: how many lines, and their sum."""
        sides = [[Decimal(row[place]) for row in self.rows if Decimal(row[place])] for place in (IN, OUT)]
        return [(len(side), sum(side, Decimal(0))) for side in sides]

    def _details(self) -> list[str]:
        (came, income), (went, expense) = self._sums()
        return [
            *self.head,
            *map(_line, self.rows),
            "#----------------------------------------账务明细列表结束-------------------------------------",
            f"#支出合计：{went}笔，共{expense:.2f}元",
            f"#收入合计：{came}笔，共{income:.2f}元",
            "#导出时间：[2026年11月21日 09:06:42]",
        ]

    def _summary(self) -> list[str]:
        (came, income), (went, expense) = self._sums()
        return [
            SUMMARY,
            "类型,收入笔数,收入金额（+元）,支出笔数,支出金额（-元）,总金额（元）",
            f"合计,{came},{income:.2f},{went},{expense:.2f},{income + expense:.2f}",
        ]


def moved(row: Sequence[str]) -> Decimal:
    """Signed: what the account has more."""
    return Decimal(row[IN]) + Decimal(row[OUT])


def _line(values: Sequence[str]) -> str:
    return ",".join(f'"{value}"' if "," in value else value for value in values)
