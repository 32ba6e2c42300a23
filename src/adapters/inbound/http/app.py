"""Putting the merchant API together: routes, guards, failures, documents."""

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from adapters.inbound.http import (
    balances,
    deliveries,
    endpoints,
    events,
    health,
    invoices,
    keys,
    notices,
    orders,
    refunds,
    reports,
    settlements,
    shares,
    statements,
    static_codes,
)
from adapters.inbound.http.auth import bearer, caller_of
from adapters.inbound.http.docs import openapi_config
from adapters.inbound.http.edge import Edge
from adapters.inbound.http.parts import ApiParts
from adapters.inbound.http.problems import HANDLERS
from adapters.inbound.http.strict import MAX_BODY, StrictRequest, check_query, readable

__all__ = ["ApiParts", "build_app"]


def build_app(
    api: ApiParts, *, routers: Sequence[ControllerRouterHandler] = (), lifespan: Sequence[Any] = ()
) -> Litestar:
    """The web application. ``routers`` are other adapters' pages, which may bring their own failure pages and
    headers; ``lifespan`` is Litestar's, for what bootstrap opens and closes."""
    v1 = Router(
        "/v1",
        route_handlers=[
            *orders.HANDLERS,
            *refunds.HANDLERS,
            *balances.HANDLERS,
            *reports.HANDLERS,
            *shares.HANDLERS,
            *invoices.HANDLERS,
            *static_codes.HANDLERS,
            *events.HANDLERS,
            *settlements.HANDLERS,
            *statements.HANDLERS,
            *endpoints.HANDLERS,
            *deliveries.HANDLERS,
            *keys.HANDLERS,
        ],
        guards=[bearer(api.authenticate, api.addresses)],
        before_request=check_query,
        dependencies={"caller": Provide(caller_of, sync_to_thread=False)},
        response_headers={"Cache-Control": "no-store"},
    )
    return Edge(
        [v1, notices.receive_notice, *health.HANDLERS, *routers],
        metrics=api.metrics,
        before_request=readable,
        dependencies={"api": Provide(lambda: api, sync_to_thread=False)},
        exception_handlers=HANDLERS,
        openapi_config=openapi_config(api.version),
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY,
        lifespan=list(lifespan),
        logging_config=None,
    )
