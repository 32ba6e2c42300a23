"""/v1/webhook_endpoints: where a merchant's events go, and the secrets that sign them."""

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody

from adapters.inbound.http.bodies import NewEndpoint, check_link
from adapters.inbound.http.kit import Api, Asker, Req
from adapters.inbound.http.once import once
from adapters.inbound.http.views import EndpointList, EndpointView, SecretView, endpoint_view
from domain.errors import InvalidRequest
from domain.merchants import Scope

TAGS = ["Webhook endpoints"]


@post(
    "/webhook_endpoints",
    summary="Add a webhook endpoint",
    operation_id="addEndpoint",
    scope=Scope.WEBHOOKS_WRITE,
    tags=TAGS,
)
async def add_endpoint(data: JSONBody[NewEndpoint], request: Req, api: Api, caller: Asker) -> Response[EndpointView]:
    """Register an address for your events. The same address with the same event types again returns the first."""

    async def run() -> EndpointView:
        check_link(data.url, "/url")
        try:
            return endpoint_view(await api.add_endpoint(caller, data.url, frozenset(data.event_types)))
        except InvalidRequest as refusal:
            raise InvalidRequest(str(refusal), code=refusal.code, pointer=refusal.pointer or "/url") from None

    return await once(api.answer_once, request, caller, data, run)


@get(
    "/webhook_endpoints",
    summary="List webhook endpoints",
    operation_id="listEndpoints",
    scope=Scope.WEBHOOKS_READ,
    tags=TAGS,
)
async def list_endpoints(api: Api, caller: Asker) -> EndpointList:
    """All your endpoints of this mode."""
    return EndpointList(data=[endpoint_view(endpoint) for endpoint in await api.keep_endpoints.all(caller)])


@get(
    "/webhook_endpoints/{endpoint_id:str}",
    summary="Get a webhook endpoint",
    operation_id="getEndpoint",
    scope=Scope.WEBHOOKS_READ,
    tags=TAGS,
)
async def get_endpoint(endpoint_id: FromPath[str], api: Api, caller: Asker) -> EndpointView:
    """One endpoint, without its secret."""
    return endpoint_view(await api.keep_endpoints.get(caller, endpoint_id))


@get(
    "/webhook_endpoints/{endpoint_id:str}/secret",
    summary="Show the signing secret",
    operation_id="getEndpointSecret",
    scope=Scope.WEBHOOKS_WRITE,
    tags=TAGS,
)
async def get_secret(endpoint_id: FromPath[str], api: Api, caller: Asker) -> SecretView:
    """The secret that signs this endpoint's events (Standard Webhooks 1.0)."""
    return SecretView(secret=await api.keep_endpoints.secret(caller, endpoint_id))


@post(
    "/webhook_endpoints/{endpoint_id:str}/enable",
    status_code=200,
    summary="Switch an endpoint on",
    operation_id="enableEndpoint",
    scope=Scope.WEBHOOKS_WRITE,
    tags=TAGS,
)
async def enable(endpoint_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[EndpointView]:
    """Send events to it again, from now on. What it missed comes with `POST …/resend`."""

    async def run() -> EndpointView:
        return endpoint_view(await api.keep_endpoints.switch(caller, endpoint_id, enabled=True))

    return await once(api.answer_once, request, caller, None, run, status=200)


@post(
    "/webhook_endpoints/{endpoint_id:str}/disable",
    status_code=200,
    summary="Switch an endpoint off",
    operation_id="disableEndpoint",
    scope=Scope.WEBHOOKS_WRITE,
    tags=TAGS,
)
async def disable(endpoint_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[EndpointView]:
    """Send nothing to it; deliveries that are due are cancelled. Catch up later with `/v1/events`."""

    async def run() -> EndpointView:
        return endpoint_view(await api.keep_endpoints.switch(caller, endpoint_id, enabled=False))

    return await once(api.answer_once, request, caller, None, run, status=200)


@post(
    "/webhook_endpoints/{endpoint_id:str}/rotate_secret",
    status_code=200,
    summary="Rotate the signing secret",
    operation_id="rotateEndpointSecret",
    scope=Scope.WEBHOOKS_WRITE,
    tags=TAGS,
)
async def rotate_secret(endpoint_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[EndpointView]:
    """A new secret signs at once; for 24 hours the previous one signs too. Read it with `GET …/secret`."""

    async def run() -> EndpointView:
        return endpoint_view(await api.keep_endpoints.rotate(caller, endpoint_id))

    return await once(api.answer_once, request, caller, None, run, status=200)


@post(
    "/webhook_endpoints/{endpoint_id:str}/end_rotation",
    status_code=200,
    summary="End a rotation",
    operation_id="endEndpointRotation",
    scope=Scope.WEBHOOKS_WRITE,
    tags=TAGS,
)
async def end_rotation(endpoint_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[EndpointView]:
    """The previous secret signs no more, from now on."""

    async def run() -> EndpointView:
        return endpoint_view(await api.keep_endpoints.end_rotation(caller, endpoint_id))

    return await once(api.answer_once, request, caller, None, run, status=200)


HANDLERS = [add_endpoint, list_endpoints, get_endpoint, get_secret, enable, disable, rotate_secret, end_rotation]
