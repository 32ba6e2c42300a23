"""The web process: one ASGI application whose parts are opened inside the event loop that serves it."""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.inbound.http.address import ClientAddress
from adapters.inbound.http.admin.app import build_admin, build_merchant
from adapters.inbound.http.admin.parts import AdminParts
from adapters.inbound.http.app import ApiParts, build_app
from adapters.inbound.http.prefixes import ByPrefix
from adapters.inbound.web.cashier import CashierParts, build_cashier
from adapters.outbound.sql.health import ping, unsafe_settings
from adapters.outbound.sql.reports import SqlReports
from application.close_day import ViewClosing
from application.export_list import ExportList
from application.report_payments import FIGURES, OWN_FIGURES, ReportPayments
from application.resolve_discrepancy import ProposeRemedy
from application.upload_statement import UploadStatement
from application.view_discrepancy import OwnDiscrepancy, ViewDiscrepancy
from application.view_statement_day import ViewStatementDay
from bootstrap import logging
from bootstrap.container import Container, opened
from bootstrap.settings import Settings
from domain.channels import Channel

Asgi = Any  # the ASGI triple (scope, receive, send) has no types of its own


class OpenedLate:
    """Opens what it serves when the server says that the loop runs (ASGI lifespan), and closes it at the end.

    Connections belong to the loop that made them, and a server calls its factory before there is one.
    """

    def __init__(self, open: AbstractAsyncContextManager[Asgi]) -> None:
        self._open = open
        self._app: Asgi = None

    async def __call__(self, scope: Asgi, receive: Asgi, send: Asgi) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        try:
            self._app = await self._open.__aenter__()
        except Exception as error:  # noqa: BLE001 - the edge of the process: the server reports it and ends
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        _stay()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._open.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})


def _stay() -> None:
    """What has been made so far lasts as long as the process: the collector of garbage need not look at it again, nor
    so often at the little that a request leaves behind. Measured: 5 % of a request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def create_app() -> OpenedLate:
    """The factory that granian calls in each worker process."""
    settings = Settings.from_environment(os.environ)
    logging.configure(settings.log_level)
    return OpenedLate(serving(settings))


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Asgi]:
    """The whole application while its connections are open. Raises RuntimeError for an unsafe database."""
    async with opened(settings) as container:
        reasons = await unsafe_settings(container.database().engine, totp_required=settings.totp_required)
        if reasons:
            raise RuntimeError("refusing to start: " + "; ".join(reasons))
        api = _api(container)
        pages = build_app(api, routers=[build_cashier(_cashier(container))])
        people = _admin(container, api)
        yield ByPrefix({"/admin": build_admin(people), "/merchant": build_merchant(people)}, pages)


def _api(container: Container) -> ApiParts:
    async def ready() -> list[tuple[str, bool, str, bool]]:
        return [await ping(container.database().engine), await _redis(container.redis())]

    return ApiParts(
        authenticate=container.authenticate(),
        place_order=container.place_order(),
        find_order=container.find_order(),
        request_refund=container.request_refund(),
        submit_refund=container.submit_refund(),
        find_refund=container.find_refund(),
        settle=container.settle(),
        find_settlement=container.find_settlement(),
        request_share=container.request_share(),
        end_sharing=container.end_sharing(),
        submit_share=container.submit_share(),
        find_share=container.find_share(),
        find_invoices=container.find_invoices(),
        start_attempt=container.start_attempt(),
        close_order=container.close_order(),
        identify_payer=container.identify_payer(),
        keep_codes=container.keep_codes(),
        answer_once=container.answer_once(),
        add_endpoint=container.add_endpoint(),
        keep_endpoints=container.keep_endpoints(),
        keep_keys=container.keep_keys(),
        resend=container.resend(),
        statements=container.read_merchant_statement(),
        receive_notice=container.receive_notice(),
        queries=container.queries(),
        view_accounts=container.view_accounts(),
        report_payments=ReportPayments(SqlReports(container.database()), OWN_FIGURES),
        clock=container.clock(),
        public_url=container.settings().public_url,
        addresses=ClientAddress(container.settings().trusted_proxies),
        check_url=container.check_url(),
        ready=ready,
    )


def _admin(container: Container, api: ApiParts) -> AdminParts:
    return AdminParts(
        authenticate=container.authenticate_person(),
        sign_in=container.sign_in(),
        keep_sessions=container.keep_sessions(),
        keep_own_access=container.keep_own_access(),
        keep_users=container.keep_users(),
        keep_roles=container.keep_roles(),
        keep_service_tokens=container.keep_service_tokens(),
        decide_proposal=container.decide_proposal(),
        keep_merchants=container.keep_merchants(),
        propose_payee=container.propose_payee(),
        keep_products=container.keep_products(),
        propose_prices=container.propose_prices(),
        keep_accounts=container.keep_accounts(),
        keep_applyments=container.keep_applyments(),
        answer_once=container.answer_once(),
        keep_codes=container.keep_codes(),
        keep_keys=container.keep_keys(),
        keep_endpoints=container.keep_endpoints(),
        resend=container.resend(),
        lists=container.lists(),
        finding=container.finding(),
        export_list=ExportList(container.lists()),
        queries=container.queries(),
        report_payments=ReportPayments(SqlReports(container.database()), FIGURES),
        view_accounts=container.view_accounts(),
        people=container.people_queries(),
        reconciliation=container.reconciliation_queries(),
        run_day=container.run_statement_day(),
        close_day=container.close_statement_day(),
        view_day=ViewStatementDay(container.unit_of_work(), container.progress()),
        upload_statement=_upload_statement(container),
        statements=container.read_merchant_statement(),
        propose_remedy=ProposeRemedy(container.unit_of_work(), container.propose()),
        view_discrepancy=ViewDiscrepancy(container.unit_of_work()),
        own_discrepancy=OwnDiscrepancy(container.unit_of_work(), container.clock(), container.ids()),
        export_bank_file=container.export_bank_file(),
        propose_payout_end=container.propose_payout_end(),
        cancel_payout=container.cancel_payout(),
        view_closing=ViewClosing(container.unit_of_work()),
        freeze_balance=container.freeze_balance(),
        propose_entry=container.propose_entry(),
        propose_settlement=container.propose_settlement(),
        settle=container.settle(),
        find_settlement=container.find_settlement(),
        keep_settlement_rules=container.keep_settlement_rules(),
        keep_holds=container.keep_holds(),
        propose_receiver=container.propose_receiver(),
        remove_receiver=container.remove_receiver(),
        find_share=container.find_share(),
        find_invoices=container.find_invoices(),
        propose_invoice_end=container.propose_invoice_end(),
        refund_by_operator=container.refund_by_operator(),
        propose_redirection=container.propose_redirection(),
        read_notice_again=container.read_notice_again(),
        clock=container.clock(),
        addresses=api.addresses,
        public_url=container.settings().public_url,
        metrics=api.metrics,
    )


def _upload_statement(container: Container) -> UploadStatement:
    return UploadStatement(
        container.unit_of_work(),
        container.channels(),
        container.import_statement(),
        container.reconcile(),
        container.clock(),
    )


async def _redis(redis: Redis) -> tuple[str, bool, str, bool]:
    """A warning only: without Redis everything goes on, a sweep later."""
    try:
        await redis.ping()
    except (RedisError, OSError) as error:
        return "redis", False, type(error).__name__, False
    return "redis", True, "", False


def form_targets(settings: Settings) -> tuple[str, ...]:
    """Where Alipay's payment pages are: its gateway, and whatever of its own hosts it sends the browser on to (a
    browser holds a form's redirects against the policy too)."""
    gateways = [urlsplit(address) for address in settings.gateways_of(Channel.ALIPAY).values()]
    hosts = {f"{gateway.scheme}://{gateway.netloc}" for gateway in gateways}
    domains = {".".join(gateway.hostname.split(".")[-2:]) for gateway in gateways if gateway.hostname}
    return tuple(sorted(hosts | {f"https://*.{domain}" for domain in domains & {"alipay.com", "alipaydev.com"}}))


def _cashier(container: Container) -> CashierParts:
    settings = container.settings()
    return CashierParts(
        view_cashier=container.view_cashier(),
        start_attempt=container.start_attempt(),
        identify_payer=container.identify_payer(),
        order_by_code=container.order_by_code(),
        clock=container.clock(),
        secret=settings.key_pepper,
        address_of=ClientAddress(settings.trusted_proxies).of,
        form_targets=form_targets(settings),
        changes=container.hints().subscribe,
        sandbox_phone_url=settings.sandbox_phone_url,
        public_url=settings.public_url,
    )
