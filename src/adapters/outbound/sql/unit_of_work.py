"""The unit of work on PostgreSQL: one Transaction, shared by a repository for each aggregate."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql.account_health import SqlAccountHealth
from adapters.outbound.sql.accounts import SqlAccounts, SqlCredentials
from adapters.outbound.sql.applyments import SqlApplyments
from adapters.outbound.sql.attempts import SqlAttempts
from adapters.outbound.sql.audit import SqlAudit
from adapters.outbound.sql.audit_chain import SqlAuditChain
from adapters.outbound.sql.bills import SqlBills
from adapters.outbound.sql.circuits import SqlCircuits
from adapters.outbound.sql.closings import SqlClosings
from adapters.outbound.sql.codes import SqlCodes
from adapters.outbound.sql.deliveries import SqlDeliveries
from adapters.outbound.sql.endpoints import SqlEndpoints
from adapters.outbound.sql.entries import SqlAccountEntries
from adapters.outbound.sql.events import SqlEvents, SqlOutbox
from adapters.outbound.sql.idempotency import SqlIdempotentCalls
from adapters.outbound.sql.invoices import SqlInvoices
from adapters.outbound.sql.keys import SqlApiKeys
from adapters.outbound.sql.ledger import SqlLedger
from adapters.outbound.sql.limits import SqlLimits
from adapters.outbound.sql.merchant_statements import SqlMerchantStatements
from adapters.outbound.sql.merchants import SqlMerchants
from adapters.outbound.sql.notices import SqlNotices
from adapters.outbound.sql.orders import SqlOrders
from adapters.outbound.sql.payments import SqlPayments
from adapters.outbound.sql.people import SqlRoles, SqlServiceTokens, SqlSessions, SqlUsers
from adapters.outbound.sql.products import SqlPricings, SqlProducts
from adapters.outbound.sql.proposals import SqlProposals
from adapters.outbound.sql.refunds import SqlRefunds
from adapters.outbound.sql.releases import SqlHolds, SqlReleaseDays, SqlReleases
from adapters.outbound.sql.settlement_rules import SqlSettlementRules
from adapters.outbound.sql.settlements import SqlSettlements, SqlSweeps
from adapters.outbound.sql.sharing import SqlReceivers, SqlShareReturns, SqlShares
from adapters.outbound.sql.suspense import SqlSuspense
from adapters.outbound.sql.throttles import SqlThrottles
from adapters.outbound.sql.transaction import Transaction
from application.ports import (
    bills,
    closings,
    configuration,
    invoices,
    merchant_statements,
    people,
    settling,
    sharing,
    storage,
)
from application.ports.applyments import Applyments

_open_units: ContextVar[int] = ContextVar("open_units", default=0)


@dataclass(slots=True)
class SqlUnitOfWork:
    """What a use case sees between ``async with`` and its end."""

    merchants: configuration.Merchants
    keys: configuration.ApiKeys
    products: configuration.Products
    pricings: configuration.Pricings
    limits: configuration.Limits
    accounts: configuration.Accounts
    credentials: configuration.Credentials
    health: configuration.AccountHealth
    orders: storage.Orders
    attempts: storage.Attempts
    payments: storage.Payments
    suspense: storage.Suspense
    refunds: storage.Refunds
    release_days: settling.ReleaseDays
    releases: settling.Releases
    holds: settling.Holds
    settlement_rules: settling.SettlementRules
    settlements: settling.Settlements
    sweeps: settling.Sweeps
    receivers: sharing.Receivers
    invoices: invoices.Invoices
    shares: sharing.Shares
    share_returns: sharing.ShareReturns
    ledger: storage.Ledger
    entries: storage.AccountEntries
    closings: closings.Closings
    notices: storage.Notices
    outbox: storage.Outbox
    events: storage.Events
    endpoints: storage.Endpoints
    deliveries: storage.Deliveries
    circuits: storage.Circuits
    idempotency: storage.IdempotentCalls
    codes: storage.Codes
    applyments: Applyments
    audit: people.Audit
    chain: people.AuditChain
    bills: bills.Bills
    merchant_statements: merchant_statements.MerchantStatements
    users: people.Users
    sessions: people.Sessions
    service_tokens: people.ServiceTokens
    roles: people.Roles
    throttles: people.Throttles
    proposals: people.Proposals


@dataclass(frozen=True, slots=True)
class SqlDatabase:
    """A pool and what this process has learnt of the database behind it. ``unit_of_work`` is a UnitOfWorkFactory."""

    engine: AsyncEngine
    known_accounts: set[int] = field(default_factory=set)

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[storage.UnitOfWork]:
        """One transaction: commits when the block ends, rolls back on any exception."""
        tx, opened = Transaction(self.engine), set[int]()
        _open_units.set(_open_units.get() + 1)
        try:
            yield self._unit(tx, opened)
            await tx.commit()
            self.known_accounts.update(opened)
        finally:
            _open_units.set(_open_units.get() - 1)
            await tx.close()

    @staticmethod
    def open_here() -> bool:
        """Whether this task is inside a unit of work: no channel or merchant may be called then."""
        return _open_units.get() > 0

    def _unit(self, tx: Transaction, opened: set[int]) -> storage.UnitOfWork:
        return SqlUnitOfWork(
            merchants=SqlMerchants(tx),
            keys=SqlApiKeys(tx),
            products=SqlProducts(tx),
            pricings=SqlPricings(tx),
            limits=SqlLimits(tx),
            accounts=SqlAccounts(tx),
            credentials=SqlCredentials(tx),
            health=SqlAccountHealth(tx),
            orders=SqlOrders(tx),
            attempts=SqlAttempts(tx),
            payments=SqlPayments(tx),
            suspense=SqlSuspense(tx),
            refunds=SqlRefunds(tx),
            release_days=SqlReleaseDays(tx),
            releases=SqlReleases(tx),
            holds=SqlHolds(tx),
            settlement_rules=SqlSettlementRules(tx),
            settlements=SqlSettlements(tx),
            sweeps=SqlSweeps(tx),
            receivers=SqlReceivers(tx),
            invoices=SqlInvoices(tx),
            shares=SqlShares(tx),
            share_returns=SqlShareReturns(tx),
            ledger=SqlLedger(tx, self.known_accounts, opened),
            entries=SqlAccountEntries(tx),
            closings=SqlClosings(tx),
            notices=SqlNotices(tx),
            outbox=SqlOutbox(tx),
            events=SqlEvents(tx),
            endpoints=SqlEndpoints(tx),
            deliveries=SqlDeliveries(tx),
            circuits=SqlCircuits(tx),
            idempotency=SqlIdempotentCalls(tx),
            codes=SqlCodes(tx),
            applyments=SqlApplyments(tx),
            audit=SqlAudit(tx),
            chain=SqlAuditChain(tx),
            bills=SqlBills(tx),
            merchant_statements=SqlMerchantStatements(tx),
            users=SqlUsers(tx),
            sessions=SqlSessions(tx),
            service_tokens=SqlServiceTokens(tx),
            roles=SqlRoles(tx),
            throttles=SqlThrottles(tx),
            proposals=SqlProposals(tx),
        )
