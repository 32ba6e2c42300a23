"""/v1/orders: place, find, list, try to pay, close."""

from typing import Annotated

from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter
from structlog.contextvars import bind_contextvars

from adapters.inbound.http.bodies import MERCHANT_ORDER_NO, NewAttempt, NewOrder, NewPayer
from adapters.inbound.http.kit import Api, Asker, Cursor, Limit, Req
from adapters.inbound.http.once import once
from adapters.inbound.http.parts import ApiParts
from adapters.inbound.http.views import (
    AttemptView,
    OrderPage,
    OrderView,
    PayerView,
    attempt_view,
    listed_order,
    order_page,
    order_view,
)
from application.find_order import WholeOrder
from domain.channels import Method
from domain.choices import Choice
from domain.errors import Conflict, InvalidRequest, NotFound
from domain.merchants import Caller, Scope
from domain.orders import OrderStatus

# A repeated call for an order that has moved on is answered with the order, not with a refusal.
_MOVED_ON = frozenset({"order_paid", "order_closed", "order_expired"})


@post("/orders", summary="Place an order", operation_id="placeOrder", scope=Scope.ORDERS_WRITE, tags=["Orders"])
async def place_order(data: JSONBody[NewOrder], request: Req, api: Api, caller: Asker) -> Response[OrderView]:
    """Place an order to collect money for. The answer is 201 for the first call and for every equal repetition.

    With a `method` the payment is opened at once and its attempt carries what the payer needs. If the channel cannot
    be reached, the call fails with 503 or 504: repeat it unchanged, which continues the same order and attempt.
    """
    return await once(api.answer_once, request, caller, data, lambda: _place(api, caller, data))


async def _place(api: ApiParts, caller: Caller, data: NewOrder) -> OrderView:
    asked, choice = data.request(), data.choice()
    if asked.notify_url is not None:
        _check_notify_url(api, asked.notify_url)
    order = await api.place_order(caller, asked)
    bind_contextvars(order_id=order.id)
    just_placed = bool(order.events)  # an order that still carries its first event was not there before
    if just_placed:
        api.metrics.orders_placed.labels(str(caller.mode)).inc()
    if choice is not None:
        try:
            await _start(api, caller, order.id, choice)
        except Conflict as conflict:
            if conflict.code not in _MOVED_ON:
                raise
    elif just_placed:
        return order_view(WholeOrder(order, events=order.events), api.public_url)
    return order_view(await api.find_order(caller, order.id), api.public_url)


def _check_notify_url(api: ApiParts, url: str) -> None:
    try:
        api.check_url(url)
    except InvalidRequest as refusal:
        raise InvalidRequest(str(refusal), code=refusal.code, pointer="/notify_url") from None


@get(
    "/orders/{order_id:str}", summary="Get an order", operation_id="getOrder", scope=Scope.ORDERS_READ, tags=["Orders"]
)
async def get_order(order_id: FromPath[str], api: Api, caller: Asker) -> OrderView:
    """An order by our id, with its attempts, refunds, fee, net amount and history."""
    return order_view(await api.find_order(caller, order_id), api.public_url)


@get(
    "/orders",
    summary="List orders, or find one by your number",
    operation_id="listOrders",
    scope=Scope.ORDERS_READ,
    tags=["Orders"],
)
async def list_orders(
    *,
    api: Api,
    caller: Asker,
    merchant_order_no: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=64,
            pattern=MERCHANT_ORDER_NO,
            description="Find the order with this number of yours. Stands alone.",
            examples=[Example(value="20261101-0001")],
        ),
    ] = None,
    status: Annotated[
        OrderStatus | None, QueryParameter(description="Only orders that stand so.", examples=[Example(value="paid")])
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> OrderPage:
    """Your orders of this mode, newest first, page by page.

    With `merchant_order_no` the list has that one order, with attempts and cashier address, or is empty.
    """
    if merchant_order_no is None:
        return order_page(
            await api.queries.orders(caller.merchant_id, caller.mode, status=status, cursor=cursor, limit=limit)
        )
    if status is not None or cursor is not None:
        raise InvalidRequest("merchant_order_no stands alone", code="parameter_conflict")
    try:
        found = [listed_order(await api.find_order.numbered(caller, merchant_order_no), api.public_url)]
    except NotFound:
        found = []
    return OrderPage(data=found, next_cursor=None)


@post(
    "/orders/{order_id:str}/attempts",
    summary="Start to pay",
    operation_id="startAttempt",
    scope=Scope.ORDERS_WRITE,
    tags=["Orders"],
)
async def start_attempt(
    order_id: FromPath[str], data: JSONBody[NewAttempt], request: Req, api: Api, caller: Asker
) -> Response[AttemptView]:
    """Open a payment of this order by one method. Repeating the call returns the same attempt.

    An open attempt by another method is closed at its channel first. After 503 or 504 repeat the call unchanged.

    A bar code is charged at once: `succeeded`, or `pending` while the payer enters a password, or `unknown` when the
    channel did not answer. What is undecided is settled within a minute, and an event says how: `order.paid`,
    or `attempt.reversed`, `attempt.closed` or `attempt.failed` when no money came, and another code may be scanned.
    """

    async def run() -> AttemptView:
        return await _start(api, caller, order_id, data.choice())

    return await once(api.answer_once, request, caller, data, run)


async def _start(api: ApiParts, caller: Caller, order_id: str, choice: Choice) -> AttemptView:
    bind_contextvars(order_id=order_id)
    attempt = await api.start_attempt(caller, order_id, choice)
    bind_contextvars(attempt_id=attempt.id)
    api.metrics.attempts_started.labels(str(choice.method)).inc()
    return attempt_view(attempt)


@post(
    "/orders/{order_id:str}/payer",
    status_code=200,
    summary="Find out who pays",
    operation_id="identifyPayer",
    scope=Scope.ORDERS_WRITE,
    tags=["Orders"],
)
async def identify_payer(
    order_id: FromPath[str], data: JSONBody[NewPayer], request: Req, api: Api, caller: Asker
) -> Response[PayerView]:
    """Turn the code of a mini-program or OAuth page into the `payer_id` that starting an attempt asks for. Your app's
    secret stays with us."""

    async def run() -> PayerView:
        bind_contextvars(order_id=order_id)
        payer = await api.identify_payer(caller, order_id, Method(data.method), data.code, data.payer_app_id)
        return PayerView(payer_id=payer.id, payer_app_id=payer.app_id)

    return await once(api.answer_once, request, caller, data, run, status=200)


@post(
    "/orders/{order_id:str}/close",
    status_code=200,
    summary="Close an order",
    operation_id="closeOrder",
    scope=Scope.ORDERS_WRITE,
    tags=["Orders"],
)
async def close_order(order_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[OrderView]:
    """Make sure that nobody pays this order any more: its payments are closed at the channel, then the order here.

    409 `order_paid` when the money was faster. While a channel cannot tell, the order stays pending: repeat the call.
    Closing a closed order returns it.
    """

    async def run() -> OrderView:
        await api.find_order(caller, order_id)  # whose order is it?
        bind_contextvars(order_id=order_id)
        await api.close_order(order_id, "merchant")
        return order_view(await api.find_order(caller, order_id), api.public_url)

    return await once(api.answer_once, request, caller, None, run, status=200)


HANDLERS = [place_order, get_order, list_orders, start_attempt, identify_payer, close_order]
