"""/admin/v1: receivers of shares, by two people's consent, and what was shared."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import END, PLAIN, Admin, Who, once
from adapters.inbound.http.kit import Req
from adapters.inbound.http.share_views import (
    Id,
    ReceiverList,
    ReceiverView,
    ShareList,
    receiver_view,
    return_view,
    share_view,
)
from domain.merchants import Caller
from domain.receivers import ReceiverWish
from domain.sharing import ReceiverKind, Relation

TAGS = ["Profit sharing"]


class NewReceiver(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whom a merchant's channel account may share with."""

    kind: Annotated[
        ReceiverKind,
        Meta(
            description="What it is known by: a mchid, an openid of the app that collects, a user id, a login name.",
            examples=["wechat_merchant"],
        ),
    ]
    account: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z@._+-]+" + END)],
        Meta(description="Its account at the channel.", examples=["1900000109"]),
    ]
    name: Annotated[
        Annotated[str, Meta(max_length=100, pattern=r"^$|" + PLAIN)],
        Meta(description="The owner's full name, which the channel compares.", examples=["火龙果科技有限公司"]),
    ] = ""
    relation: Annotated[Relation, Meta(description="What it is to the merchant.", examples=["service_provider"])]
    platform_account_id: Annotated[
        Id | None,
        Meta(
            description="Where it is the platform itself: its channel account that the money comes to. Its part pays "
            "the service fee that is due first.",
            examples=[None],
        ),
    ] = None


@post(
    "/channel_accounts/{account_id:str}/receivers",
    summary="Propose a receiver",
    operation_id="proposeReceiver",
    tags=TAGS,
    opt=needs("sharing.propose", step_up=True),
)
async def propose_receiver(
    account_id: FromPath[str], data: JSONBody[NewReceiver], request: Req, admin: Admin, actor: Who
) -> Response[ReceiverView]:
    """Another person, with `sharing.approve`, decides; then the channel is told, and it is `active` or `refused`."""

    async def run() -> ReceiverView:
        wish = ReceiverWish(
            account_id=account_id,
            kind=data.kind,
            account=data.account,
            name=data.name,
            relation=data.relation,
            platform_account_id=data.platform_account_id,
        )
        return receiver_view(await admin.propose_receiver(actor, wish))

    return await once(admin, request, actor, data, run)


@get(
    "/merchants/{merchant_id:str}/receivers",
    summary="List a merchant's receivers",
    operation_id="listMerchantReceivers",
    tags=TAGS,
    opt=needs("sharing.read"),
)
async def list_receivers(merchant_id: FromPath[str], admin: Admin) -> ReceiverList:
    """Of both modes, newest first, those that are gone among them."""
    return ReceiverList(data=[receiver_view(one) for one in await admin.find_share.of_merchant(merchant_id)])


@post(
    "/receivers/{receiver_id:str}/remove",
    status_code=200,
    summary="Remove a receiver",
    operation_id="removeReceiver",
    tags=TAGS,
    opt=needs("sharing.remove"),
)
async def remove_receiver(receiver_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[ReceiverView]:
    """From now on it gets nothing; the channel is told by the next sweep."""

    async def run() -> ReceiverView:
        return receiver_view(await admin.remove_receiver(actor, receiver_id))

    return await once(admin, request, actor, None, run, status=200)


@get(
    "/orders/{order_id:str}/shares",
    summary="List an order's shares",
    operation_id="listOrderShares",
    tags=TAGS,
    opt=needs("sharing.read"),
)
async def list_shares(order_id: FromPath[str], admin: Admin) -> ShareList:
    """All that was shared of it, and what came back before refunds."""
    whose: Caller = await admin.find_share.owner(order_id)
    shares, returns = await admin.find_share.of_order(whose, order_id)
    return ShareList(data=[share_view(one) for one in shares], returns=[return_view(one) for one in returns])


HANDLERS = [propose_receiver, list_receivers, remove_receiver, list_shares]
