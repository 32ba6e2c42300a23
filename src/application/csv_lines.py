"""CSV as spreadsheets read it: UTF-8 with a mark, no cell that would be a formula, no number that would be rounded."""

from collections.abc import Iterable
from datetime import datetime

from domain.times import SHANGHAI

BOM = "\ufeff"  # without it, spreadsheets read Chinese as something else
# A cell that begins so is a formula to a spreadsheet (OWASP, CSV Injection); an apostrophe makes it text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_LONGEST_NUMBER = 11  # digits; a spreadsheet rounds longer ones


def line(cells: Iterable[str]) -> str:
    return ",".join(map(_quoted, cells)) + "\r\n"


def amount(minor: int | None) -> str:
    """In yuan, with two decimals."""
    if minor is None:
        return ""
    sign, minor = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{minor // 100}.{minor % 100:02d}"


def time(at: datetime | None) -> str:
    """Of Shanghai."""
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def text(value: str) -> str:
    return number(safe(value))


def safe(value: str) -> str:
    value = value.replace("\x00", "")
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value


def number(value: str) -> str:
    # A tab behind it, as in Alipay's own bills: it stays text, and no digit is lost.
    return f"{value}\t" if len(value) > _LONGEST_NUMBER and value.lstrip("-").isdigit() else value


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in '",\r\n') else cell
