"""/admin/v1: any account of the ledger, its balance and its history; a merchant's balance."""

from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin
from adapters.inbound.http.balance_views import (
    BalanceList,
    LedgerAccountView,
    TransferPage,
    account_view,
    balance_list,
    transfer_page,
)
from adapters.inbound.http.balances import csv_file
from adapters.inbound.http.kit import Cursor, Limit, Req
from adapters.inbound.http.problems import speaks_chinese
from application.export_list import as_csv
from application.view_accounts import HISTORY_COLUMNS
from domain.channels import Mode
from domain.errors import NotFound

TAGS = ["Accounts"]
MODE = Annotated[Mode, QueryParameter(description="Live money or test money.", examples=[Example(value="test")])]


@get(
    "/merchants/{merchant_id:str}/balance",
    summary="Get a merchant's balance",
    operation_id="getMerchantBalance",
    tags=TAGS,
    opt=needs("ledger.read"),
)
async def get_merchant_balance(merchant_id: FromPath[str], admin: Admin, mode: MODE = Mode.LIVE) -> BalanceList:
    """By where it stands, as the merchant sees it itself. Zeros for who never had anything."""
    return balance_list(mode, list(await admin.view_accounts.balance(merchant_id, mode)))


@get(
    "/accounts/{account_id:str}",
    summary="Get an account of the ledger",
    operation_id="getAccount",
    tags=TAGS,
    opt=needs("ledger.read"),
)
async def get_account(account_id: FromPath[str], admin: Admin) -> LedgerAccountView:
    """What it is and what it holds. The list `ledger_accounts` finds it; transfers name it."""
    return account_view(*await admin.view_accounts.of_account(_id(account_id)))


@get(
    "/accounts/{account_id:str}/transfers",
    summary="List an account's history",
    operation_id="listAccountTransfers",
    tags=TAGS,
    opt=needs("ledger.read"),
)
async def list_account_transfers(
    account_id: FromPath[str], admin: Admin, cursor: Cursor = None, limit: Limit = 20
) -> TransferPage:
    """Newest first, each line with what the account came to: credits are positive, debits negative."""
    return transfer_page(await admin.view_accounts.of_any(_id(account_id), cursor=cursor, limit=limit))


@get(
    "/accounts/{account_id:str}/transfers.csv",
    media_type="text/csv",
    summary="Export an account's history",
    operation_id="exportAccountTransfers",
    tags=TAGS,
    opt=needs("ledger.read"),
)
async def export_account_transfers(account_id: FromPath[str], request: Req, admin: Admin) -> Stream:
    """The whole history as CSV for spreadsheets."""
    await admin.view_accounts.of_account(_id(account_id))
    chinese = speaks_chinese(request.headers.get("accept-language", ""))
    pieces = admin.view_accounts.export_any(_id(account_id))
    return csv_file(as_csv(HISTORY_COLUMNS, pieces, chinese=chinese), "account")


def _id(text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20 and -(2**63) <= int(text) < 2**63):
        raise NotFound("no such account")
    return int(text)


HANDLERS = [get_merchant_balance, get_account, list_account_transfers, export_account_transfers]
