"""/admin/v1/merchants/{id}/…: a merchant's API keys, webhook endpoints and deliveries, in an operator's hands."""

from datetime import timedelta
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.bodies import NewKey, ResendMissed, RollKey
from adapters.inbound.http.kit import Req
from adapters.inbound.http.views import (
    DeliveryDetail,
    EndpointList,
    EndpointView,
    KeyList,
    KeyView,
    ListedDelivery,
    MadeKeyView,
    Resent,
    TestSent,
    delivery_detail,
    endpoint_view,
    key_view,
    listed_delivery,
    made_key,
)
from domain.channels import Mode
from domain.merchants import Caller

KEYS, HOOKS = ["API keys"], ["Webhook endpoints"]
InMode = Annotated[Mode, QueryParameter(description="Live or test.", examples=[Example(value="test")])]
BodyMode = Annotated[Mode, Meta(description="Live money or test money.", examples=["test"])]


class MerchantKey(NewKey, forbid_unknown_fields=True, kw_only=True):
    """An API key to make for a merchant."""

    mode: BodyMode


class MerchantRoll(RollKey, forbid_unknown_fields=True, kw_only=True):
    """Which of its modes, and how long the old key goes on."""

    mode: BodyMode


class MerchantMissed(ResendMissed, forbid_unknown_fields=True, kw_only=True):
    """Which of its modes, and which time to look at."""

    mode: BodyMode


class OfMode(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which of the merchant's modes."""

    mode: BodyMode


@get(
    "/merchants/{merchant_id:str}/api_keys",
    summary="List a merchant's API keys",
    operation_id="listMerchantKeys",
    tags=KEYS,
    opt=needs("api_keys.read"),
)
async def list_keys(merchant_id: FromPath[str], admin: Admin, mode: InMode = Mode.LIVE) -> KeyList:
    """The last hundred, newest first, dead ones among them."""
    return KeyList(data=[key_view(key) for key in await admin.keep_keys.all(Caller(merchant_id, mode))])


@post(
    "/merchants/{merchant_id:str}/api_keys",
    summary="Make an API key for a merchant",
    operation_id="makeMerchantKey",
    tags=KEYS,
    opt=needs("api_keys.create", step_up=True),
)
async def make_key(
    merchant_id: FromPath[str], data: JSONBody[MerchantKey], request: Req, admin: Admin, actor: Who
) -> Response[MadeKeyView]:
    """`secret` is shown in this answer and never again."""

    async def run() -> MadeKeyView:
        expires_in = timedelta(seconds=data.expires_in) if data.expires_in else None
        scopes = None if data.scopes is None else frozenset(data.scopes)
        caller = Caller(merchant_id, data.mode)
        made = await admin.keep_keys.make(caller, name=data.name, scopes=scopes, expires_in=expires_in, by=actor)
        return made_key(*made)

    return await once(admin, request, actor, data, run, shown_once=("secret",))


@post(
    "/merchants/{merchant_id:str}/api_keys/{key_id:str}/roll",
    summary="Roll a merchant's API key",
    operation_id="rollMerchantKey",
    tags=KEYS,
    opt=needs("api_keys.roll", step_up=True),
)
async def roll_key(
    *,
    merchant_id: FromPath[str],
    key_id: FromPath[str],
    data: JSONBody[MerchantRoll],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[MadeKeyView]:
    """Another key in its place; the old one lives on for `overlap_hours`."""

    async def run() -> MadeKeyView:
        caller, overlap = Caller(merchant_id, data.mode), timedelta(hours=data.overlap_hours)
        return made_key(*await admin.keep_keys.roll(caller, key_id, overlap=overlap, by=actor))

    return await once(admin, request, actor, data, run, shown_once=("secret",))


@post(
    "/merchants/{merchant_id:str}/api_keys/{key_id:str}/revoke",
    status_code=200,
    summary="Revoke a merchant's API key",
    operation_id="revokeMerchantKey",
    tags=KEYS,
    opt=needs("api_keys.revoke", step_up=True),
)
async def revoke_key(
    *,
    merchant_id: FromPath[str],
    key_id: FromPath[str],
    data: JSONBody[OfMode],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[KeyView]:
    """It stops working within a second, for good."""

    async def run() -> KeyView:
        return key_view(await admin.keep_keys.revoke(Caller(merchant_id, data.mode), key_id, by=actor))

    return await once(admin, request, actor, data, run, status=200)


@get(
    "/merchants/{merchant_id:str}/webhook_endpoints",
    summary="List a merchant's webhook endpoints",
    operation_id="listMerchantEndpoints",
    tags=HOOKS,
    opt=needs("webhooks.read"),
)
async def list_endpoints(merchant_id: FromPath[str], admin: Admin, mode: InMode = Mode.LIVE) -> EndpointList:
    """All of one mode. Nobody but the merchant sees their secrets."""
    found = await admin.keep_endpoints.all(Caller(merchant_id, mode))
    return EndpointList(data=[endpoint_view(endpoint) for endpoint in found])


@post(
    "/merchants/{merchant_id:str}/webhook_endpoints/{endpoint_id:str}/enable",
    status_code=200,
    summary="Switch a merchant's endpoint on",
    operation_id="enableMerchantEndpoint",
    tags=HOOKS,
    opt=needs("webhooks.enable"),
)
async def enable(
    *,
    merchant_id: FromPath[str],
    endpoint_id: FromPath[str],
    data: JSONBody[OfMode],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[EndpointView]:
    """Events are sent to it again, from now on. What it missed comes with `POST …/resend`."""

    async def run() -> EndpointView:
        caller = Caller(merchant_id, data.mode)
        return endpoint_view(await admin.keep_endpoints.switch(caller, endpoint_id, enabled=True, by=actor))

    return await once(admin, request, actor, data, run, status=200)


@post(
    "/merchants/{merchant_id:str}/webhook_endpoints/{endpoint_id:str}/disable",
    status_code=200,
    summary="Switch a merchant's endpoint off",
    operation_id="disableMerchantEndpoint",
    tags=HOOKS,
    opt=needs("webhooks.disable"),
)
async def disable(
    *,
    merchant_id: FromPath[str],
    endpoint_id: FromPath[str],
    data: JSONBody[OfMode],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[EndpointView]:
    """Nothing is sent to it; what is due is cancelled."""

    async def run() -> EndpointView:
        caller = Caller(merchant_id, data.mode)
        return endpoint_view(await admin.keep_endpoints.switch(caller, endpoint_id, enabled=False, by=actor))

    return await once(admin, request, actor, data, run, status=200)


@post(
    "/merchants/{merchant_id:str}/webhook_endpoints/{endpoint_id:str}/test",
    summary="Send a test event to a merchant's endpoint",
    operation_id="testMerchantEndpoint",
    tags=HOOKS,
    opt=needs("webhooks.test"),
)
async def send_test(
    *,
    merchant_id: FromPath[str],
    endpoint_id: FromPath[str],
    data: JSONBody[OfMode],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[TestSent]:
    """A `webhook.test` event for this endpoint alone."""

    async def run() -> TestSent:
        event = await admin.keep_endpoints.test(Caller(merchant_id, data.mode), endpoint_id, by=actor)
        return TestSent(event_id=event.id)

    return await once(admin, request, actor, data, run)


@post(
    "/merchants/{merchant_id:str}/webhook_endpoints/{endpoint_id:str}/resend",
    status_code=200,
    summary="Send what a merchant's endpoint missed",
    operation_id="resendMerchantMissed",
    tags=HOOKS,
    opt=needs("deliveries.resend"),
)
async def resend_missed(
    *,
    merchant_id: FromPath[str],
    endpoint_id: FromPath[str],
    data: JSONBody[MerchantMissed],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[Resent]:
    """All events of a time that it wants and has not taken, at most 500 in one call."""

    async def run() -> Resent:
        data.check()
        caller = Caller(merchant_id, data.mode)
        count, more = await admin.resend.missed(caller, endpoint_id, data.since, data.until, by=actor)
        return Resent(resent=count, more=more)

    return await once(admin, request, actor, data, run, status=200)


@get(
    "/merchants/{merchant_id:str}/deliveries/{delivery_id:str}",
    summary="See a merchant's delivery",
    operation_id="getMerchantDelivery",
    tags=HOOKS,
    opt=needs("deliveries.read"),
)
async def get_delivery(
    merchant_id: FromPath[str], delivery_id: FromPath[str], admin: Admin, mode: InMode = Mode.LIVE
) -> DeliveryDetail:
    """What was sent, and for each try what came back."""
    return delivery_detail(await admin.queries.delivery(merchant_id, mode, delivery_id))


@post(
    "/merchants/{merchant_id:str}/deliveries/{delivery_id:str}/resend",
    status_code=200,
    summary="Send a merchant's delivery again",
    operation_id="resendMerchantDelivery",
    tags=HOOKS,
    opt=needs("deliveries.resend"),
)
async def resend(
    *,
    merchant_id: FromPath[str],
    delivery_id: FromPath[str],
    data: JSONBody[OfMode],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[ListedDelivery]:
    """Due at once under the same webhook-id, whatever became of it."""

    async def run() -> ListedDelivery:
        return listed_delivery(await admin.resend.one(Caller(merchant_id, data.mode), delivery_id, by=actor))

    return await once(admin, request, actor, data, run, status=200)


HANDLERS = [
    list_keys, make_key, roll_key, revoke_key, list_endpoints, enable, disable, send_test, resend_missed,
    get_delivery, resend,
]  # fmt: skip
