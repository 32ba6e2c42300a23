"""/v1/invoices: service fees due, by the month."""

from litestar import get
from litestar.response import Stream

from adapters.inbound.http.balances import csv_file
from adapters.inbound.http.invoice_views import InvoiceList, invoice_list
from adapters.inbound.http.kit import Api, Asker, Req
from adapters.inbound.http.problems import speaks_chinese
from application.export_list import as_csv
from application.keep_invoices import COLUMNS, rows
from domain.merchants import Scope

TAGS = ["Balance"]


@get("/invoices", summary="List invoices", operation_id="listInvoices", scope=Scope.BALANCE_READ, tags=TAGS)
async def list_invoices(api: Api, caller: Asker) -> InvoiceList:
    """Service fees due of this mode: issued on the 1st for the month before. Only for payments that came to channel
    accounts of your own."""
    return invoice_list(await api.find_invoices.of_merchant(caller.merchant_id, caller.mode))


@get(
    "/invoices.csv",
    media_type="text/csv",
    summary="Export invoices",
    operation_id="exportInvoices",
    scope=Scope.BALANCE_READ,
    tags=TAGS,
)
async def export_invoices(request: Req, api: Api, caller: Asker) -> Stream:
    """The same as CSV for spreadsheets, headings in the language of Accept-Language."""
    found = await api.find_invoices.of_merchant(caller.merchant_id, caller.mode)
    chinese = speaks_chinese(request.headers.get("accept-language", ""))
    return csv_file(as_csv(COLUMNS, rows(found), chinese=chinese), "invoices")


HANDLERS = [list_invoices, export_invoices]
