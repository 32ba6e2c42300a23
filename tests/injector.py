"""Plants differences in a published WeChat Pay trade bill: edits bytes, knows its format and nothing of ours.

After each change the bill's own summary fits again, so that only a comparison with somebody's records can tell.
"""

import random
from dataclasses import dataclass, field
from decimal import Decimal

TRANSACTION, NUMBER, STATE, SETTLED = 5, 6, 9, 12
REFUND_ID, REFUND_NUMBER, REFUNDED, REFUND_STATE, FEE, TOTAL, ASKED = 14, 15, 16, 19, 22, 24, 25
_SUMS = (SETTLED, REFUNDED, 17, FEE, TOTAL, ASKED)

FAULTS = ("amount", "fee", "status", "missing_there", "missing_here", "duplicate", "transaction")


@dataclass
class Bill:
    """``rows`` are the values of each line; ``planted`` what was done, as (kind, number)."""

    header: str
    rows: list[list[str]]
    summary: str
    planted: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def read(cls, content: bytes) -> "Bill":
        header, *lines, summary, _ = content.decode().rstrip("\r\n").split("\r\n")
        return cls(header, [line[1:].split(",`") for line in lines], summary)

    def written(self) -> bytes:
        sums = [sum((Decimal(row[place]) for row in self.rows), Decimal(0)) for place in _SUMS]
        texts = (f"{one:.{5 if at == FEE else 2}f}" for one, at in zip(sums, _SUMS, strict=True))
        lines = [self.header, *map(_line, self.rows), self.summary, _line([str(len(self.rows)), *texts])]
        return "".join(f"{line}\r\n" for line in lines).encode()

    def spoil(self, chance: random.Random, *, most: int = 2) -> None:
        """Up to ``most`` faults a line, on some of the lines."""
        before, self.rows = self.rows, []
        for row in before:
            faults = chance.sample(FAULTS, chance.choice((0, 0, 0, *range(1, most + 1))))
            self._spoil(row, faults, chance)

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
        """Somebody's payment that nobody told of; or a refund made in the channel's console, known by its own id."""
        stranger, transaction = list(row), f"99{chance.randrange(10**12):012d}"
        if row[STATE] == "REFUND":
            stranger[REFUND_NUMBER], stranger[REFUND_ID] = f"console{transaction}", transaction
            self.planted.add(("missing_here", transaction))
        else:
            stranger[NUMBER], stranger[TRANSACTION] = f"{row[NUMBER][:-12]}{transaction[2:]}", transaction
            self.planted.add(("missing_here", stranger[NUMBER]))
        self.rows.append(stranger)


def number_of(row: list[str]) -> str:
    return row[REFUND_NUMBER] if row[STATE] == "REFUND" else row[NUMBER]


def moved_to(day: str, rows: list[list[str]]) -> list[list[str]]:
    """The same lines just after midnight of another day."""
    return [[f"{day} 00:00:0{n % 10}", *row[1:]] for n, row in enumerate(rows)]


def _change(row: list[str], fault: str) -> bool:
    """Whether this line can have that fault; a payment, say, is on the bill only when it was paid."""
    refund = row[STATE] == "REFUND"
    if fault == "amount":
        for place in (REFUNDED, ASKED) if refund else (SETTLED, TOTAL):
            row[place] = f"{Decimal(row[place]) + Decimal('0.01'):.2f}"
    elif fault == "fee":
        row[FEE] = f"{Decimal(row[FEE]) + Decimal('0.02'):.5f}"
    elif fault == "transaction":
        place = REFUND_ID if refund else TRANSACTION
        row[place] = f"77{row[place]}"
    elif fault == "status" and refund:
        row[REFUND_STATE] = "FAIL"
    else:
        return False
    return True


def _line(values: list[str]) -> str:
    return ",".join("`" + value for value in values)
