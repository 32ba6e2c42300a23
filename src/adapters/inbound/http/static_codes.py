"""/v1/codes: a merchant's static QR codes, one for both wallets."""

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody

from adapters.inbound.http.bodies import NewCode
from adapters.inbound.http.code_views import CodeList, CodeView, code_view
from adapters.inbound.http.kit import Api, Asker, Req
from adapters.inbound.http.once import once
from domain.codes import MOST
from domain.merchants import Scope
from domain.money import Money

TAGS = ["Codes"]


@post("/codes", summary="Make a static code", operation_id="makeCode", scope=Scope.ORDERS_WRITE, tags=TAGS)
async def make_code(data: JSONBody[NewCode], request: Req, api: Api, caller: Asker) -> Response[CodeView]:
    """One QR code (聚合码) for the counter: print `url` as a QR code. Whoever scans it with Alipay or WeChat says how
    much, unless the code has an `amount`, and pays there. Each payment is an order of yours, number `QR…`."""

    async def run() -> CodeView:
        amount = Money(data.amount) if data.amount is not None else None
        most = Money(data.most) if data.most is not None else MOST
        return code_view(await api.keep_codes.add(caller, data.name, amount=amount, most=most), api.public_url)

    return await once(api.answer_once, request, caller, data, run)


@get("/codes", summary="List static codes", operation_id="listCodes", scope=Scope.ORDERS_READ, tags=TAGS)
async def list_codes(api: Api, caller: Asker) -> CodeList:
    """All your static codes of this mode, oldest first."""
    return CodeList(data=[code_view(code, api.public_url) for code in await api.keep_codes.all(caller)])


@post(
    "/codes/{code_id:str}/enable",
    status_code=200,
    summary="Switch a static code on",
    operation_id="enableCode",
    scope=Scope.ORDERS_WRITE,
    tags=TAGS,
)
async def enable(code_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[CodeView]:
    """Take orders by it again."""

    async def run() -> CodeView:
        return code_view(await api.keep_codes.switch(caller, code_id, enabled=True), api.public_url)

    return await once(api.answer_once, request, caller, None, run, status=200)


@post(
    "/codes/{code_id:str}/disable",
    status_code=200,
    summary="Switch a static code off",
    operation_id="disableCode",
    scope=Scope.ORDERS_WRITE,
    tags=TAGS,
)
async def disable(code_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[CodeView]:
    """Take no more orders by it. Those that were placed can still be paid."""

    async def run() -> CodeView:
        return code_view(await api.keep_codes.switch(caller, code_id, enabled=False), api.public_url)

    return await once(api.answer_once, request, caller, None, run, status=200)


HANDLERS = [make_code, list_codes, enable, disable]
