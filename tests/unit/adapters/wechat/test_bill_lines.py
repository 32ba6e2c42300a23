"""Most lines of a WeChat Pay bill are read in one step: just as they would be read column by column."""

import io
import random

import pytest

from adapters.outbound.wechat import bill_lines, bill_rows
from adapters.outbound.wechat.bill_lines import trade_lines
from domain.errors import BillInvalid
from domain.statements import Line
from tests.injector import Bill
from tests.unit.application.test_injected_bills import ACCESS, DAY, HEADER, SUMMARY


@pytest.mark.parametrize("block", range(4))
def test_what_is_read_in_one_step_is_what_is_read_column_by_column(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of every kind of look, good and bad: both ways of reading give the same lines and the same refusal."""
    for seed in range(block * 100, (block + 1) * 100):
        chance = random.Random(seed)
        bill = Bill(HEADER, [odd_row(chance, n) for n in range(chance.randint(1, 12))], SUMMARY)
        content = damaged(chance, bill.written()) if seed % 2 else bill.written()
        quick = outcome(content)
        with monkeypatch.context() as patch:
            patch.setattr(bill_lines, "ORDER", ())  # no bill looks like this, so nothing is read in one step
            assert outcome(content) == quick, f"seed {seed}"


@pytest.mark.parametrize("block", range(4))
def test_lines_are_the_same_wherever_the_file_is_cut_into_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(block * 25, (block + 1) * 25):
        chance = random.Random(seed)
        bill = Bill(HEADER, [odd_row(chance, n) for n in range(chance.randint(1, 12))], SUMMARY)
        content = damaged(chance, bill.written())
        whole = outcome(content)
        with monkeypatch.context() as patch:
            patch.setattr(bill_rows, "_BLOCK", chance.randint(1, 400))
            assert outcome(content) == whole, f"seed {seed}"


def damaged(chance: random.Random, content: bytes) -> bytes:
    """Now and then with a byte that is no UTF-8, other ends of lines, without its end, or with something behind it."""
    at = chance.randrange(len(content))
    return chance.choice(
        (
            content,
            content[:at] + b"\xff" + content[at + 1 :],
            content.replace(b"\r\n", b"\n"),
            content[:at],
            content + b"\r\n \r\n",
            content + b"`1",
            content[:at] + b"\n" + content[at:],
            content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :],
            content[:at] + chance.choice((b'"', b"`", b",", b",`", b"\t", b"\\N", b"\0", b"\x85")) + content[at:],
            content[:at] + content[content.find(b",`", at) :],
        )
    )


@pytest.mark.parametrize("n", [2, 700, 1_900])
def test_a_fault_far_behind_is_told_by_its_line(n: int) -> None:
    rows = [odd_row(random.Random(at), at, odd=0) for at in range(2_000)]
    rows[n - 2][9] = "LOST"
    content = Bill(HEADER, rows, SUMMARY).written()
    assert len(content) > bill_rows._BLOCK
    assert outcome(content) == ([], f"line {n}: unknown state 'LOST'")


@pytest.mark.parametrize("words", ["wx1", "咖啡", "啡", "数据", "备注"])
def test_a_byte_that_is_no_utf8_is_told_by_its_line(words: str) -> None:
    rows = [odd_row(random.Random(at), at, odd=0) for at in range(9)]
    rows[4][21], rows[4][26] = "数据", "备注"
    content = Bill(HEADER, rows, SUMMARY).written()
    assert (len(outcome(content)[0]), outcome(content)[1]) == (9, "")
    broken = content.split(b"\r\n")
    assert words.encode() in broken[5]
    broken[5] = broken[5].replace(words.encode(), words.encode()[1:] + b"\xff")
    assert outcome(b"\r\n".join(broken)) == ([], "line 6: not UTF-8")


@pytest.mark.parametrize("size", [64 << 10, 1 << 20])
def test_a_line_without_end_is_refused_and_not_kept_in_memory(size: int) -> None:
    rows = [odd_row(random.Random(at), at, odd=0) for at in range(4)]
    rows[2][20] = "x" * size
    assert outcome(Bill(HEADER, rows, SUMMARY).written()) == ([], "line 4: a line without end")


def test_a_payment_in_the_place_of_the_summary_is_no_payment() -> None:
    content = Bill(HEADER, [odd_row(random.Random(at), at, odd=0) for at in range(2)], SUMMARY).written()
    head, first, second, names, totals, *_ = content.split(b"\r\n")
    assert outcome(b"\r\n".join([head, first, names, second, totals, b""])) == ([], "line 4: 27 values for 7 columns")


def outcome(content: bytes) -> tuple[list[Line], str]:
    """All lines, or why there are none."""
    lines: list[Line] = []
    try:
        for some in trade_lines(ACCESS, DAY, io.BytesIO(content)):
            lines.extend(some)
    except BillInvalid as error:
        return [], str(error)
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


def odd_row(chance: random.Random, n: int, *, odd: float = 0.3) -> list[str]:
    amount = f"{chance.randint(0, 99)}.{chance.randint(0, 99):02d}"
    row = [
        f"2026-11-20 09:00:{n % 60:02d}", "wx1", "1900000001", "0", "", f"42000{n:08d}", f"PTY{n}", "o1", "NATIVE",
        "SUCCESS", "OTHERS", "CNY", amount, "0.00", "", "", "0.00", "0.00", "", "", "咖啡", "", "0.00380", "0.38%",
        amount, "0.00", "",
    ]  # fmt: skip
    if chance.random() < odd:
        column = chance.choice(list(ODD))
        row[column] = chance.choice(ODD[column])
    return row
