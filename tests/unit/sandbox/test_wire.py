"""Money and times as both channels write them."""

import pytest

from sandbox import wire


@pytest.mark.parametrize(("fen", "yuan"), [(1, "0.01"), (100, "1.00"), (12983, "129.83"), (0, "0.00")])
def test_fen_and_yuan_are_one_amount_in_two_spellings(fen: int, yuan: str) -> None:
    assert wire.yuan(fen) == yuan
    assert wire.fen(yuan) == fen


@pytest.mark.parametrize(("text", "fen"), [("88.8", 8880), ("3", 300), ("007", 700)])
def test_shorter_spellings_of_yuan_are_read(text: str, fen: int) -> None:
    assert wire.fen(text) == fen


@pytest.mark.parametrize("text", ["", "1.005", "-1", "1e2", "1,000.00", "１.00", " 1", "1.", ".5", "NaN"])
def test_what_is_not_plain_yuan_is_refused(text: str) -> None:
    assert wire.fen(text) is None


def test_alipay_times_are_beijing_without_an_offset() -> None:
    assert wire.beijing(0) == "1970-01-01 08:00:00"
    assert wire.beijing_moment("1970-01-01 08:00:00") == 0
    assert wire.beijing_moment("1970-01-01T08:00:00+08:00") is None


def test_wechat_times_carry_their_offset_and_are_refused_without() -> None:
    assert wire.rfc3339(0) == "1970-01-01T08:00:00+08:00"
    assert wire.rfc3339_moment("1970-01-01T00:00:00Z") == 0
    assert wire.rfc3339_moment("1970-01-01T00:00:00") is None


def test_the_end_of_a_day_is_that_of_beijing() -> None:
    assert wire.beijing(wire.end_of_day(0)) == "1970-01-01 23:59:59"
