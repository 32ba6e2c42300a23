"""What merchants receive. Each view is converted from the domain's own snapshot, so that there is one truth."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapters.inbound.http.refund_views import FeeAmount, HistoryView, NetAmount, RefundView, whole_order
from application.find_order import WholeOrder
from application.ports.queries import Page
from domain.attempts import Attempt, AttemptStatus
from domain.channels import ActionType, FundMode, Method, Mode
from domain.merchants import ApiKey, Scope
from domain.notifications import Delivery, DeliveryStatus, Disabled, Endpoint
from domain.orders import OrderStatus

Time = Annotated[str, Meta(description="RFC 3339 with offset.", examples=["2026-11-01T08:30:00.000+00:00"])]
OBJECT = Meta(description="What kind of object this is.")
Fen = Annotated[int, Meta(ge=0, description="In minor units (fen).", examples=[1990])]


class ActionView(msgspec.Struct, kw_only=True):
    """What the payer needs next."""

    type: Annotated[
        ActionType,
        Meta(
            description="`qr_code`: show `value` as a QR code. `redirect`: send the payer's browser to `value`. "
            "`form`: POST `fields` to `value` from the payer's browser. `sdk`: hand `fields` (WeChat Pay) or `value` "
            "(Alipay's order string, or trade number for `alipay_jsapi`) to the channel's SDK.",
            examples=["qr_code"],
        ),
    ]
    value: Annotated[
        str, Meta(description="Content, address or order string.", examples=["https://qr.alipay.com/bax0"])
    ]
    fields: Annotated[dict[str, str], Meta(description="Of a form, or for an SDK.", examples=[{}])]


class AttemptView(msgspec.Struct, kw_only=True):
    """One try to pay an order by one method (支付流水)."""

    id: Annotated[str, Meta(description="Our id.", examples=["att_01KB5P4Z0W3V7H2M9T8Q6R5N4C"])]
    object: Annotated[Literal["attempt"], OBJECT]
    order_id: Annotated[str, Meta(description="The order it pays.", examples=["ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    method: Annotated[Method, Meta(description="The payment method.", examples=["alipay_qr"])]
    status: Annotated[
        AttemptStatus,
        Meta(description="`unknown` is no failure: the channel has not told yet.", examples=["pending"]),
    ]
    number: Annotated[
        str,
        Meta(description="What the channel knows it by (out_trade_no).", examples=["PTY01KB5P4Z0W3V7H2M9T8Q6R5N4D7"]),
    ]
    amount: Fen
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    fund_mode: Annotated[
        FundMode, Meta(description="Who receives the money: the platform or you.", examples=["direct"])
    ]
    instalments: Annotated[int | None, Meta(description="Huabei instalments, if chosen.", examples=[None])]
    action: Annotated[
        ActionView | None,
        Meta(description="What the payer needs next, while it can be paid; null for a bar code, which needs nothing."),
    ]
    failure: Annotated[str | None, Meta(description="Why the channel refused it.", examples=[None])]
    created_at: Time
    expires_at: Time


class _OrderFields(msgspec.Struct, kw_only=True):
    id: Annotated[str, Meta(description="Our id.", examples=["ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["order"], OBJECT]
    mode: Annotated[Mode, Meta(description="Live money or test money, as your key says.", examples=["test"])]
    merchant_order_no: Annotated[str, Meta(description="Your number of it.", examples=["20261101-0001"])]
    status: Annotated[OrderStatus, Meta(description="Where it stands.", examples=["pending"])]
    amount: Fen
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    paid_amount: Fen
    refunded_amount: Fen
    refunding_amount: Fen
    subject: Annotated[str, Meta(description="What the payer buys.", examples=["Coffee, large"])]
    method: Annotated[Method | None, Meta(description="How it was paid, or is to be paid.", examples=["alipay_qr"])]
    return_url: Annotated[
        str | None, Meta(description="Where the payer goes afterwards.", examples=["https://shop.example.com/thanks"])
    ]
    notify_url: Annotated[
        str | None,
        Meta(
            description="Where this order's events go beside your endpoints.",
            examples=["https://shop.example.com/hooks/pitaya"],
        ),
    ]
    payer_ip: Annotated[str | None, Meta(description="As you told us.", examples=["203.0.113.7"])]
    locale: Annotated[str | None, Meta(description="The cashier's language.", examples=["zh-CN"])]
    metadata: Annotated[dict[str, str], Meta(description="Your own texts.", examples=[{"table": "7"}])]
    profit_sharing: Annotated[bool, Meta(description="Whether it may be shared (分账).", examples=[False])]
    created_at: Time
    expires_at: Annotated[Time, Meta(description="After this nobody can start to pay it.")]
    paid_at: Annotated[str | None, Meta(description="The channel's time of the payment.", examples=[None])]
    closed_at: Annotated[str | None, Meta(description="When it was closed.", examples=[None])]
    close_reason: Annotated[str | None, Meta(description="`expired` or `merchant`.", examples=[None])]


class OrderView(_OrderFields, kw_only=True):
    """An order (支付订单) with its attempts, refunds and history, and what it is worth to you."""

    cashier_url: Annotated[
        str, Meta(description="Send the payer here.", examples=["https://pay.example.com/pay/4fT9x2"])
    ]
    fee_amount: FeeAmount
    net_amount: NetAmount
    attempts: Annotated[list[AttemptView], Meta(description="Oldest first.")]
    refunds: Annotated[list[RefundView], Meta(description="Oldest first; also of money that came late or twice.")]
    events: Annotated[list[HistoryView], Meta(description="All that happened to it, oldest first.")]


class ListedOrder(_OrderFields, kw_only=True):
    """An order in a list. Asked for by ``merchant_order_no`` it also has its cashier address and attempts."""

    cashier_url: Annotated[
        str | UnsetType,
        Meta(description="Only with `merchant_order_no`.", examples=["https://pay.example.com/pay/4fT9x2"]),
    ] = UNSET
    fee_amount: FeeAmount | UnsetType = UNSET
    net_amount: NetAmount | UnsetType = UNSET
    attempts: Annotated[list[AttemptView] | UnsetType, Meta(description="Only with `merchant_order_no`.")] = UNSET
    refunds: Annotated[list[RefundView] | UnsetType, Meta(description="Only with `merchant_order_no`.")] = UNSET
    events: Annotated[list[HistoryView] | UnsetType, Meta(description="Only with `merchant_order_no`.")] = UNSET


class PayerView(msgspec.Struct, kw_only=True):
    """Who pays, for `payer_id` of an attempt."""

    payer_id: Annotated[
        str, Meta(description="It belongs to one app at the channel.", examples=["oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"])
    ]
    payer_app_id: Annotated[
        str, Meta(description="That app. Send both when you start the attempt.", examples=["wx0000000000000001"])
    ]


NextCursor = Annotated[
    str | None, Meta(description="Pass it as `cursor` for the next page; null at the end.", examples=[None])
]


NoCursor = Annotated[None, Meta(description="Always null: they fit on one page.", examples=[None])]


class OrderPage(msgspec.Struct, kw_only=True):
    """Orders, newest first."""

    data: Annotated[list[ListedOrder], Meta(description="The orders of this page.")]
    next_cursor: NextCursor


class EventView(msgspec.Struct, kw_only=True):
    """Something that happened, exactly as it is posted to your endpoints."""

    id: Annotated[
        str, Meta(description="Also the webhook-id of every delivery.", examples=["evt_01KB5P4Z0W8R5N4C2M9T8Q6R5N"])
    ]
    type: Annotated[str, Meta(description="Object and what happened to it.", examples=["order.paid"])]
    api_version: Annotated[str, Meta(description="The shape of `data`.", examples=["2026-11-01"])]
    timestamp: Time
    data: Annotated[
        dict[str, Any], Meta(description="The object as it was then.", examples=[{"id": "ord_01", "status": "paid"}])
    ]


class EventPage(msgspec.Struct, kw_only=True):
    """Events, oldest first."""

    data: Annotated[list[EventView], Meta(description="The events of this page.")]
    next_cursor: Annotated[
        str | None,
        Meta(description="Keep it and ask again with it later: it never goes stale.", examples=["ZXw3NDF8MTI"]),
    ]


class TryView(msgspec.Struct, kw_only=True):
    """One POST to your endpoint and what came of it."""

    at: Time
    status_code: Annotated[int | None, Meta(description="Null when there was no answer.", examples=[200])]
    error: Annotated[str | None, Meta(description="Why there was no answer.", examples=[None])]
    body: Annotated[str, Meta(description="The beginning of your answer.", examples=["ok"])]
    duration_ms: Annotated[int, Meta(description="How long you took, in milliseconds.", examples=[83])]


class _DeliveryFields(msgspec.Struct, kw_only=True):
    id: Annotated[str, Meta(description="Our id.", examples=["dlv_01KB5P4Z0W3V7H2M9T8Q6R5N4E"])]
    object: Annotated[Literal["delivery"], OBJECT]
    event_id: Annotated[str, Meta(description="Also the webhook-id.", examples=["evt_01KB5P4Z0W8R5N4C2M9T8Q6R5N"])]
    endpoint_id: Annotated[
        str, Meta(description="Which of your endpoints.", examples=["whe_01KB5P4Z0W3V7H2M9T8Q6R5N4F"])
    ]
    url: Annotated[str, Meta(description="Where it goes.", examples=["https://shop.example.com/hooks/pitaya"])]
    status: Annotated[DeliveryStatus, Meta(description="`exhausted` after the last try.", examples=["delivered"])]
    created_at: Time
    next_at: Annotated[str | None, Meta(description="When it is tried next.", examples=[None])]


class DeliveryView(_DeliveryFields, kw_only=True):
    """One event on its way to one endpoint."""

    next_at: Annotated[str | None, Meta(description="When it is tried next.", examples=[None])]
    tries: Annotated[list[TryView], Meta(description="Each POST so far.")]


class DeliveryList(msgspec.Struct, kw_only=True):
    """Deliveries of one event; none while it has not been fanned out, or when there is no such event."""

    data: Annotated[list[DeliveryView], Meta(description="Oldest first.")]
    next_cursor: NoCursor = None


class ListedDelivery(_DeliveryFields, kw_only=True):
    """A delivery in a list."""

    tries: Annotated[int, Meta(ge=0, description="How often it was tried.", examples=[1])]


class DeliveryLog(msgspec.Struct, kw_only=True):
    """Deliveries, newest first."""

    data: Annotated[list[ListedDelivery], Meta(description="The deliveries of this page.")]
    next_cursor: NextCursor


class RequestView(msgspec.Struct, kw_only=True):
    """What every try sends. Each has its own webhook-timestamp and webhook-signature beside."""

    method: Annotated[str, Meta(description="HTTP.", examples=["POST"])]
    url: Annotated[str, Meta(description="Where to.", examples=["https://shop.example.com/hooks/pitaya"])]
    headers: Annotated[
        dict[str, str],
        Meta(description="Those of all tries.", examples=[{"webhook-id": "evt_01KB5P4Z0W8R5N4C2M9T8Q6R5N"}]),
    ]
    body: Annotated[EventView, Meta(description="The event.")]


class DeliveryDetail(_DeliveryFields, kw_only=True):
    """A delivery with its request and each try."""

    request: Annotated[RequestView, Meta(description="What is sent.")]
    tries: Annotated[list[TryView], Meta(description="Each POST so far, oldest first.")]


class Resent(msgspec.Struct, kw_only=True):
    """What a call to resend has done."""

    resent: Annotated[int, Meta(ge=0, description="How many are due now.", examples=[3])]
    more: Annotated[bool, Meta(description="Whether some are left: call again.", examples=[False])]


class TestSent(msgspec.Struct, kw_only=True):
    """The test event that is on its way."""

    event_id: Annotated[str, Meta(description="Its id.", examples=["evt_01KB5P4Z0W8R5N4C2M9T8Q6R5N"])]


class EndpointView(msgspec.Struct, kw_only=True):
    """An address of yours. Without a ``url`` it stands for the notify_url that an order may name."""

    id: Annotated[str, Meta(description="Our id.", examples=["whe_01KB5P4Z0W3V7H2M9T8Q6R5N4F"])]
    object: Annotated[Literal["webhook_endpoint"], OBJECT]
    url: Annotated[
        str | None, Meta(description="Where your events go.", examples=["https://shop.example.com/hooks/pitaya"])
    ]
    event_types: Annotated[list[str], Meta(description="None means all.", examples=[["order.paid"]])]
    enabled: Annotated[bool, Meta(description="Whether anything is sent to it.", examples=[True])]
    disabled_reason: Annotated[
        Disabled | None,
        Meta(
            description="`merchant`: you switched it off; `gone`: it answered 410; `failing`: nothing but failures for "
            "five days.",
            examples=[None],
        ),
    ]
    disabled_at: Annotated[str | None, Meta(description="Since when it is off.", examples=[None])]
    previous_secret_until: Annotated[
        str | None, Meta(description="Until when the previous secret signs beside the current one.", examples=[None])
    ]
    created_at: Time


class EndpointList(msgspec.Struct, kw_only=True):
    """All your endpoints of this mode, oldest first."""

    data: Annotated[list[EndpointView], Meta(description="Oldest first; at most 16.")]
    next_cursor: NoCursor = None


class SecretView(msgspec.Struct, kw_only=True):
    """The signing secret, as every Standard Webhooks library takes it."""

    secret: Annotated[
        str, Meta(description="`whsec_` and base64.", examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    ]


class KeyView(msgspec.Struct, kw_only=True):
    """An API key, without the key itself."""

    id: Annotated[str, Meta(description="Our id.", examples=["key_01KB5P4Z0W3V7H2M9T8Q6R5N4G"])]
    object: Annotated[Literal["api_key"], OBJECT]
    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["test"])]
    name: Annotated[str, Meta(description="As you named it.", examples=["Till 3"])]
    prefix: Annotated[str, Meta(description="How it begins.", examples=["pty_sk_test_"])]
    last4: Annotated[str, Meta(description="How it ends.", examples=["x7Qa"])]
    scopes: Annotated[list[Scope] | None, Meta(description="Null for everything.", examples=[["orders.read"]])]
    created_at: Time
    last_used_at: Annotated[str | None, Meta(description="To the minute.", examples=[None])]
    expires_at: Annotated[str | None, Meta(description="When it stops working.", examples=[None])]
    revoked_at: Annotated[str | None, Meta(description="When it was revoked.", examples=[None])]


class MadeKeyView(KeyView, kw_only=True):
    """A key just made."""

    secret: Annotated[
        str | None,
        Meta(
            description="The key. Shown this once; null in an answer repeated for its Idempotency-Key.",
            examples=["pty_sk_test_0000000000000000000000000000000000000000000"],
        ),
    ]


class KeyList(msgspec.Struct, kw_only=True):
    """Your keys of this mode."""

    data: Annotated[list[KeyView], Meta(description="Newest first; at most 100.")]
    next_cursor: NoCursor = None


def key_view(key: ApiKey) -> KeyView:
    return msgspec.convert(key.snapshot(), KeyView)


def made_key(key: ApiKey, text: str) -> MadeKeyView:
    return msgspec.convert({**key.snapshot(), "secret": text}, MadeKeyView)


def order_view(whole: WholeOrder, public_url: str) -> OrderView:
    return msgspec.convert(whole_order(whole, public_url), OrderView)


def listed_order(whole: WholeOrder, public_url: str) -> ListedOrder:
    return msgspec.convert(whole_order(whole, public_url), ListedOrder)


def attempt_view(attempt: Attempt) -> AttemptView:
    return msgspec.convert(attempt.snapshot(), AttemptView)


def order_page(page: Page) -> OrderPage:
    return msgspec.convert({"data": [dict(row) for row in page.rows], "next_cursor": page.next_cursor}, OrderPage)


def event_page(page: Page) -> EventPage:
    return msgspec.convert({"data": [dict(row) for row in page.rows], "next_cursor": page.next_cursor}, EventPage)


def delivery_list(rows: Sequence[Mapping[str, Any]]) -> DeliveryList:
    return msgspec.convert({"data": [dict(row) for row in rows]}, DeliveryList)


def delivery_log(page: Page) -> DeliveryLog:
    return msgspec.convert({"data": [dict(row) for row in page.rows], "next_cursor": page.next_cursor}, DeliveryLog)


def delivery_detail(row: Mapping[str, Any]) -> DeliveryDetail:
    return msgspec.convert(dict(row), DeliveryDetail)


def listed_delivery(delivery: Delivery) -> ListedDelivery:
    return msgspec.convert(delivery.snapshot(), ListedDelivery)


def endpoint_view(endpoint: Endpoint) -> EndpointView:
    return msgspec.convert(endpoint.snapshot(), EndpointView)
