"""/v1/settlements: what a merchant is owed, on its way to its bank account."""

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.response import Stream

from adapters.inbound.http.kit import Api, Asker, Cursor, Limit, Req
from adapters.inbound.http.once import once
from adapters.inbound.http.settlement_views import (
    NewSettlement,
    SettlementPage,
    SettlementView,
    lines_file,
    settlement_page,
    settlement_view,
)
from domain.errors import InvalidRequest
from domain.merchants import Scope
from domain.settlements import SettlementOrigin

TAGS = ["Settlements"]


@post(
    "/settlements",
    summary="Ask for a settlement",
    operation_id="createSettlement",
    scope=Scope.SETTLEMENTS_WRITE,
    tags=TAGS,
)
async def create_settlement(
    data: JSONBody[NewSettlement], request: Req, api: Api, caller: Asker
) -> Response[SettlementView]:
    """Sweep all that is available into one settlement now, whatever your cycle. A second person on our side approves
    it; then it is paid out to your bank account. A payee that was changed waits 24 hours.

    409: `nothing_to_settle`, `settlement_below_minimum`, `merchant_on_hold`. Send an `Idempotency-Key`: without one, a
    repetition would settle what has come in between.
    """

    async def run() -> SettlementView:
        settlement = await api.settle(caller.actor, caller.merchant_id, caller.mode, SettlementOrigin.MERCHANT)
        return settlement_view(settlement)

    return await once(api.answer_once, request, caller, data, run)


@get("/settlements", summary="List settlements", operation_id="listSettlements", scope=Scope.BALANCE_READ, tags=TAGS)
async def list_settlements(api: Api, caller: Asker, cursor: Cursor = None, limit: Limit = 20) -> SettlementPage:
    """Your settlements, newest first."""
    if cursor is not None and not (cursor.startswith("stl_") and len(cursor) == 30 and cursor.isascii()):
        raise InvalidRequest("this cursor is none of ours", code="cursor_invalid", pointer="/cursor")
    found = await api.find_settlement.page(caller.merchant_id, caller.mode, before=cursor, limit=limit + 1)
    return settlement_page(found, limit)


@get(
    "/settlements/{settlement_id:str}",
    summary="Get a settlement",
    operation_id="getSettlement",
    scope=Scope.BALANCE_READ,
    tags=TAGS,
)
async def get_settlement(settlement_id: FromPath[str], api: Api, caller: Asker) -> SettlementView:
    """A settlement by our id, as it stands now."""
    return settlement_view(await api.find_settlement(settlement_id, caller))


@get(
    "/settlements/{settlement_id:str}/statement",
    media_type="text/csv",
    summary="Get what is inside a settlement",
    operation_id="getSettlementStatement",
    scope=Scope.BALANCE_READ,
    tags=TAGS,
)
async def get_settlement_statement(settlement_id: FromPath[str], api: Api, caller: Asker) -> Stream:
    """CSV: every transfer that it swept, in and out, adding up to `swept`. No transfer is ever in two settlements."""
    settlement = await api.find_settlement(settlement_id, caller)
    return lines_file(settlement, await api.find_settlement.inside(settlement))


HANDLERS = [create_settlement, list_settlements, get_settlement, get_settlement_statement]
