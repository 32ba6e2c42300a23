"""/v1/balance and /v1/transfers: what you have, and how it came about."""

from collections.abc import AsyncIterator

from litestar import get
from litestar.response import Stream

from adapters.inbound.http.balance_views import BalanceList, Standing, TransferPage, balance_list, transfer_page
from adapters.inbound.http.kit import Api, Asker, Cursor, Limit, Req
from adapters.inbound.http.problems import speaks_chinese
from application.export_list import as_csv
from application.view_accounts import HISTORY_COLUMNS
from domain.merchants import Scope

TAGS = ["Balance"]


@get("/balance", summary="Get your balance", operation_id="getBalance", scope=Scope.BALANCE_READ, tags=TAGS)
async def get_balance(api: Api, caller: Asker) -> BalanceList:
    """What you have by where it stands, all of one moment: a payment that this call shows is in no balance twice."""
    return balance_list(caller.mode, list(await api.view_accounts.balance(caller.merchant_id, caller.mode)))


@get(
    "/transfers",
    summary="List what moved a balance",
    operation_id="listTransfers",
    scope=Scope.BALANCE_READ,
    tags=TAGS,
)
async def list_transfers(
    api: Api, caller: Asker, account: Standing = "available", cursor: Cursor = None, limit: Limit = 20
) -> TransferPage:
    """The history of one of your balances, newest first: each line with its cause and what the balance came to.

    A line that is shown never moves and never changes; one appears moments after it was booked.
    """
    return transfer_page(
        await api.view_accounts.history(caller.merchant_id, caller.mode, account, cursor=cursor, limit=limit)
    )


@get(
    "/transfers.csv",
    media_type="text/csv",
    summary="Export what moved a balance",
    operation_id="exportTransfers",
    scope=Scope.BALANCE_READ,
    tags=TAGS,
)
async def export_transfers(request: Req, api: Api, caller: Asker, account: Standing = "available") -> Stream:
    """The whole history of one of your balances as CSV for spreadsheets, headings in the language of
    Accept-Language."""
    pieces = api.view_accounts.export(caller.merchant_id, caller.mode, account)
    chinese = speaks_chinese(request.headers.get("accept-language", ""))
    return csv_file(as_csv(HISTORY_COLUMNS, pieces, chinese=chinese), f"transfers-{account}")


def csv_file(text: AsyncIterator[str], name: str) -> Stream:
    """A stream that browsers keep as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Stream(text, media_type="text/csv; charset=utf-8", headers=headers)


HANDLERS = [get_balance, list_transfers, export_transfers]
