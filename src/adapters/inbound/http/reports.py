"""/v1/reports: what a merchant's own payments came to, by day, channel and method."""

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation
from litestar.response import Stream

from adapters.inbound.http.balances import csv_file
from adapters.inbound.http.kit import Api, Asker, Req
from adapters.inbound.http.problems import speaks_chinese
from adapters.inbound.http.report_views import FirstDay, Grouped, LastDay, OneChannel, OwnReport, OwnReportRow
from application.ports.reports import By, Wanted
from domain.merchants import Scope

TAGS = ["Reports"]
Report = NamedDependency[SkipValidation[Wanted]]


async def _wanted(
    caller: Asker, first_day: FirstDay, last_day: LastDay, by: Grouped = "day", channel: OneChannel = None
) -> Wanted:
    among = tuple(each for each in By if each is not By.MERCHANT)
    own = caller.merchant_id
    return Wanted.of(caller.mode, first_day, last_day, by, among=among, merchant_id=own, channel=channel)


@get(
    "/reports/payments",
    summary="Report your payments",
    operation_id="reportOwnPayments",
    scope=Scope.BALANCE_READ,
    tags=TAGS,
    dependencies={"report": Provide(_wanted)},
)
async def report_payments(api: Api, report: Report) -> OwnReport:
    """Gross, refunds and fees. A payment counts on the day it was paid, a refund on the day the channel accepted it."""
    return OwnReport(data=[OwnReportRow(**row) for row in await api.report_payments(report)])


@get(
    "/reports/payments.csv",
    media_type="text/csv",
    summary="Export a report of your payments",
    operation_id="exportOwnPaymentReport",
    scope=Scope.BALANCE_READ,
    tags=TAGS,
    dependencies={"report": Provide(_wanted)},
)
async def export_payments(request: Req, api: Api, report: Report) -> Stream:
    """The same as CSV for spreadsheets, amounts in yuan, headings in the language of Accept-Language."""
    chinese = speaks_chinese(request.headers.get("accept-language", ""))
    return csv_file(await api.report_payments.as_csv(report, chinese=chinese), "payments")


HANDLERS = [report_payments, export_payments]
