"""/v1/orders/{id}/shares, /v1/shares, /v1/receivers: pass on to others what an order was paid (分账)."""

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from structlog.contextvars import bind_contextvars

from adapters.inbound.http.kit import Api, Asker, Req
from adapters.inbound.http.once import once
from adapters.inbound.http.share_views import (
    NewShare,
    ReceiverList,
    ShareList,
    ShareView,
    receiver_view,
    return_view,
    share_view,
)
from domain.merchants import Scope

TAGS = ["Profit sharing"]


@post(
    "/orders/{order_id:str}/shares",
    summary="Share an order's payment",
    operation_id="requestShare",
    scope=Scope.SHARES_WRITE,
    tags=TAGS,
)
async def request_share(
    order_id: FromPath[str], data: JSONBody[NewShare], request: Req, api: Api, caller: Asker
) -> Response[ShareView]:
    """Pass on a part of what this order was paid, out of your own channel account. It must have been placed with
    `profit_sharing`. The answer is 201 with the share for the first call and for every equal repetition, however it
    stands: as a rule `processing`. Events tell the rest: `share.finished`, `share.failed`.

    How much of a payment may go on is agreed with the channel: 30 % unless you have another contract. Wait half a
    minute after the payment.
    """

    async def run() -> ShareView:
        bind_contextvars(order_id=order_id)
        share = await api.request_share(caller, data.wish(order_id))
        if share.events:  # just made; an earlier one is on its way already
            share = await api.submit_share(share.id)
        return share_view(share)

    return await once(api.answer_once, request, caller, data, run)


@get(
    "/orders/{order_id:str}/shares",
    summary="List an order's shares",
    operation_id="listShares",
    scope=Scope.SHARES_READ,
    tags=TAGS,
)
async def list_shares(order_id: FromPath[str], api: Api, caller: Asker) -> ShareList:
    """All that was shared of it, and what came back before refunds."""
    shares, returns = await api.find_share.of_order(caller, order_id)
    return ShareList(data=[share_view(one) for one in shares], returns=[return_view(one) for one in returns])


@post(
    "/orders/{order_id:str}/shares/finish",
    status_code=200,
    summary="End the sharing of an order",
    operation_id="finishSharing",
    scope=Scope.SHARES_WRITE,
    tags=TAGS,
)
async def finish_sharing(order_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[ShareView]:
    """What nobody got is let go to you, and nothing of this order can be shared any more. Without this call it comes
    by itself before the channel's window closes: after 29 days at Alipay, 179 at WeChat Pay. Repeating it is harmless.
    """

    async def run() -> ShareView:
        bind_contextvars(order_id=order_id)
        end = await api.end_sharing(caller, order_id)
        return share_view(await api.submit_share(end.id))

    return await once(api.answer_once, request, caller, None, run, status=200)


@get("/shares/{share_id:str}", summary="Get a share", operation_id="getShare", scope=Scope.SHARES_READ, tags=TAGS)
async def get_share(share_id: FromPath[str], api: Api, caller: Asker) -> ShareView:
    """A share by our id, as it stands now."""
    return share_view(await api.find_share(caller, share_id))


@get("/receivers", summary="List receivers", operation_id="listReceivers", scope=Scope.SHARES_READ, tags=TAGS)
async def list_receivers(api: Api, caller: Asker) -> ReceiverList:
    """Whom your channel accounts may share with. The platform adds them, with two people's consent."""
    return ReceiverList(data=[receiver_view(one) for one in await api.find_share.receivers(caller)])


HANDLERS = [request_share, list_shares, finish_sharing, get_share, list_receivers]
