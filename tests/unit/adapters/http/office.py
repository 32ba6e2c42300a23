"""The operators' side of the wire: their whole API on fakes, people who sign in, and a client for each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

import httpx
from litestar.handlers import HTTPRouteHandler

from adapters.inbound.http.address import ClientAddress
from adapters.inbound.http.admin.app import ADMIN_HANDLERS, build_admin, build_merchant
from adapters.inbound.http.admin.parts import AdminParts
from application.approve_settlement import ApproveSettlement, DeclineSettlement
from application.authenticate_person import AuthenticatePerson
from application.book_entries import BOOK, BookEntry, FreezeBalance, KeepBooks, ProposeEntry
from application.change_payee import CHANGE_PAYEE, ChangePayee, ProposePayee
from application.close_day import ViewClosing
from application.close_statement_day import CloseStatementDay
from application.export_list import ExportList
from application.find_settlement import FindSettlement
from application.import_statement import ImportStatement
from application.keep_accounts import CheckAccess, KeepAccounts
from application.keep_applyments import KeepApplyments
from application.keep_endpoints import KeepEndpoints
from application.keep_invoices import SETTLE_INVOICE, FindInvoices, ProposeInvoiceEnd, SettleInvoice
from application.keep_merchants import KeepMerchants
from application.keep_own_access import KeepOwnAccess
from application.keep_products import ADD_VERSION, BIND, OVERRIDE, ChangePrices, KeepProducts, ProposePrices
from application.keep_receivers import (
    ADD_RECEIVER,
    ApproveReceiver,
    DeclineReceiver,
    ProposeReceiver,
    RemoveReceiver,
)
from application.keep_roles import KeepRoles
from application.keep_service_tokens import KeepServiceTokens
from application.keep_settlement_rules import KeepHolds, KeepSettlementRules
from application.keep_users import KeepUsers
from application.limit_tries import LimitTries
from application.manual_payouts import RECORD_PAYOUT, ProposePayoutEnd, RecordPayoutEnd
from application.ports.world import totp_context
from application.propose import DecideProposal, Decline, Execute, ExpireProposals, Propose
from application.read_merchant_statement import ReadMerchantStatement
from application.read_notice_again import ReadNoticeAgain
from application.reconcile import Reconcile
from application.redirect_refund import REDIRECT, ApproveRedirection, DeclineRedirection, ProposeRedirection
from application.refund_by_operator import REFUND, ApproveRefund, DeclineRefund, RefundByOperator
from application.report_payments import FIGURES, ReportPayments
from application.resolve_discrepancy import CLOSE_DAY, RESOLVE, ProposeRemedy, ResolveDiscrepancy
from application.run_statement_day import RunStatementDay
from application.second_factor import SecondFactor
from application.settle import APPROVE_SETTLEMENT, Settle
from application.settle_held_money import SETTLE, ProposeSettlement, SettleHeldMoney
from application.sign_in import SignIn
from application.sign_out import KeepSessions
from application.upload_statement import UploadStatement
from application.view_accounts import ViewAccounts
from application.view_discrepancy import OwnDiscrepancy, ViewDiscrepancy
from application.view_statement_day import ViewStatementDay
from domain.channels import Channel
from domain.permissions import Realm
from domain.users import Authenticator, User
from tests.fakes.clock import FakeClock
from tests.fakes.house import PEPPER, House
from tests.fakes.passwords import FakePasswords, FakeTotp
from tests.fakes.progress import FakeProgress
from tests.fakes.releases import FakeWorkdays
from tests.fakes.statements import FakeStatements
from tests.unit.adapters.apps import SharedApp, shared

PASSWORD = "dragon fruit for two"
PROXY = "10.9.9.9"
BASES = {Realm.PLATFORM: "/admin/v1", Realm.MERCHANT: "/merchant/v1"}
UNSET: Any = object()


@dataclass
class Office:
    """``person`` makes somebody who can sign in; ``call`` is anybody's HTTP client."""

    totp_required: bool = True
    public_url: str = "https://pay.example"
    handlers: Sequence[HTTPRouteHandler] = ADMIN_HANDLERS
    executors: dict[str, Execute] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.house = house = House(clock=self.clock)
        self.passwords, self.totp = FakePasswords(), FakeTotp()
        unit_of_work, clock, ids = house.database.unit_of_work, house.clock, house.ids
        self.second_factor = SecondFactor(self.totp, house.vault, ids, PEPPER)
        limit = LimitTries(unit_of_work, clock)
        keys = (unit_of_work, limit, self.passwords, self.second_factor, clock, ids, PEPPER, self.totp_required)
        self.propose = Propose(unit_of_work, self.executors, clock, ids)
        close = CloseStatementDay(unit_of_work, clock, ids)
        self.resolve = ResolveDiscrepancy(house.confirm, house.confirm_refund, close, clock, ids)
        self.executors.update(
            {
                SETTLE: SettleHeldMoney(clock, ids),
                REFUND: ApproveRefund(clock),
                REDIRECT: ApproveRedirection(clock, ids),
                RECORD_PAYOUT: RecordPayoutEnd(house.confirm_payout),
                BOOK: BookEntry(KeepBooks(clock, ids)),
                APPROVE_SETTLEMENT: ApproveSettlement(clock, ids),
                ADD_RECEIVER: ApproveReceiver(clock),
                SETTLE_INVOICE: SettleInvoice(clock),
                RESOLVE: self.resolve,
                CLOSE_DAY: self.resolve.close_day,
            }
        )
        decliners: dict[str, Decline] = {
            REFUND: DeclineRefund(house.confirm_refund),
            REDIRECT: DeclineRedirection(clock),
            APPROVE_SETTLEMENT: DeclineSettlement(clock),
            ADD_RECEIVER: DeclineReceiver(clock),
        }
        self.expire_proposals = ExpireProposals(unit_of_work, clock, ids, decliners)
        prices, payee = ChangePrices(clock, ids), ChangePayee(clock, ids)
        self.executors |= {
            CHANGE_PAYEE: payee,
            ADD_VERSION: prices.add_version,
            BIND: prices.bind,
            OVERRIDE: prices.override,
        }
        channels, vault = house.channels, house.vault
        self.bills = {channel: FakeStatements(funds=("BASIC",)) for channel in Channel}
        self.progress = FakeProgress()
        self.parts = AdminParts(
            authenticate=AuthenticatePerson(unit_of_work, clock, PEPPER, self.totp_required),
            sign_in=SignIn(*keys),
            keep_sessions=KeepSessions(*keys),
            keep_own_access=KeepOwnAccess(unit_of_work, limit, self.passwords, self.second_factor, clock, ids),
            keep_users=KeepUsers(unit_of_work, self.passwords, clock, ids),
            keep_roles=KeepRoles(unit_of_work, clock, ids),
            keep_service_tokens=KeepServiceTokens(unit_of_work, clock, ids, PEPPER),
            decide_proposal=DecideProposal(unit_of_work, self.executors, clock, ids, decliners),
            keep_merchants=KeepMerchants(unit_of_work, vault, clock, ids),
            propose_payee=ProposePayee(unit_of_work, self.propose, vault),
            keep_products=KeepProducts(unit_of_work, clock, ids),
            propose_prices=ProposePrices(unit_of_work, self.propose, clock),
            keep_accounts=KeepAccounts(unit_of_work, channels, vault, clock, ids, CheckAccess(channels, ids)),
            answer_once=house.answer_once,
            people=house.database.people,
            reconciliation=house.database.reconciliation,
            run_day=RunStatementDay(unit_of_work, clock, ids, house.hints),
            close_day=close,
            view_day=ViewStatementDay(unit_of_work, self.progress),
            upload_statement=UploadStatement(
                unit_of_work,
                self.bills,
                ImportStatement(unit_of_work, self.bills, clock, ids, self.progress),
                Reconcile(unit_of_work, clock, ids, self.progress),
                clock,
            ),
            statements=ReadMerchantStatement(unit_of_work, clock),
            propose_remedy=ProposeRemedy(unit_of_work, self.propose),
            view_discrepancy=ViewDiscrepancy(unit_of_work),
            own_discrepancy=OwnDiscrepancy(unit_of_work, clock, ids),
            export_bank_file=house.export_bank_file,
            propose_payout_end=ProposePayoutEnd(unit_of_work, self.propose),
            cancel_payout=house.cancel_payout,
            view_closing=ViewClosing(unit_of_work),
            freeze_balance=FreezeBalance(unit_of_work, KeepBooks(clock, ids)),
            propose_entry=ProposeEntry(unit_of_work, self.propose),
            propose_settlement=ProposeSettlement(unit_of_work, self.propose),
            settle=Settle(unit_of_work, self.propose, clock, ids),
            find_settlement=FindSettlement(unit_of_work),
            keep_settlement_rules=KeepSettlementRules(unit_of_work, house.rails, FakeWorkdays(), clock, ids),
            keep_holds=KeepHolds(unit_of_work, clock, ids),
            propose_receiver=ProposeReceiver(unit_of_work, self.propose, clock, ids),
            remove_receiver=RemoveReceiver(unit_of_work, clock, ids),
            find_share=house.find_share,
            find_invoices=FindInvoices(unit_of_work),
            propose_invoice_end=ProposeInvoiceEnd(unit_of_work, self.propose),
            read_notice_again=ReadNoticeAgain(unit_of_work, house.receive_notice, clock, ids),
            refund_by_operator=RefundByOperator(
                unit_of_work, house.request_refund, house.submit_refund, self.propose, clock, ids
            ),
            propose_redirection=ProposeRedirection(unit_of_work, self.propose, house.redirecting, house.vault, clock),
            keep_applyments=KeepApplyments(
                unit_of_work, house.follow_applyments.onboarding, house.follow_applyments, house.vault, clock, ids
            ),
            keep_codes=house.keep_codes,
            keep_keys=house.keep_keys,
            keep_endpoints=KeepEndpoints(unit_of_work, house.vault, clock, ids, house.hints),
            resend=house.resend,
            lists=house.database.lists,
            finding=house.database.finding,
            export_list=ExportList(house.database.lists),
            queries=house.database.queries,
            report_payments=ReportPayments(house.database.reports, FIGURES),
            view_accounts=ViewAccounts(house.database.account_queries),
            clock=clock,
            addresses=ClientAddress([ip_network(PROXY)]),
            public_url=self.public_url,
        )
        self.apps: dict[Realm, SharedApp] = {
            Realm.PLATFORM: shared(build_admin, self.parts, handlers=tuple(self.handlers)),
            Realm.MERCHANT: shared(build_merchant, self.parts),
        }

    async def person(self, login: str, *roles: str, totp: bool = True, **changes: Any) -> "Person":
        """An active operator with these roles, a password and, with ``totp``, an authenticator."""
        user = User(
            id=self.house.ids.new("opr"),
            realm=Realm.PLATFORM,
            login=login,
            name=login.title(),
            roles=frozenset(roles),
            password_hash=await self.passwords.hashed(PASSWORD),
            created_at=self.clock.now(),
        )
        secret = self.totp.new_secret()
        if totp:
            sealed = self.house.vault.seal(totp_context(user.id), secret.encode())
            user = replace(user, authenticator=Authenticator(sealed=sealed))
        user = replace(user, **changes)
        async with self.house.database.unit_of_work() as uow:
            await uow.users.add(user)
        return Person(self, user.id, login, secret if totp else "", realm=user.realm)

    async def merchant(self) -> str:
        """Somebody's shop: its id."""
        return (await self.house.merchant()).merchant.id

    async def employee(self, merchant_id: str, login: str, *roles: str, **changes: Any) -> "Person":
        """A user of this merchant."""
        return await self.person(login, *roles, realm=Realm.MERCHANT, merchant_id=merchant_id, **changes)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = UNSET,
        *,
        realm: Realm = Realm.PLATFORM,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        address: str = "203.0.113.7",
    ) -> httpx.Response:
        """One request below /admin/v1 or /merchant/v1. A body of bytes is a file, any other JSON."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        content = None if body is UNSET else body if isinstance(body, bytes) else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/octet-stream" if content is body else "application/json")
        transport = httpx.ASGITransport(app=self.apps[realm], client=(address, 1))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="https://pay.example", trust_env=False) as client:
            return await client.request(method, f"{BASES[realm]}{path}", content=content, headers=sent)

    def stored(self) -> dict[str, dict[Any, Any]]:
        """All that the database holds now."""
        tables = vars(self.house.database.tables).values()
        return {table.name: dict(table.committed) for table in tables}

    def did(self) -> list[str]:
        """What was written down, in order."""
        rows = sorted(self.house.database.tables.audit.committed.values(), key=lambda row: row.row)
        return [row.record.action for row in rows]


@dataclass
class Person:
    """Somebody with a login, and after ``enter`` with a token."""

    office: Office
    id: str
    login: str
    secret: str
    token: str = ""
    realm: Realm = Realm.PLATFORM

    def code(self) -> str:
        """What the authenticator shows, a step later than the last time: each code works once."""
        self.office.clock.advance(30)
        return self.office.totp.code(self.secret, self.office.clock.now())

    async def try_to_enter(self, **changes: Any) -> httpx.Response:
        """Sign in with what is right, but for ``changes``; a field that is ``...`` is left out."""
        address = changes.pop("address", "203.0.113.7")
        body = (
            {"login": self.login, "password": PASSWORD}
            | ({"code": self.code()} if self.secret and "code" not in changes else {})
            | changes
        )
        body = {name: value for name, value in body.items() if value is not ...}
        return await self.office.call("POST", "/sessions", body, address=address, realm=self.realm)

    async def enter(self) -> "Person":
        answer = await self.try_to_enter()
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["token"]
        return self

    async def call(self, method: str, path: str, body: Any = UNSET, **rest: Any) -> httpx.Response:
        return await self.office.call(method, path, body, **({"token": self.token, "realm": self.realm} | rest))
