"""What a report of payments is asked for, and shows; an operator's has more of both."""

from typing import Annotated

import msgspec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from msgspec import Meta

from domain.channels import Channel

FirstDay = Annotated[
    str,
    QueryParameter(max_length=10, description="The first day, of Shanghai.", examples=[Example(value="2026-11-01")]),
]
LastDay = Annotated[
    str,
    QueryParameter(
        max_length=10,
        description="The last day, itself included; at most 366 days.",
        examples=[Example(value="2026-11-30")],
    ),
]
Grouped = Annotated[
    str,
    QueryParameter(
        max_length=64,
        description="Rows by some of `day`, `channel`, `method`, with commas; empty: the whole sum.",
        examples=[Example(value="day,channel")],
    ),
]
OneChannel = Annotated[
    Channel | None, QueryParameter(description="Only this channel.", examples=[Example(value="alipay")])
]


def fen(about: str, example: int) -> Meta:
    return Meta(description=f"{about}. In minor units (fen).", examples=[example])


class OwnReportRow(msgspec.Struct, kw_only=True):
    """What one group of payments came to. What it is not grouped by is null."""

    day: Annotated[str | None, Meta(description="The channel's day.", examples=["2026-11-01"])] = None
    channel: Annotated[str | None, Meta(description="Through which channel.", examples=["alipay"])] = None
    method: Annotated[
        str | None,
        Meta(description="Paid by which method; null also where no attempt of ours is known.", examples=["alipay_qr"]),
    ] = None
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    payments: Annotated[int, Meta(ge=0, description="How many payments.", examples=[1])]
    gross: Annotated[int, fen("What the channel credits for them", 10_000)]
    refunds: Annotated[int, Meta(ge=0, description="How many refunds the channel accepted.", examples=[1])]
    refunded: Annotated[int, fen("What the channel takes for them", 4_000)]
    fees: Annotated[int, fen("Our fees, less what refunds gave back of them", 36)]


class OwnReport(msgspec.Struct, kw_only=True):
    """What payments came to, as far as it is known now."""

    data: Annotated[
        list[OwnReportRow],
        Meta(description="In the order of day, channel, method and currency; groups without facts are not."),
    ]
