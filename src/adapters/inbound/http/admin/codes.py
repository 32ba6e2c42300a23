"""/admin/v1/merchants/{id}/codes: a merchant's static QR codes, in an operator's hands."""

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.hooks import BodyMode, InMode, OfMode
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.bodies import NewCode
from adapters.inbound.http.code_views import CodeList, CodeView, code_view
from adapters.inbound.http.kit import Req
from domain.channels import Mode
from domain.codes import MOST
from domain.merchants import Caller
from domain.money import Money

TAGS = ["Codes"]


class MerchantCode(NewCode, forbid_unknown_fields=True, kw_only=True):
    """A static code to make for a merchant."""

    mode: BodyMode


@get(
    "/merchants/{merchant_id:str}/codes",
    summary="List a merchant's static codes",
    operation_id="listMerchantCodes",
    tags=TAGS,
    opt=needs("codes.read"),
)
async def list_codes(merchant_id: FromPath[str], admin: Admin, mode: InMode = Mode.LIVE) -> CodeList:
    """All of one mode, oldest first."""
    found = await admin.keep_codes.all(Caller(merchant_id, mode))
    return CodeList(data=[code_view(code, admin.public_url) for code in found])


@post(
    "/merchants/{merchant_id:str}/codes",
    summary="Make a static code for a merchant",
    operation_id="makeMerchantCode",
    tags=TAGS,
    opt=needs("codes.create"),
)
async def make_code(
    merchant_id: FromPath[str], data: JSONBody[MerchantCode], request: Req, admin: Admin, actor: Who
) -> Response[CodeView]:
    """One QR code (聚合码) for the counter: print `url` as a QR code. Each payment by it is an order of the
    merchant's."""

    async def run() -> CodeView:
        amount = Money(data.amount) if data.amount is not None else None
        most = Money(data.most) if data.most is not None else MOST
        caller = Caller(merchant_id, data.mode)
        made = await admin.keep_codes.add(caller, data.name, amount=amount, most=most, by=actor)
        return code_view(made, admin.public_url)

    return await once(admin, request, actor, data, run)


@post(
    "/merchants/{merchant_id:str}/codes/{code_id:str}/enable",
    status_code=200,
    summary="Switch a merchant's static code on",
    operation_id="enableMerchantCode",
    tags=TAGS,
    opt=needs("codes.switch"),
)
async def enable(
    *,
    merchant_id: FromPath[str],
    code_id: FromPath[str],
    data: JSONBody[OfMode],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[CodeView]:
    """Take orders by it again."""

    async def run() -> CodeView:
        switched = await admin.keep_codes.switch(Caller(merchant_id, data.mode), code_id, enabled=True, by=actor)
        return code_view(switched, admin.public_url)

    return await once(admin, request, actor, data, run, status=200)


@post(
    "/merchants/{merchant_id:str}/codes/{code_id:str}/disable",
    status_code=200,
    summary="Switch a merchant's static code off",
    operation_id="disableMerchantCode",
    tags=TAGS,
    opt=needs("codes.switch"),
)
async def disable(
    *,
    merchant_id: FromPath[str],
    code_id: FromPath[str],
    data: JSONBody[OfMode],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[CodeView]:
    """Take no more orders by it. Those that were placed can still be paid."""

    async def run() -> CodeView:
        switched = await admin.keep_codes.switch(Caller(merchant_id, data.mode), code_id, enabled=False, by=actor)
        return code_view(switched, admin.public_url)

    return await once(admin, request, actor, data, run, status=200)


HANDLERS = [list_codes, make_code, enable, disable]
