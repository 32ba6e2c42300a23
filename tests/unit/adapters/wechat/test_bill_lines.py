"""Most lines of a WeChat Pay bill are read in one step: just as they would be read column by column."""

import io
import random

import pytest

from adapters.outbound.wechat import bill_lines
from adapters.outbound.wechat.bill_lines import trade_lines
from domain.errors import BillInvalid
from domain.statements import Line
from tests.injector import Bill
from tests.unit.application.test_injected_bills import ACCESS, DAY, HEADER, SUMMARY


@pytest.mark.parametrize("block", range(4))
def test_what_is_read_in_one_step_is_what_is_read_column_by_column(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of every kind of look, good and bad: both ways of reading give the same lines and the same refusal."""
    for seed in range(block * 50, (block + 1) * 50):
        chance = random.Random(seed)
        bill = Bill(HEADER, [odd_row(chance, n) for n in range(chance.randint(1, 12))], SUMMARY)
        content = bill.written()
        quick = outcome(content)
        with monkeypatch.context() as patch:
            patch.setattr(bill_lines, "_ORDER", ())  # no bill looks like this, so nothing is read in one step
            assert outcome(content) == quick, f"seed {seed}"


def outcome(content: bytes) -> tuple[list[Line], str]:
    lines: list[Line] = []
    try:
        lines.extend(trade_lines(ACCESS, DAY, io.BytesIO(content)))
    except BillInvalid as error:
        return lines, str(error)
    return lines, ""


# What a column of a usual payment may hold instead.
ODD = {
    0: (
        "2026-11-21 00:00:01",
        "2026-11-20 24:00:00",
        "2026-11-20 9:00:00",
        "2026-11-20 23:59:60",
        "2026-10-20 09:00:00",
    ),
    2: ("1900000002",),
    3: ("1900000003", ""),
    5: ("", "4200 1", "４２"),
    6: ("", "SHOP-1", "A\\B", "PTY\t1", " PTY1 "),
    9: ("REVOKED", "CLOSED"),
    11: ("USD",),
    12: ("1.1", "1", "-1.00", "1.001", "１.00", "9999999999999.00", "0.00"),
    14: ("0",),
    16: ("1.00",),
    22: ("0.380001", "0.38", "-0.00500", "0.00500", "0.00499", "9.99999"),
    24: ("2.00", "1.5"),
    25: ("1.00", "0"),
    20: ("咖啡, 大杯", "a`b", "\0"),
}


def odd_row(chance: random.Random, n: int) -> list[str]:
    amount = f"{chance.randint(0, 99)}.{chance.randint(0, 99):02d}"
    row = [
        f"2026-11-20 09:00:{n:02d}", "wx1", "1900000001", "0", "", f"42000{n:08d}", f"PTY{n}", "o1", "NATIVE",
        "SUCCESS", "OTHERS", "CNY", amount, "0.00", "", "", "0.00", "0.00", "", "", "咖啡", "", "0.00380", "0.38%",
        amount, "0.00", "",
    ]  # fmt: skip
    if chance.random() < 0.3:
        column = chance.choice(list(ODD))
        row[column] = chance.choice(ODD[column])
    return row
