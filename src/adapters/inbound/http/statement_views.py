"""A merchant's statements as both APIs tell of them and hand them out."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Annotated, Literal

import msgspec
from litestar.response import Stream
from msgspec import Meta

from domain.channels import Mode
from domain.errors import InvalidRequest
from domain.merchant_statements import MerchantStatement
from domain.times import rfc3339

STATUS = "Pitaya-Statement-Status"


class StatementView(msgspec.Struct, kw_only=True):
    """Your statement of one day (商户对账单)."""

    object: Annotated[Literal["statement"], Meta(description="What kind of object this is.")]
    date: Annotated[str, Meta(description="The day in Shanghai on which it was booked.", examples=["2026-11-01"])]
    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["live"])]
    status: Annotated[
        Literal["provisional", "final"],
        Meta(description="`final`: its bytes never change again. `provisional`: bills of a channel are still awaited."),
    ]
    sha256: Annotated[
        str | None, Meta(description="Of the file, once it is final.", examples=["9f86d081884c7d659a2feaa0c55ad015"])
    ]
    size: Annotated[int | None, Meta(description="Bytes of the file, once it is final.", examples=[4096])]
    entries: Annotated[
        int | None, Meta(description="Lines between opening and total, once it is final.", examples=[12])
    ]
    frozen_at: Annotated[
        str | None, Meta(description="When it became final.", examples=["2026-11-02T03:00:00.000+00:00"])
    ]


class StatementPage(msgspec.Struct, kw_only=True):
    """Statements, newest first."""

    data: Annotated[list[StatementView], Meta(description="This page.")]
    next_cursor: Annotated[
        str | None, Meta(description="Hand it in as `cursor` for the next page; null at the end.", examples=[None])
    ]


def statement_page(statements: Sequence[MerchantStatement], limit: int) -> StatementPage:
    """Of one more than were asked for, if there are so many."""
    shown = statements[:limit]
    more = len(statements) > limit
    return StatementPage(data=[_view(one) for one in shown], next_cursor=shown[-1].day.isoformat() if more else None)


def statement_file(statement: MerchantStatement, pieces: AsyncIterator[bytes]) -> Stream:
    """The CSV. Its hash is that of its bytes, whether final or not."""
    status = "final" if statement.final else "provisional"
    mark = "" if statement.final else "_provisional"
    headers = {
        "Content-Disposition": f'attachment; filename="statement_{statement.mode}_{statement.day}{mark}.csv"',
        "ETag": f'"{statement.sha256}"',
        STATUS: status,
    }
    return Stream(pieces, media_type="text/csv; charset=utf-8", headers=headers)


def day_of(text: str, *, pointer: str = "/date") -> date:
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidRequest("a day is written as 2026-11-01", code="day_invalid", pointer=pointer)


def before(cursor: str | None) -> date | None:
    """What a cursor of these pages stands for."""
    if cursor is None:
        return None
    try:
        return day_of(cursor)
    except InvalidRequest:
        raise InvalidRequest("this cursor is none of ours", code="cursor_invalid", pointer="/cursor") from None


def _view(statement: MerchantStatement) -> StatementView:
    final = statement.final
    return StatementView(
        object="statement",
        date=statement.day.isoformat(),
        mode=statement.mode,
        status="final" if final else "provisional",
        sha256=statement.sha256 if final else None,
        size=statement.size if final else None,
        entries=statement.entries if final else None,
        frozen_at=rfc3339(statement.frozen_at) if statement.frozen_at else None,
    )
