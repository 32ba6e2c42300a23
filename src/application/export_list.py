"""Lists as CSV for spreadsheets: a page at a time."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.csv_lines import BOM, amount, line, number, safe, text, time
from application.ports.lists import Asked, Column, Kind, Listing, Lists, Row


@dataclass(frozen=True, slots=True)
class ExportList:
    """All rows of a filter as pieces of text. Memory holds one page, however many rows there are."""

    lists: Lists

    def __call__(self, listing: Listing, asked: Asked, *, chinese: bool) -> AsyncIterator[str]:
        return as_csv(listing.columns, self.lists.export(listing, asked), chinese=chinese)


async def as_csv(
    columns: Mapping[str, Column], pieces: AsyncIterator[Sequence[Row]], *, chinese: bool
) -> AsyncIterator[str]:
    """Rows as they come, below a line of headings."""
    yield BOM + line((column.zh if chinese else name) for name, column in columns.items())
    async for rows in pieces:
        yield "".join(line(_shown(columns[name].kind, row[name]) for name in columns) for row in rows)


def _shown(kind: Kind, value: Any) -> str:
    """A cell: amounts in yuan, times of Shanghai as spreadsheets read them, long numbers so that none is rounded."""
    if value is None:
        return ""
    match kind:
        case Kind.AMOUNT:
            return amount(int(value))
        case Kind.TIME:
            return time(datetime.fromisoformat(value))
        case Kind.FLAG:
            return "true" if value else "false"
        case Kind.NUMBER:
            return number(str(value))
        case Kind.JSON:
            return safe(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        case Kind.TEXT:
            return text(str(value))
