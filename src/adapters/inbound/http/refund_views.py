"""What merchants receive of refunds and of whole orders, converted from the domain's own snapshot."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from application.find_order import WholeOrder
from domain.channels import Mode
from domain.redirections import Destination
from domain.refunds import Refund, RefundOrigin, RefundStatus
from domain.times import rfc3339

FeeAmount = Annotated[
    int | None, Meta(description="Our fee, less what refunds returned of it; null before it is paid.", examples=[12])
]
NetAmount = Annotated[
    int | None, Meta(description="What you have of it after fee and refunds; null before it is paid.", examples=[1978])
]


class RefundView(msgspec.Struct, kw_only=True):
    """Money on its way back to a payer (退款). `accepted` is not `succeeded`; `unknown` is no failure."""

    id: Annotated[str, Meta(description="Our id.", examples=["ref_01KB5P4Z0W3V7H2M9T8Q6R5N4H"])]
    object: Annotated[Literal["refund"], Meta(description="What kind of object this is.")]
    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["test"])]
    order_id: Annotated[
        str | None, Meta(description="Whose payment goes back.", examples=["ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
    ]
    merchant_refund_no: Annotated[
        str | None, Meta(description="Your number of it; null if you did not ask for it.", examples=["20261101-R1"])
    ]
    status: Annotated[
        RefundStatus,
        Meta(
            description="`succeeded`, `failed` and `rejected` are final. `awaiting_channel_funds` is tried again by "
            "itself; `abnormal` needs us, or a person in the channel's console, to say where it goes.",
            examples=["succeeded"],
        ),
    ]
    amount: Annotated[int, Meta(ge=1, description="What the payer gets, in minor units (fen).", examples=[990])]
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    fee_returned: Annotated[int, Meta(ge=0, description="The part of our fee that comes back to you.", examples=[6])]
    reason: Annotated[str, Meta(description="As you gave it.", examples=["out of stock"])]
    origin: Annotated[
        RefundOrigin,
        Meta(
            description="`merchant` or `operator` asked; `suspense`: money that came late, twice or wrong goes back; "
            "`console`: made in the channel's own console.",
            examples=["merchant"],
        ),
    ]
    number: Annotated[
        str,
        Meta(description="What the channel knows it by (out_refund_no).", examples=["PTY01KB5P4Z0W3V7H2M9T8Q6R5N4D7"]),
    ]
    destination: Annotated[
        Destination,
        Meta(
            description="Where it went: `original`, the way that the payer paid; for one that was `abnormal` perhaps "
            "`payer_card`, another card, or `merchant_account`: who received the payment has to pay the payer.",
            examples=["original"],
        ),
    ]
    failure: Annotated[str | None, Meta(description="Why the channel refused it.", examples=[None])]
    created_at: Annotated[str, Meta(description="RFC 3339 with offset.", examples=["2026-11-01T08:30:00.000+00:00"])]
    succeeded_at: Annotated[
        str | None, Meta(description="The channel's time.", examples=["2026-11-01T08:30:02.000+00:00"])
    ]


class RefundList(msgspec.Struct, kw_only=True):
    """Refunds, oldest first."""

    data: Annotated[list[RefundView], Meta(description="The refunds found; an order has a few.")]
    next_cursor: Annotated[None, Meta(description="Always null: they fit on one page.", examples=[None])] = None


class HistoryView(msgspec.Struct, kw_only=True):
    """One step of an order's history."""

    id: Annotated[str, Meta(description="The event's id.", examples=["evt_01KB5P4Z0W8R5N4C2M9T8Q6R5N"])]
    type: Annotated[str, Meta(description="Object and what happened to it.", examples=["order.paid"])]
    object_id: Annotated[str, Meta(description="To which object.", examples=["ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    timestamp: Annotated[str, Meta(description="RFC 3339 with offset.", examples=["2026-11-01T08:30:00.000+00:00"])]


def refund_view(refund: Refund) -> RefundView:
    return msgspec.convert(refund.snapshot(), RefundView)


def whole_order(whole: WholeOrder, public_url: str) -> dict[str, Any]:
    """The fields of an order with all that came of it."""
    return {
        **whole.order.snapshot(),
        "cashier_url": f"{public_url}/pay/{whole.order.cashier_token}",
        "fee_amount": whole.fee.minor if whole.fee is not None else None,
        "net_amount": whole.net.minor if whole.net is not None else None,
        "attempts": [attempt.snapshot() for attempt in whole.attempts],
        "refunds": [refund.snapshot() for refund in whole.refunds],
        "events": [
            {"id": event.id, "type": event.type, "object_id": event.object_id, "timestamp": rfc3339(event.at)}
            for event in whole.events
        ],
    }
