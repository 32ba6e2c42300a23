"""A merchant's own statements, for operators who are asked about one."""

from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin
from adapters.inbound.http.kit import Cursor, Limit
from adapters.inbound.http.statement_views import StatementPage, before, day_of, statement_file, statement_page
from domain.channels import Mode

TAGS = ["Reconciliation"]
Money = Annotated[Mode, QueryParameter(description="Live money or test money.", examples=[Example(value="live")])]


@get(
    "/merchants/{merchant_id:str}/statements",
    summary="List a merchant's statements",
    operation_id="listMerchantStatements",
    tags=TAGS,
    opt=needs("reconciliation.read"),
)
async def list_merchant_statements(
    merchant_id: FromPath[str], admin: Admin, mode: Money = Mode.LIVE, cursor: Cursor = None, limit: Limit = 20
) -> StatementPage:
    """Days on which something was booked for it, newest first."""
    page = await admin.statements.listed(merchant_id, mode, before=before(cursor), limit=limit + 1)
    return statement_page(page, limit)


@get(
    "/merchants/{merchant_id:str}/statements/{date:str}",
    media_type="text/csv",
    summary="Get a merchant's statement of a day",
    operation_id="getMerchantStatement",
    tags=TAGS,
    opt=needs("reconciliation.read"),
)
async def get_merchant_statement(
    merchant_id: FromPath[str], date: FromPath[str], admin: Admin, mode: Money = Mode.LIVE
) -> Stream:
    """The very bytes that the merchant gets from `/v1/statements/{date}`."""
    return statement_file(*await admin.statements(merchant_id, mode, day_of(date)))


HANDLERS = [list_merchant_statements, get_merchant_statement]
