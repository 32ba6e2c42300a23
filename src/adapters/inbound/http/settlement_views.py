"""A settlement as merchants and operators receive it, and what is inside it as a file for spreadsheets."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar.response import Stream
from msgspec import Meta

from domain.channels import Mode
from domain.settlement_postings import StatementLine
from domain.settlements import Rail, Settlement, SettlementOrigin, SettlementStatus

Time = Annotated[str | None, Meta(description="RFC 3339 with offset.", examples=["2026-11-01T08:30:00.000+00:00"])]


class SettlementView(msgspec.Struct, kw_only=True):
    """What you were owed, swept together (结算). `payout` + `fee` = `amount`; `amount` + `carried` = `swept`."""

    id: Annotated[str, Meta(description="Our id.", examples=["stl_01KB5P4Z0W3V7H2M9T8Q6R5N4H"])]
    object: Annotated[Literal["settlement"], Meta(description="What kind of object this is.")]
    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["test"])]
    status: Annotated[
        SettlementStatus,
        Meta(
            description="`created` waits for a second person. `rejected`, `failed`, `cancelled` and `bounced` have "
            "returned the money to your available balance; it is in the next settlement.",
            examples=["paid"],
        ),
    ]
    origin: Annotated[
        SettlementOrigin, Meta(description="`automatic` by your cycle, or who asked.", examples=["automatic"])
    ]
    amount: Annotated[int, Meta(ge=1, description="What is settled, in minor units (fen).", examples=[198800])]
    fee: Annotated[int, Meta(ge=0, description="Our fee for it.", examples=[100])]
    payout: Annotated[int, Meta(ge=1, description="What the payee gets.", examples=[198700])]
    swept: Annotated[int, Meta(ge=1, description="The sum of the transfers inside.", examples=[198800])]
    carried: Annotated[int, Meta(ge=0, description="Beyond your maximum: available again at once.", examples=[0])]
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    lines: Annotated[int, Meta(ge=1, description="How many transfers are inside.", examples=[42])]
    number: Annotated[
        str, Meta(description="What bank or channel know the payout by.", examples=["PTY01KB5P4Z0W3V7H2M9T8Q6R5N4D7"])
    ]
    payee: Annotated[
        dict[str, Any] | None, Meta(description="Who is paid, frozen by the approval; null before.", examples=[None])
    ]
    rail: Annotated[Rail | None, Meta(description="How the payout travels.", examples=["manual"])]
    reference: Annotated[str | None, Meta(description="The bank's or channel's own number.", examples=[None])]
    failure: Annotated[str | None, Meta(description="Why the money came back.", examples=[None])]
    confirmation: Annotated[
        str | None,
        Meta(
            description="While `awaiting_payee`: the `package` that your page or mini-program hands to "
            "wx.requestMerchantTransfer, with which the payee takes the money within a day.",
            examples=[None],
        ),
    ]
    created_at: Annotated[
        str, Meta(description="When it was swept: the cut-off.", examples=["2026-11-01T06:00:00.000+00:00"])
    ]
    approved_at: Time
    paid_at: Time


class NewSettlement(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Everything that is available is settled, up to your maximum."""

    currency: Annotated[Literal["CNY"], Meta(description="Whose balance.", examples=["CNY"])] = "CNY"


class SettlementPage(msgspec.Struct, kw_only=True):
    """Settlements, newest first."""

    data: Annotated[list[SettlementView], Meta(description="This page.")]
    next_cursor: Annotated[
        str | None, Meta(description="Hand it in as `cursor` for the next page; null at the end.", examples=[None])
    ]


def settlement_view(settlement: Settlement) -> SettlementView:
    return msgspec.convert(settlement.snapshot(), SettlementView)


def settlement_page(found: Sequence[Settlement], limit: int) -> SettlementPage:
    """Of one more than were asked for, if there are so many."""
    shown = found[:limit]
    more = len(found) > limit
    return SettlementPage(data=[settlement_view(one) for one in shown], next_cursor=shown[-1].id if more else None)


def lines_file(settlement: Settlement, lines: Sequence[StatementLine]) -> Stream:
    """CSV: one row a transfer, and the sum; amounts in yuan, signed. UTF-8 with the mark that Excel looks for."""
    headers = {"Content-Disposition": f'attachment; filename="{settlement.id}.csv"'}
    return Stream(_rows(settlement, lines), media_type="text/csv; charset=utf-8", headers=headers)


def _rows(settlement: Settlement, lines: Sequence[StatementLine]) -> Iterator[bytes]:
    yield "\ufeff".encode()
    yield _row("类型 fact", "来源单号 about", "金额 amount", "币种 currency", "通道日期 channel_date", "流水 key")
    for line in lines:
        yield _row(
            line.fact, line.about, _yuan(line.amount), line.currency, line.channel_date.isoformat(), line.idem_key
        )
    yield _row("合计 total", settlement.id, _yuan(settlement.swept.minor), settlement.swept.currency, "", "")


def _row(*cells: str) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _yuan(minor: int) -> str:
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02d}"
