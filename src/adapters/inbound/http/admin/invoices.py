"""/admin/v1/invoices: service fees due, and what became of them by two people's consent."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Sentence, Who, once
from adapters.inbound.http.admin.views import ProposalView, proposal_view
from adapters.inbound.http.balances import csv_file
from adapters.inbound.http.invoice_views import InvoiceList, invoice_list
from adapters.inbound.http.kit import Req
from adapters.inbound.http.problems import speaks_chinese
from adapters.inbound.http.share_views import Id
from application.export_list import as_csv
from application.keep_invoices import COLUMNS, InvoiceEnd, rows

TAGS = ["Invoices"]


class InvoiceEndBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What became of it."""

    end: Annotated[InvoiceEnd, Meta(description="`paid` or `written_off`.", examples=["paid"])]
    reference: Annotated[Sentence, Meta(description="The bank's of the money, or why not.", examples=["20261105-0001"])]
    account_id: Annotated[
        Id | None,
        Meta(description="The platform's channel account that it was paid into; null for the bank.", examples=[None]),
    ] = None


@get(
    "/merchants/{merchant_id:str}/invoices",
    summary="List a merchant's invoices",
    operation_id="listMerchantInvoices",
    tags=TAGS,
    opt=needs("invoices.read"),
)
async def list_invoices(merchant_id: FromPath[str], admin: Admin) -> InvoiceList:
    """Of both modes, newest month first."""
    return invoice_list(await admin.find_invoices.of_merchant(merchant_id))


@get(
    "/invoices.csv",
    media_type="text/csv",
    summary="Export a month's invoices",
    operation_id="exportMonthsInvoices",
    tags=TAGS,
    opt=needs("invoices.read"),
)
async def export_invoices(
    request: Req,
    admin: Admin,
    month: Annotated[
        str,
        QueryParameter(
            pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])(?!\n)$",
            description="Of every merchant and both modes.",
            examples=[Example(value="2026-10")],
        ),
    ],
) -> Stream:
    """As CSV for spreadsheets, headings in the language of Accept-Language."""
    found = await admin.find_invoices.of_month(date.fromisoformat(f"{month}-01"))
    chinese = speaks_chinese(request.headers.get("accept-language", ""))
    return csv_file(as_csv(COLUMNS, rows(found), chinese=chinese), f"invoices-{month}")


@post(
    "/invoices/{invoice_id:str}/end",
    summary="Propose that an invoice was paid, or is written off",
    operation_id="proposeInvoiceEnd",
    tags=TAGS,
    opt=needs("invoices.propose", step_up=True),
)
async def propose_end(
    invoice_id: FromPath[str], data: JSONBody[InvoiceEndBody], request: Req, admin: Admin, actor: Who
) -> Response[ProposalView]:
    """Another person, with `invoices.approve`, decides; then it is booked at once and once."""

    async def run() -> ProposalView:
        return proposal_view(
            await admin.propose_invoice_end(actor, invoice_id, data.end, data.reference, account_id=data.account_id)
        )

    return await once(admin, request, actor, data, run)


HANDLERS = [list_invoices, export_invoices, propose_end]
