"""/v1/refunds: give money back, and look at what came of it."""

from typing import Annotated

from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter
from structlog.contextvars import bind_contextvars

from adapters.inbound.http.bodies import MERCHANT_ORDER_NO, NewRefund
from adapters.inbound.http.kit import Api, Asker, Req
from adapters.inbound.http.once import once
from adapters.inbound.http.refund_views import RefundList, RefundView, refund_view
from domain.errors import InvalidRequest, NotFound
from domain.merchants import Scope


@post("/refunds", summary="Refund an order", operation_id="requestRefund", scope=Scope.REFUNDS_WRITE, tags=["Refunds"])
async def request_refund(data: JSONBody[NewRefund], request: Req, api: Api, caller: Asker) -> Response[RefundView]:
    """Give back a paid order, or a part of it. The answer is 201 with the refund for the first call and for every equal
    repetition, however it stands: the channel may have done it (`succeeded`), taken it (`accepted`), refused it
    (`failed`), or not have answered (`unknown`: we ask until it does, under the same number). Events tell the rest:
    `refund.succeeded`, `refund.failed`, `refund.abnormal`.

    409 without asking the channel: `refund_exceeds_paid`, `insufficient_balance`, `order_not_paid`, and what the
    channel would not allow (`refund_window_closed`, `too_many_refunds`, `refund_too_soon` with Retry-After).
    """

    async def run() -> RefundView:
        refund = await api.request_refund(caller, data.wish())
        bind_contextvars(order_id=refund.order_id, refund_id=refund.id)
        if refund.events:  # just made; an earlier one is on its way already
            refund = await api.submit_refund(refund.id)
        return refund_view(refund)

    return await once(api.answer_once, request, caller, data, run)


@get(
    "/refunds/{refund_id:str}",
    summary="Get a refund",
    operation_id="getRefund",
    scope=Scope.REFUNDS_READ,
    tags=["Refunds"],
)
async def get_refund(refund_id: FromPath[str], api: Api, caller: Asker) -> RefundView:
    """A refund by our id, as it stands now."""
    return refund_view(await api.find_refund(caller, refund_id))


@get(
    "/refunds",
    summary="Find a refund by your number, or all of an order",
    operation_id="listRefunds",
    scope=Scope.REFUNDS_READ,
    tags=["Refunds"],
)
async def list_refunds(
    *,
    api: Api,
    caller: Asker,
    merchant_refund_no: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=64,
            pattern=MERCHANT_ORDER_NO,
            description="Find the refund with this number of yours.",
            examples=[Example(value="20261101-R1")],
        ),
    ] = None,
    order_id: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=64,
            description="All refunds of this order of yours.",
            examples=[Example(value="ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B")],
        ),
    ] = None,
) -> RefundList:
    """Name one of the two. The list is empty when there is no such refund or order."""
    if (merchant_refund_no is None) == (order_id is None):
        raise InvalidRequest("name merchant_refund_no or order_id", code="parameter_conflict")
    try:
        if order_id is not None:
            found = list(await api.find_refund.of_order(caller, order_id))
        else:
            found = [await api.find_refund.numbered(caller, str(merchant_refund_no))]
    except NotFound:
        found = []
    return RefundList(data=[refund_view(refund) for refund in found])


HANDLERS = [request_refund, get_refund, list_refunds]
