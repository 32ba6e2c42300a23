"""What merchants send and receive about profit sharing, converted from the domain's own snapshots."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from adapters.inbound.http.bodies import MERCHANT_ORDER_NO, SUBJECT
from domain.channels import Channel, Mode
from domain.errors import InvalidRequest
from domain.money import Money
from domain.receivers import Receiver, ReceiverStatus
from domain.share_returns import ReturnStatus, ShareReturn
from domain.shares import MOST_PARTS, Share, ShareStatus, ShareWish, WishedPart
from domain.sharing import PartResult, ReceiverKind, Relation

_ORDER_ID = "ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"
_RECEIVER_ID = "rcv_01KB5P4Z0W3V7H2M9T8Q6R5N4R"
_AT = "2026-11-01T08:30:00.000+00:00"
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_]{1,64}(?!\n)$")]
_ModeOf = Annotated[Mode, Meta(description="Live money or test money.", examples=["test"])]
_Currency = Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
_CreatedAt = Annotated[str, Meta(description="RFC 3339 with offset.", examples=[_AT])]


class NewPart(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One receiver's part."""

    receiver_id: Annotated[Id, Meta(description="One of /v1/receivers.", examples=[_RECEIVER_ID])]
    amount: Annotated[int, Meta(ge=1, le=10**10, description="In minor units (fen).", examples=[300])]
    description: Annotated[
        str,
        Meta(min_length=1, max_length=80, pattern=SUBJECT, description="The receiver sees it.", examples=["佣金"]),
    ]


class NewShare(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is passed on of an order. The same one again returns the first; another under its number is refused."""

    merchant_share_no: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64, pattern=MERCHANT_ORDER_NO)],
        Meta(description="Your own number of this share, unique per mode.", examples=["20261101-S1"]),
    ]
    parts: Annotated[list[NewPart], Meta(min_length=1, max_length=MOST_PARTS, description="Each receiver once.")]

    def wish(self, order_id: str) -> ShareWish:
        """Raises InvalidRequest for a receiver that stands there twice."""
        if len({part.receiver_id for part in self.parts}) != len(self.parts):
            raise InvalidRequest("each receiver once", code="receiver_repeated", pointer="/parts")
        parts = tuple(
            WishedPart(receiver_id=part.receiver_id, amount=Money(part.amount), description=part.description)
            for part in self.parts
        )
        return ShareWish(merchant_share_no=self.merchant_share_no, order_id=order_id, parts=parts)


class PartView(msgspec.Struct, kw_only=True):
    """One receiver's part of a share."""

    receiver_id: Annotated[str, Meta(description="Whose it is.", examples=[_RECEIVER_ID])]
    account: Annotated[str, Meta(description="The receiver's account at the channel.", examples=["1900000109"])]
    amount: Annotated[int, Meta(ge=1, description="In minor units (fen).", examples=[300])]
    description: Annotated[str, Meta(description="As you gave it.", examples=["佣金"])]
    result: Annotated[
        PartResult, Meta(description="`closed`: this receiver gets nothing under this number.", examples=["succeeded"])
    ]
    reason: Annotated[str | None, Meta(description="The channel's word on why not.", examples=[None])]


class ShareView(msgspec.Struct, kw_only=True):
    """Money of an order that goes on to others (分账), or the end of its sharing."""

    id: Annotated[str, Meta(description="Our id.", examples=["shr_01KB5P4Z0W3V7H2M9T8Q6R5N4S"])]
    object: Annotated[Literal["share"], Meta(description="What kind of object this is.")]
    mode: _ModeOf
    order_id: Annotated[str, Meta(description="Whose payment is shared.", examples=[_ORDER_ID])]
    merchant_share_no: Annotated[str | None, Meta(description="Your number; null for the end.", examples=["S1"])]
    ends_sharing: Annotated[bool, Meta(description="Whether it lets go what nobody got.", examples=[False])]
    status: Annotated[
        ShareStatus,
        Meta(
            description="`finished` and `failed` are final. `unknown` is no failure: we ask until the channel tells. "
            "`planned`: the end, which comes by itself when the channel's window closes.",
            examples=["finished"],
        ),
    ]
    currency: _Currency
    parts: Annotated[list[PartView], Meta(description="Each with its own result; none in the end of sharing.")]
    number: Annotated[
        str, Meta(description="What the channel knows it by.", examples=["PTY01KB5P4Z0W3V7H2M9T8Q6R5N4D7"])
    ]
    failure: Annotated[str | None, Meta(description="Why the channel refused it as a whole.", examples=[None])]
    created_at: _CreatedAt
    finished_at: Annotated[str | None, Meta(description="The channel's time.", examples=[_AT])]


class ShareReturnView(msgspec.Struct, kw_only=True):
    """What a receiver gives back with a refund (分账回退)."""

    id: Annotated[str, Meta(description="Our id.", examples=["srt_01KB5P4Z0W3V7H2M9T8Q6R5N4T"])]
    object: Annotated[Literal["share_return"], Meta(description="What kind of object this is.")]
    mode: _ModeOf
    order_id: Annotated[str, Meta(description="Whose payment was shared.", examples=[_ORDER_ID])]
    share_id: Annotated[str, Meta(description="Of which share.", examples=["shr_01KB5P4Z0W3V7H2M9T8Q6R5N4S"])]
    refund_id: Annotated[str, Meta(description="For which refund.", examples=["ref_01KB5P4Z0W3V7H2M9T8Q6R5N4H"])]
    account: Annotated[str, Meta(description="The receiver's account at the channel.", examples=["1900000109"])]
    amount: Annotated[int, Meta(ge=1, description="In minor units (fen).", examples=[150])]
    currency: _Currency
    status: Annotated[
        ReturnStatus,
        Meta(
            description="`failed`: the receiver keeps it, and your own money pays the refund.", examples=["succeeded"]
        ),
    ]
    failure: Annotated[str | None, Meta(description="The channel's word on why not.", examples=[None])]
    created_at: _CreatedAt
    returned_at: Annotated[str | None, Meta(description="When it came back.", examples=[_AT])]


class ShareList(msgspec.Struct, kw_only=True):
    """An order's shares, oldest first, the end of its sharing among them, and what came back of them."""

    data: Annotated[list[ShareView], Meta(description="An order has at most 50 of them, and its end.")]
    returns: Annotated[list[ShareReturnView], Meta(description="Oldest first.")]
    next_cursor: Annotated[None, Meta(description="Always null: they fit on one page.", examples=[None])] = None


class ReceiverView(msgspec.Struct, kw_only=True):
    """Who may get a part of what one of your channel accounts is paid (分账接收方)."""

    id: Annotated[str, Meta(description="Our id.", examples=[_RECEIVER_ID])]
    object: Annotated[Literal["receiver"], Meta(description="What kind of object this is.")]
    mode: _ModeOf
    channel_account_id: Annotated[str, Meta(description="Which account shares.", examples=["cha_01KB5P4Z0W3V7H2M9T"])]
    channel: Annotated[Channel, Meta(description="At which channel.", examples=["wechat"])]
    kind: Annotated[ReceiverKind, Meta(description="What it is known by.", examples=["wechat_merchant"])]
    account: Annotated[str, Meta(description="Its account at the channel.", examples=["1900000109"])]
    relation: Annotated[Relation, Meta(description="What it is to the merchant.", examples=["service_provider"])]
    platform: Annotated[bool, Meta(description="Whether it is the platform itself.", examples=[True])]
    status: Annotated[
        ReceiverStatus,
        Meta(
            description="Only an `active` one gets shares; a second person and the channel agreed.", examples=["active"]
        ),
    ]
    failure: Annotated[str | None, Meta(description="Why it was refused.", examples=[None])]
    created_at: _CreatedAt


class ReceiverList(msgspec.Struct, kw_only=True):
    """Receivers, newest first."""

    data: Annotated[list[ReceiverView], Meta(description="Those of this mode.")]
    next_cursor: Annotated[None, Meta(description="Always null: they fit on one page.", examples=[None])] = None


def share_view(share: Share) -> ShareView:
    return msgspec.convert(share.snapshot(), ShareView)


def return_view(returned: ShareReturn) -> ShareReturnView:
    return msgspec.convert(returned.snapshot(), ShareReturnView)


def receiver_view(receiver: Receiver) -> ReceiverView:
    return msgspec.convert(receiver.snapshot(), ReceiverView)
