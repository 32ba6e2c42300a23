"""Pitaya's webhook at the shop: believed only when it verifies and its amount fits our own order."""

import asyncio
from typing import Any

import msgspec
import standardwebhooks
import structlog
from litestar import Request, Response, post
from litestar.di import NamedDependency

from sandbox.model import Notification, Settings, ShopOrder
from sandbox.shop import books
from sandbox.wire import utc
from sandbox.world import World

log = structlog.get_logger(__name__)


class _Snapshot(msgspec.Struct):
    """What the shop reads of an order, an attempt or a refund."""

    id: str
    amount: int
    status: str
    currency: str = "CNY"
    merchant_order_no: str | None = None
    order_id: str | None = None


class _Event(msgspec.Struct):
    """What the shop reads of any event."""

    type: str
    data: msgspec.Raw


@post("/shop/notifications")
async def notified(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[dict[str, str]]:
    """Takes an event once, however often it comes."""
    settings, body = world.store.settings(), await request.body()
    if settings.shop_mode == "error":
        return Response({"code": "SHOP_DOWN"}, status_code=500)
    if settings.shop_mode == "silent":
        await world.stopping.wait()
    if settings.shop_mode == "slow":
        await asyncio.sleep(settings.shop_seconds)
    event = _verified(settings, body, dict(request.headers))
    if event is None:
        return Response({"code": "INVALID_SIGNATURE"}, status_code=401)
    return Response({"result": _take(world, event, request.headers["webhook-id"])}, status_code=200)


def _verified(settings: Settings, body: bytes, headers: dict[str, str]) -> _Event | None:
    """The event, if the raw bytes are signed with our secret and are an event at all."""
    if not settings.shop_webhook_secret:
        return None
    try:
        standardwebhooks.Webhook(settings.shop_webhook_secret).verify(body, headers, json_parse=False)
        return msgspec.json.decode(body, type=_Event)
    except (standardwebhooks.WebhookVerificationError, msgspec.DecodeError, ValueError) as error:
        log.warning("webhook refused", reason=str(error))
        return None


def _take(world: World, event: _Event, webhook_id: str) -> str:
    """Counts an event once by its webhook-id, and believes it for an amount that fits our order only."""
    try:
        told = msgspec.json.decode(event.data, type=_Snapshot)
    except msgspec.DecodeError:
        return "ignored"
    of_order = event.type.startswith("order.")
    if of_order:
        order = world.store.shop_order(told.merchant_order_no or "")
    else:
        order = books.by_id(world, told.order_id or "")
    if order is None:
        return "unknown order"
    known = [one for one in order.verified_notifications if one.id == webhook_id]
    if known:
        known[0].times += 1
    else:
        fits = told.currency == "CNY"
        fits &= told.amount <= order.amount if event.type.startswith("refund.") else told.amount == order.amount
        received = Notification(webhook_id, event.type, utc(world.now()), amount_matches=fits)
        order.verified_notifications.append(received)
        if fits:
            _believe(order, event.type, told)
        if of_order and not order.order_id:
            books.known(world, order, told.id)
    world.store.save_shop_order(order)
    return "duplicate" if known else "ok"


def _believe(order: ShopOrder, event: str, told: _Snapshot) -> None:
    if event == "order.paid" and told.status == "paid":
        order.status = "paid"
    elif event == "order.closed" and order.status != "paid":
        order.status = "closed"
    elif event == "refund.succeeded":
        order.refunded += told.amount


handlers = [notified]
