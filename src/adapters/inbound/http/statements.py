"""/v1/statements: the merchant's own statement of a day."""

from litestar import get
from litestar.params import FromPath
from litestar.response import Stream

from adapters.inbound.http.kit import Api, Asker, Cursor, Limit
from adapters.inbound.http.statement_views import StatementPage, before, day_of, statement_file, statement_page
from domain.merchants import Scope


@get(
    "/statements",
    summary="List statements",
    operation_id="listStatements",
    scope=Scope.BALANCE_READ,
    tags=["Statements"],
)
async def list_statements(api: Api, caller: Asker, cursor: Cursor = None, limit: Limit = 20) -> StatementPage:
    """Days on which something was booked for you, newest first; each appears on the day after."""
    page = await api.statements.listed(caller.merchant_id, caller.mode, before=before(cursor), limit=limit + 1)
    return statement_page(page, limit)


@get(
    "/statements/{date:str}",
    media_type="text/csv",
    summary="Get the statement of a day",
    operation_id="getStatement",
    scope=Scope.BALANCE_READ,
    tags=["Statements"],
)
async def get_statement(date: FromPath[str], api: Api, caller: Asker) -> Stream:
    """All that was booked for you on a day of Shanghai, as CSV: your orders' payments, refunds and our fees, and what
    each of them moved in your balances, from the opening of the day to its closing. Amounts are in yuan. The header
    `Pitaya-Statement-Status` is `final` once every bill of a channel behind it is reconciled: from then on the bytes
    never change (`ETag` is their SHA-256). Before, it is `provisional`, and so is its last line.

    422 `day_not_over` for today and later.
    """
    return statement_file(*await api.statements(caller.merchant_id, caller.mode, day_of(date)))


HANDLERS = [list_statements, get_statement]
