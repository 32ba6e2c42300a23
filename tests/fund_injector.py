"""Plants differences in a published WeChat Pay fund bill: edits bytes, knows its format and nothing of ours.

After each change the balances follow the amounts again and the bill's own summary fits, so that only a comparison with
the trade bill, the day before or somebody's books can tell.
"""

import random
from dataclasses import dataclass, field
from decimal import Decimal

BUSINESS, FLOW, NAME, TYPE, DIRECTION, AMOUNT, BALANCE, VOUCHER = 1, 2, 3, 4, 5, 6, 7, 10
IN, OUT = "收入", "支出"
HEADER = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,"
    "业务凭证号"
)
SUMMARY = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"

FAULTS = ("lost", "amount", "twice", "stranger", "unknown type")


@dataclass
class FundBill:
    """``rows`` are the values of each line in the order of time; ``planted`` what was done, as (kind, number)."""

    rows: list[list[str]]
    opening: Decimal = Decimal(0)
    planted: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def read(cls, content: bytes) -> "FundBill":
        _, *lines, _, _ = content.decode().rstrip("\r\n").split("\r\n")
        rows = [line[1:].split(",`") for line in lines]
        return cls(rows, Decimal(rows[0][BALANCE]) - moved(rows[0]) if rows else Decimal(0))

    def written(self) -> bytes:
        balance = self.opening
        lines = [HEADER]
        for row in self.rows:
            balance += moved(row)
            row[BALANCE] = f"{balance:.2f}"
            lines.append(_line(row))
        total = [f"{len(self.rows)}.0"]
        for direction in (IN, OUT):
            amounts = [Decimal(row[AMOUNT]) for row in self.rows if row[DIRECTION] == direction]
            total += [f"{len(amounts)}.0", f"{sum(amounts):.2f}"]
        return "".join(f"{line}\r\n" for line in [*lines, SUMMARY, _line(total)]).encode()

    @property
    def closing(self) -> Decimal:
        return self.opening + sum(map(moved, self.rows), Decimal(0))

    def spoil(self, chance: random.Random) -> None:
        """At most one fault a business number, on some of them."""
        for business in dict.fromkeys(row[BUSINESS] for row in self.rows):
            if (fault := chance.choice((*FAULTS, *[""] * len(FAULTS)))) != "":
                self._spoil(business, fault, chance)

    def _spoil(self, business: str, fault: str, chance: random.Random) -> None:
        at = next(n for n, row in enumerate(self.rows) if row[BUSINESS] == business)
        row, flow = self.rows[at], f"88{chance.randrange(10**12):012d}"
        if fault == "lost":
            self.rows = [other for other in self.rows if other[BUSINESS] != business]
        elif fault == "amount":
            row[AMOUNT] = f"{Decimal(row[AMOUNT]) + Decimal('0.01'):.2f}"
        elif fault == "twice":
            again = list(row)
            again[FLOW] = flow
            self.rows.insert(at, again)
        else:
            stranger = [row[0], flow, flow, row[NAME], row[TYPE], row[DIRECTION], "0.07", "", "system", "", f"V{flow}"]
            if fault == "unknown type":
                stranger[NAME], stranger[TYPE] = "其他", "说不清"
            self.rows.insert(at, stranger)
            self.planted.add(("untraded", f"V{flow}"))
            return
        self.planted.add(("unmoved", row[VOUCHER]))


def moved(row: list[str]) -> Decimal:
    """Signed: what the account has more."""
    return Decimal(row[AMOUNT]) if row[DIRECTION] == IN else -Decimal(row[AMOUNT])


def _line(values: list[str]) -> str:
    return ",".join("`" + value for value in values)
