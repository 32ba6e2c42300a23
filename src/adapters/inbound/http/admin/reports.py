"""/admin/v1/reports: what payments came to, by day, merchant, channel and method."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin
from adapters.inbound.http.balances import csv_file
from adapters.inbound.http.kit import Req
from adapters.inbound.http.problems import speaks_chinese
from application.ports.reports import Wanted
from domain.channels import Channel, Mode

TAGS = ["Reports"]
MODE = Annotated[Mode, QueryParameter(description="Live money or test money.", examples=[Example(value="test")])]
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
        description="Rows by some of `day`, `merchant_id`, `channel`, `method`, with commas; empty: the whole sum.",
        examples=[Example(value="day,channel")],
    ),
]
OneMerchant = Annotated[
    str | None,
    QueryParameter(
        max_length=128, description="Only this merchant.", examples=[Example(value="mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B")]
    ),
]
OneChannel = Annotated[
    Channel | None, QueryParameter(description="Only this channel.", examples=[Example(value="alipay")])
]


def _fen(about: str, example: int) -> Meta:
    return Meta(description=f"{about}. In minor units (fen).", examples=[example])


class PaymentReportRow(msgspec.Struct, kw_only=True):
    """What one group of payments came to. What it is not grouped by is null."""

    day: Annotated[str | None, Meta(description="The channel's day.", examples=["2026-11-01"])] = None
    merchant_id: Annotated[
        str | None, Meta(description="Whose payments.", examples=["mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
    ] = None
    channel: Annotated[str | None, Meta(description="Through which channel.", examples=["alipay"])] = None
    method: Annotated[
        str | None,
        Meta(description="Paid by which method; null also where no attempt of ours is known.", examples=["alipay_qr"]),
    ] = None
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    payments: Annotated[int, Meta(ge=0, description="How many payments.", examples=[1])]
    gross: Annotated[int, _fen("What the channel credits for them", 10_000)]
    refunds: Annotated[int, Meta(ge=0, description="How many refunds the channel accepted.", examples=[1])]
    refunded: Annotated[int, _fen("What the channel takes for them", 4_000)]
    fees: Annotated[int, _fen("Our fees, less what refunds gave back of them", 36)]
    cost: Annotated[int, _fen("The channel's fee by the agreed rate, less what refunds give back of it", 23)]
    margin: Annotated[int, _fen("Fees less cost", 13)]


class PaymentReport(msgspec.Struct, kw_only=True):
    """What payments came to, as far as it is known now."""

    data: Annotated[
        list[PaymentReportRow],
        Meta(description="In the order of day, merchant, channel, method and currency; groups without facts are not."),
    ]


@get(
    "/reports/payments",
    summary="Report payments",
    operation_id="reportPayments",
    tags=TAGS,
    opt=needs("reports.read"),
)
async def report_payments(
    admin: Admin,
    *,
    first_day: FirstDay,
    last_day: LastDay,
    by: Grouped = "day",
    mode: MODE = Mode.LIVE,
    merchant_id: OneMerchant = None,
    channel: OneChannel = None,
) -> PaymentReport:
    """Gross, refunds, fees, cost and margin. A payment counts on the day it was paid, a refund on the day the channel
    accepted it."""
    wanted = Wanted.of(mode, first_day, last_day, by, merchant_id=merchant_id, channel=channel)
    return PaymentReport(data=[PaymentReportRow(**row) for row in await admin.report_payments(wanted)])


@get(
    "/reports/payments.csv",
    media_type="text/csv",
    summary="Export a report of payments",
    operation_id="exportPaymentReport",
    tags=TAGS,
    opt=needs("reports.read"),
)
async def export_payment_report(
    request: Req,
    admin: Admin,
    *,
    first_day: FirstDay,
    last_day: LastDay,
    by: Grouped = "day",
    mode: MODE = Mode.LIVE,
    merchant_id: OneMerchant = None,
    channel: OneChannel = None,
) -> Stream:
    """The same as CSV for spreadsheets, amounts in yuan, headings in the language of Accept-Language."""
    wanted = Wanted.of(mode, first_day, last_day, by, merchant_id=merchant_id, channel=channel)
    chinese = speaks_chinese(request.headers.get("accept-language", ""))
    return csv_file(await admin.report_payments.as_csv(wanted, chinese=chinese), "payments")


HANDLERS = [report_payments, export_payment_report]
