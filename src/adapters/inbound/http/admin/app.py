"""Putting people's APIs together, the operators' and the merchants': routes, rules, guard, documents."""

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler

from adapters.inbound.http.admin import (
    account_entries,
    accounts,
    applyments,
    audit,
    channel_accounts,
    closings,
    codes,
    discrepancies,
    hooks,
    invoices,
    lists,
    merchant_statements,
    merchants,
    payouts,
    products,
    proposals,
    refunds,
    refused_notices,
    reports,
    roles,
    settlements,
    sharing,
    statement_files,
    statements,
    suspense,
)
from adapters.inbound.http.admin.docs import people_docs
from adapters.inbound.http.admin.guard import check_rules, cookie_name, guard
from adapters.inbound.http.admin.kit import Admin, Me
from adapters.inbound.http.admin.own_access import OWN_ACCESS
from adapters.inbound.http.admin.parts import AdminParts
from adapters.inbound.http.admin.sessions import session_handlers
from adapters.inbound.http.admin.users import COLLEAGUES, MERCHANT_USERS, OPERATORS
from adapters.inbound.http.edge import Edge
from adapters.inbound.http.kit import Req
from adapters.inbound.http.problems import HANDLERS
from adapters.inbound.http.strict import MAX_BODY, StrictRequest, check_query, readable
from application.authenticate_person import Signed
from domain.actors import Actor
from domain.permissions import Realm

ADMIN_HANDLERS: Sequence[HTTPRouteHandler] = (
    *session_handlers(Realm.PLATFORM),
    *OWN_ACCESS,
    *OPERATORS,
    *roles.HANDLERS,
    *payouts.HANDLERS,
    *proposals.HANDLERS,
    *audit.HANDLERS,
    *MERCHANT_USERS,
    *statements.HANDLERS,
    *statement_files.HANDLERS,
    *discrepancies.HANDLERS,
    *merchant_statements.HANDLERS,
    *refunds.HANDLERS,
    *refused_notices.HANDLERS,
    *suspense.HANDLERS,
    *settlements.HANDLERS,
    *accounts.HANDLERS,
    *account_entries.HANDLERS,
    *sharing.HANDLERS,
    *closings.HANDLERS,
    *reports.HANDLERS,
    *invoices.HANDLERS,
    *codes.HANDLERS,
    *hooks.HANDLERS,
    *lists.HANDLERS,
    *merchants.HANDLERS,
    *products.HANDLERS,
    *channel_accounts.HANDLERS,
    *applyments.HANDLERS,
)
MERCHANT_HANDLERS: Sequence[HTTPRouteHandler] = (*session_handlers(Realm.MERCHANT), *OWN_ACCESS, *COLLEAGUES)
_ABOUT = (
    "For the platform's own people and machines. Default deny: each operation names the permission that it needs, and "
    "money and keys a fresh second factor, too. What one may not decide alone becomes a proposal. Everything that "
    "changes is written down with who did it. Failures are `application/problem+json` with a stable `code` "
    "([all codes](/docs/errors)); bodies are strict JSON; every POST takes an `Idempotency-Key`."
)

_ABOUT_MERCHANT = (
    "For a merchant's own people, with roles and permissions of their own; each is within that merchant alone. Programs"
    " use the API at [/docs](/docs) instead. Failures are `application/problem+json` with a stable `code` "
    "([all codes](/docs/errors)); bodies are strict JSON; every POST takes an `Idempotency-Key`."
)


def build_admin(admin: AdminParts, *, handlers: Sequence[HTTPRouteHandler] = ADMIN_HANDLERS) -> Litestar:
    """The application below /admin. Raises LookupError for a route that says nothing about who may call it."""
    docs = people_docs("/admin", "Pitaya for operators", admin.version, handlers, _ABOUT)
    return build_people_api(admin, Realm.PLATFORM, "/admin", handlers, docs)


def build_merchant(admin: AdminParts, *, handlers: Sequence[HTTPRouteHandler] = MERCHANT_HANDLERS) -> Litestar:
    """The application below /merchant: the same for a merchant's own people, each within that merchant."""
    docs = people_docs("/merchant", "Pitaya for a merchant's people", admin.version, handlers, _ABOUT_MERCHANT)
    return build_people_api(admin, Realm.MERCHANT, "/merchant", handlers, docs)


def build_people_api(
    parts: AdminParts, realm: Realm, prefix: str, handlers: Sequence[HTTPRouteHandler], docs: Any
) -> Litestar:
    """An API for people of one realm: each route has its rule, and the guard keeps it."""
    check_rules(handlers)
    cookie = cookie_name(realm, secure=parts.public_url.startswith("https://"))
    v1 = Router(
        f"{prefix}/v1",
        route_handlers=handlers,
        guards=[guard(parts.authenticate, realm, parts.addresses, cookie)],
        before_request=check_query,
        # One after the other: for dependencies that are free of each other Litestar opens a task group.
        dependencies={
            "me": Provide(_signed, sync_to_thread=False),
            "actor": Provide(_actor, sync_to_thread=False),
        },
        response_headers={"Cache-Control": "no-store"},
    )
    return Edge(
        [v1],
        metrics=parts.metrics,
        before_request=readable,
        dependencies={"admin": Provide(lambda: parts, sync_to_thread=False)},
        exception_handlers=HANDLERS,
        openapi_config=docs,
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )


def _signed(request: Req, admin: Admin) -> Signed:  # noqa: ARG001
    signed = request.user
    assert isinstance(signed, Signed)
    return signed


def _actor(me: Me) -> Actor:
    return me.actor
