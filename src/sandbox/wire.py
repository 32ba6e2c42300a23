"""How money, times and numbers look on the wires of both channels."""

import json
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

BEIJING = timezone(timedelta(hours=8), "CST")
_YUAN = re.compile(r"(\d{1,9})(?:\.(\d{1,2}))?")


def yuan(fen: int) -> str:
    """Alipay's amounts: yuan with two decimals."""
    return f"{fen // 100}.{fen % 100:02d}"


def fen(text: str) -> int | None:
    """The amount in fen, or None for anything that is not plain yuan with at most two decimals."""
    found = _YUAN.fullmatch(text) if text.isascii() else None
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else None


def beijing(moment: float) -> str:
    """Alipay's times: Beijing, without an offset."""
    return datetime.fromtimestamp(moment, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def beijing_moment(text: str) -> float | None:
    """The moment an Alipay time names; None where the text has another form."""
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=BEIJING).timestamp()
        except ValueError:
            continue
    return None


def rfc3339(moment: float) -> str:
    """WeChat Pay's times: RFC 3339 to the second, with Beijing's offset."""
    return datetime.fromtimestamp(moment, BEIJING).isoformat(timespec="seconds")


def rfc3339_moment(text: str) -> float | None:
    """The moment an RFC 3339 time with an offset names."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def utc(moment: float) -> str:
    """Times in the control API: UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def end_of_day(moment: float) -> float:
    """The last second of the Beijing day of a moment."""
    day = datetime.fromtimestamp(moment, BEIJING)
    return day.replace(hour=23, minute=59, second=59, microsecond=0).timestamp()


def json_object(text: str | bytes, parse_float: Callable[[str], Any] = float) -> dict[str, Any] | None:
    """A JSON object that can be stored and sent on; None for anything else, however it is nested or spelled."""
    try:
        content = json.loads(text, parse_float=parse_float, parse_constant=_no_number)
        # Half a surrogate pair is JSON and no text.
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _no_number(name: str) -> None:
    raise ValueError(name)


def digits(count: int) -> str:
    """Random digits, as transaction numbers end in."""
    return str(secrets.randbelow(10**count)).zfill(count)


def day_digits(moment: float) -> str:
    """The Beijing day as eight digits, as transaction numbers carry it."""
    return datetime.fromtimestamp(moment, BEIJING).strftime("%Y%m%d")
