"""/v1/deliveries: what was sent where, what came back, and once more if you like."""

from typing import Annotated

from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter

from adapters.inbound.http.bodies import ResendMissed
from adapters.inbound.http.kit import Api, Asker, Cursor, Limit, Req
from adapters.inbound.http.once import once
from adapters.inbound.http.views import (
    DeliveryDetail,
    DeliveryLog,
    ListedDelivery,
    Resent,
    TestSent,
    delivery_detail,
    delivery_log,
    listed_delivery,
)
from domain.merchants import Scope
from domain.notifications import DeliveryStatus

TAGS = ["Webhook endpoints"]


@get(
    "/deliveries",
    summary="See the delivery log",
    operation_id="listDeliveryLog",
    scope=Scope.EVENTS_READ,
    tags=TAGS,
)
async def list_log(
    *,
    api: Api,
    caller: Asker,
    endpoint_id: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=64,
            description="Only to this endpoint.",
            examples=[Example(value="whe_01KB5P4Z0W3V7H2M9T8Q6R5N4F")],
        ),
    ] = None,
    event_id: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=64,
            description="Only of this event.",
            examples=[Example(value="evt_01KB5P4Z0W8R5N4C2M9T8Q6R5N")],
        ),
    ] = None,
    status: Annotated[
        DeliveryStatus | None,
        QueryParameter(description="Only those that stand so.", examples=[Example(value="exhausted")]),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> DeliveryLog:
    """Deliveries, newest first: by endpoint, by event, by status."""
    return delivery_log(
        await api.queries.delivery_log(
            caller.merchant_id,
            caller.mode,
            endpoint_id=endpoint_id,
            event_id=event_id,
            status=status,
            cursor=cursor,
            limit=limit,
        )
    )


@get(
    "/deliveries/{delivery_id:str}",
    summary="See a delivery",
    operation_id="getDelivery",
    scope=Scope.EVENTS_READ,
    tags=TAGS,
)
async def get_delivery(delivery_id: FromPath[str], api: Api, caller: Asker) -> DeliveryDetail:
    """What was sent, and for each try what came back. The signature is not kept: it is made anew for each try."""
    return delivery_detail(await api.queries.delivery(caller.merchant_id, caller.mode, delivery_id))


@post(
    "/deliveries/{delivery_id:str}/resend",
    status_code=200,
    summary="Send a delivery again",
    operation_id="resendDelivery",
    scope=Scope.WEBHOOKS_WRITE,
    tags=TAGS,
)
async def resend(delivery_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[ListedDelivery]:
    """Due at once under the same webhook-id, with the whole schedule of tries before it, whatever became of it."""

    async def run() -> ListedDelivery:
        return listed_delivery(await api.resend.one(caller, delivery_id))

    return await once(api.answer_once, request, caller, None, run, status=200)


@post(
    "/webhook_endpoints/{endpoint_id:str}/resend",
    status_code=200,
    summary="Send what an endpoint missed",
    operation_id="resendMissed",
    scope=Scope.WEBHOOKS_WRITE,
    tags=TAGS,
)
async def resend_missed(
    endpoint_id: FromPath[str], data: JSONBody[ResendMissed], request: Req, api: Api, caller: Asker
) -> Response[Resent]:
    """All events of a time that this endpoint wants and has not taken: given up, cancelled, or never sent to it.

    At most 500 in one call; while `more` is true, call again.
    """

    async def run() -> Resent:
        data.check()
        count, more = await api.resend.missed(caller, endpoint_id, data.since, data.until)
        return Resent(resent=count, more=more)

    return await once(api.answer_once, request, caller, data, run, status=200)


@post(
    "/webhook_endpoints/{endpoint_id:str}/test",
    summary="Send a test event",
    operation_id="testEndpoint",
    scope=Scope.WEBHOOKS_WRITE,
    tags=TAGS,
)
async def test_endpoint(endpoint_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[TestSent]:
    """A `webhook.test` event for this endpoint alone, signed and sent like every other. See what came of it with
    `GET /v1/deliveries?event_id=…`."""

    async def run() -> TestSent:
        return TestSent(event_id=(await api.keep_endpoints.test(caller, endpoint_id)).id)

    return await once(api.answer_once, request, caller, None, run)


HANDLERS = [list_log, get_delivery, resend, resend_missed, test_endpoint]
