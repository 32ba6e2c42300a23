"""/admin/v1/reports: what payments came to, by day, merchant, channel and method."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import Provide
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin
from adapters.inbound.http.balances import csv_file
from adapters.inbound.http.kit import Req
from adapters.inbound.http.problems import speaks_chinese
from adapters.inbound.http.report_views import FirstDay, LastDay, OneChannel, OwnReportRow, fen
from adapters.inbound.http.reports import Report
from application.ports.reports import Wanted
from domain.channels import Mode

TAGS = ["Reports"]
MODE = Annotated[Mode, QueryParameter(description="Live money or test money.", examples=[Example(value="test")])]
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


class PaymentReportRow(OwnReportRow, kw_only=True):
    """What one group of payments came to. What it is not grouped by is null."""

    merchant_id: Annotated[
        str | None, Meta(description="Whose payments.", examples=["mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
    ] = None
    cost: Annotated[int, fen("The channel's fee by the agreed rate, less what refunds give back of it", 23)]
    margin: Annotated[int, fen("Fees less cost", 13)]


class PaymentReport(msgspec.Struct, kw_only=True):
    """What payments came to, as far as it is known now."""

    data: Annotated[
        list[PaymentReportRow],
        Meta(description="In the order of day, merchant, channel, method and currency; groups without facts are not."),
    ]


async def _wanted(
    *,
    first_day: FirstDay,
    last_day: LastDay,
    by: Grouped = "day",
    mode: MODE = Mode.LIVE,
    merchant_id: OneMerchant = None,
    channel: OneChannel = None,
) -> Wanted:
    return Wanted.of(mode, first_day, last_day, by, merchant_id=merchant_id, channel=channel)


@get(
    "/reports/payments",
    summary="Report payments",
    operation_id="reportPayments",
    tags=TAGS,
    opt=needs("reports.read"),
    dependencies={"report": Provide(_wanted)},
)
async def report_payments(admin: Admin, report: Report) -> PaymentReport:
    """Gross, refunds, fees, cost and margin. A payment counts on the day it was paid, a refund on the day the channel
    accepted it."""
    return PaymentReport(data=[PaymentReportRow(**row) for row in await admin.report_payments(report)])


@get(
    "/reports/payments.csv",
    media_type="text/csv",
    summary="Export a report of payments",
    operation_id="exportPaymentReport",
    tags=TAGS,
    opt=needs("reports.read"),
    dependencies={"report": Provide(_wanted)},
)
async def export_payment_report(request: Req, admin: Admin, report: Report) -> Stream:
    """The same as CSV for spreadsheets, amounts in yuan, headings in the language of Accept-Language."""
    chinese = speaks_chinese(request.headers.get("accept-language", ""))
    return csv_file(await admin.report_payments.as_csv(report, chinese=chinese), "payments")


HANDLERS = [report_payments, export_payment_report]
