"""The unit of work on PostgreSQL: one Transaction, shared by a repository for each aggregate."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, TypeVar

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

T = TypeVar("T")

_open_units: ContextVar[int] = ContextVar("open_units", default=0)


class _Repository(Generic[T]):
    """One repository of a unit, made when it is first asked for: a unit uses three of them."""

    def __init__(self, make: Callable[[Transaction], T]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, unit: "SqlUnitOfWork", owner: type) -> T:
        made = self._make(unit.tx)
        unit.__dict__[self._name] = made  # found before us from now on
        return made


class SqlUnitOfWork:
    """What a use case sees between ``async with`` and its end."""

    merchants = _Repository[configuration.Merchants](SqlMerchants)
    keys = _Repository[configuration.ApiKeys](SqlApiKeys)
    products = _Repository[configuration.Products](SqlProducts)
    pricings = _Repository[configuration.Pricings](SqlPricings)
    limits = _Repository[configuration.Limits](SqlLimits)
    accounts = _Repository[configuration.Accounts](SqlAccounts)
    credentials = _Repository[configuration.Credentials](SqlCredentials)
    health = _Repository[configuration.AccountHealth](SqlAccountHealth)
    orders = _Repository[storage.Orders](SqlOrders)
    attempts = _Repository[storage.Attempts](SqlAttempts)
    payments = _Repository[storage.Payments](SqlPayments)
    suspense = _Repository[storage.Suspense](SqlSuspense)
    refunds = _Repository[storage.Refunds](SqlRefunds)
    release_days = _Repository[settling.ReleaseDays](SqlReleaseDays)
    releases = _Repository[settling.Releases](SqlReleases)
    holds = _Repository[settling.Holds](SqlHolds)
    settlement_rules = _Repository[settling.SettlementRules](SqlSettlementRules)
    settlements = _Repository[settling.Settlements](SqlSettlements)
    sweeps = _Repository[settling.Sweeps](SqlSweeps)
    receivers = _Repository[sharing.Receivers](SqlReceivers)
    invoices = _Repository[invoices.Invoices](SqlInvoices)
    shares = _Repository[sharing.Shares](SqlShares)
    share_returns = _Repository[sharing.ShareReturns](SqlShareReturns)
    entries = _Repository[storage.AccountEntries](SqlAccountEntries)
    closings = _Repository[closings.Closings](SqlClosings)
    notices = _Repository[storage.Notices](SqlNotices)
    outbox = _Repository[storage.Outbox](SqlOutbox)
    events = _Repository[storage.Events](SqlEvents)
    endpoints = _Repository[storage.Endpoints](SqlEndpoints)
    deliveries = _Repository[storage.Deliveries](SqlDeliveries)
    circuits = _Repository[storage.Circuits](SqlCircuits)
    idempotency = _Repository[storage.IdempotentCalls](SqlIdempotentCalls)
    codes = _Repository[storage.Codes](SqlCodes)
    applyments = _Repository[Applyments](SqlApplyments)
    audit = _Repository[people.Audit](SqlAudit)
    chain = _Repository[people.AuditChain](SqlAuditChain)
    bills = _Repository[bills.Bills](SqlBills)
    merchant_statements = _Repository[merchant_statements.MerchantStatements](SqlMerchantStatements)
    users = _Repository[people.Users](SqlUsers)
    sessions = _Repository[people.Sessions](SqlSessions)
    service_tokens = _Repository[people.ServiceTokens](SqlServiceTokens)
    roles = _Repository[people.Roles](SqlRoles)
    throttles = _Repository[people.Throttles](SqlThrottles)
    proposals = _Repository[people.Proposals](SqlProposals)

    def __init__(self, tx: Transaction, ledger: SqlLedger) -> None:
        self.tx = tx
        self.ledger: storage.Ledger = ledger


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
            yield SqlUnitOfWork(tx, SqlLedger(tx, self.known_accounts, opened))
            await tx.commit()
            self.known_accounts.update(opened)
        finally:
            _open_units.set(_open_units.get() - 1)
            await tx.close()

    @staticmethod
    def open_here() -> bool:
        """Whether this task is inside a unit of work: no channel or merchant may be called then."""
        return _open_units.get() > 0
