"""An in-memory database with the semantics of PostgreSQL, behind the ports of ``application.ports``."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from types import TracebackType

from application.ports import (
    bills,
    closings,
    configuration,
    invoices,
    merchant_statements,
    people,
    queries,
    settling,
    sharing,
    storage,
)
from application.ports.applyments import Applyments
from application.ports.balances import AccountQueries
from application.ports.lists import Finding, Lists
from application.ports.reports import Reports
from application.ports.world import Clock
from domain.errors import DatabaseUnavailable, OutcomeUnknown
from tests.fakes import rows
from tests.fakes.account_queries import FakeAccountQueries
from tests.fakes.applyments import FakeApplyments
from tests.fakes.bills import FakeBills
from tests.fakes.books import FakeAccountEntries, FakeLedger, FakePayments, FakeRefunds, FakeSuspense
from tests.fakes.closings import FakeClosings
from tests.fakes.configuration import (
    FakeAccounts,
    FakeApiKeys,
    FakeCodes,
    FakeCredentials,
    FakeEndpoints,
    FakeHealth,
    FakeMerchants,
)
from tests.fakes.faults import Faults
from tests.fakes.invoices import FakeInvoices
from tests.fakes.lists import FakeFinding, FakeLists
from tests.fakes.merchant_statements import FakeMerchantStatements
from tests.fakes.messages import FakeCircuits, FakeDeliveries, FakeEvents, FakeIdempotentCalls, FakeNotices, FakeOutbox
from tests.fakes.money import FakeAttempts, FakeOrders
from tests.fakes.people import (
    FakeAudit,
    FakeAuditChain,
    FakeProposals,
    FakeRoles,
    FakeServiceTokens,
    FakeSessions,
    FakeThrottles,
    FakeUsers,
)
from tests.fakes.people_queries import FakePeopleQueries
from tests.fakes.pricing import FakeLimits, FakePricings, FakeProducts
from tests.fakes.queries import FakeMerchantQueries
from tests.fakes.reconciliation_queries import FakeReconciliationQueries
from tests.fakes.releases import FakeHolds, FakeReleaseDays, FakeReleases, FakeSettlementRules
from tests.fakes.reports import FakeReports
from tests.fakes.settlements import FakeSettlements, FakeSweeps
from tests.fakes.shares import FakeReceivers, FakeShareReturns, FakeShares
from tests.fakes.storage import Engine, Transaction

Pause = Callable[[str], Awaitable[None]]


class DatabaseFault(StrEnum):
    """Ways to lose the connection. The first two are before the commit was sent, the others while it was under way."""

    LOST_CONNECTION = "lost_connection"
    LOCK_TIMEOUT = "lock_timeout"
    COMMIT_UNDONE = "commit_undone"  # nobody knows; in truth it did not happen
    COMMIT_DONE = "commit_done"  # nobody knows; in truth it happened


async def _give_way(step: str) -> None:
    await asyncio.sleep(0)


class FakeDatabase:
    """Offers ``unit_of_work`` and ``queries``; deterministic on a seeded loop, and as strict as PostgreSQL.

    ``pause(step)`` is awaited before each statement ("orders.lock"), before "commit", and after it ("committed"): a
    simulation interleaves there, and kills a process by raising CancelledError, again at every later step of that
    process. ``faults`` is asked at the same steps, except "committed". Locks come first come, first served; a circle
    or ``lock_timeout_seconds`` of the loop's time raise DatabaseUnavailable.
    """

    def __init__(self, *, pause: Pause = _give_way, lock_timeout_seconds: float = 2.0) -> None:
        self.pause = pause
        self.faults: Faults[DatabaseFault] = Faults()
        self.tables = rows.Tables()
        self._engine = Engine(lock_timeout_seconds)
        self._inside: list[asyncio.Task[object]] = []

    def unit_of_work(self) -> AbstractAsyncContextManager[storage.UnitOfWork]:
        return FakeUnitOfWork(self)

    @property
    def reconciliation(self) -> queries.ReconciliationQueries:
        return FakeReconciliationQueries(self.tables, self._begin)

    @property
    def people(self) -> queries.PeopleQueries:
        return FakePeopleQueries(self.tables, self._begin)

    @property
    def account_queries(self) -> AccountQueries:
        return FakeAccountQueries(self.tables, self._begin)

    @property
    def reports(self) -> Reports:
        return FakeReports(self.tables, self._begin)

    @property
    def queries(self) -> queries.MerchantQueries:
        return FakeMerchantQueries(self.tables, self._begin)

    @property
    def lists(self) -> Lists:
        return FakeLists(self.tables, self._begin)

    @property
    def finding(self) -> Finding:
        return FakeFinding(self.tables, self._begin)

    def tell_time_by(self, clock: Clock) -> None:
        """What the server writes as the time of a row; until then, one that stands still."""
        self._engine.now = clock.now

    def open_here(self) -> bool:
        """Whether the current task is inside a unit of work: then it must call no channel and no merchant."""
        return asyncio.current_task() in self._inside

    def _begin(self) -> Transaction:
        return Transaction(self._engine, self._step)

    async def _step(self, name: str) -> None:
        await self.pause(name)
        fault = self.faults.take(name)
        if fault is DatabaseFault.LOCK_TIMEOUT:
            raise DatabaseUnavailable("a lock did not come in time")
        if fault is not None:
            raise DatabaseUnavailable("the connection is lost")

    async def _commit(self, transaction: Transaction) -> None:
        assert not transaction.broken, "an error inside a unit of work was swallowed: PostgreSQL would not commit this"
        await transaction.look()
        await self.pause("commit")
        fault = self.faults.take("commit")
        if fault in (DatabaseFault.LOST_CONNECTION, DatabaseFault.LOCK_TIMEOUT):
            raise DatabaseUnavailable("the connection is lost")
        if fault is DatabaseFault.COMMIT_UNDONE:
            raise OutcomeUnknown("the connection was lost during commit")
        transaction.commit()
        if fault is DatabaseFault.COMMIT_DONE:
            raise OutcomeUnknown("the connection was lost during commit")
        await self.pause("committed")

    def _enter(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert task not in self._inside, "a task has one unit of work at a time"
        self._inside.append(task)

    def _leave(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._inside.remove(task)


class FakeUnitOfWork:
    """One transaction. Commits at the end of the block, rolls back its own writes on any exception."""

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database
        self._transaction = at = database._begin()
        tables = database.tables
        self.merchants: configuration.Merchants = FakeMerchants(tables, at)
        self.keys: configuration.ApiKeys = FakeApiKeys(tables, at)
        self.products: configuration.Products = FakeProducts(tables, at)
        self.pricings: configuration.Pricings = FakePricings(tables, at)
        self.limits: configuration.Limits = FakeLimits(tables, at)
        self.accounts: configuration.Accounts = FakeAccounts(tables, at)
        self.codes: storage.Codes = FakeCodes(tables, at)
        self.applyments: Applyments = FakeApplyments(tables, at)
        self.credentials: configuration.Credentials = FakeCredentials(tables, at)
        self.health: configuration.AccountHealth = FakeHealth(tables, at)
        self.orders: storage.Orders = FakeOrders(tables, at)
        self.attempts: storage.Attempts = FakeAttempts(tables, at)
        self.payments: storage.Payments = FakePayments(tables, at)
        self.suspense: storage.Suspense = FakeSuspense(tables, at)
        self.refunds: storage.Refunds = FakeRefunds(tables, at)
        self.release_days: settling.ReleaseDays = FakeReleaseDays(tables, at)
        self.releases: settling.Releases = FakeReleases(tables, at)
        self.holds: settling.Holds = FakeHolds(tables, at)
        self.settlement_rules: settling.SettlementRules = FakeSettlementRules(tables, at)
        self.sweeps: settling.Sweeps = FakeSweeps(tables, at)
        self.settlements: settling.Settlements = FakeSettlements(tables, at)
        self.invoices: invoices.Invoices = FakeInvoices(tables, at)
        self.receivers: sharing.Receivers = FakeReceivers(tables, at)
        self.shares: sharing.Shares = FakeShares(tables, at)
        self.share_returns: sharing.ShareReturns = FakeShareReturns(tables, at)
        self.ledger: storage.Ledger = FakeLedger(tables, at)
        self.closings: closings.Closings = FakeClosings(tables, at)
        self.entries: storage.AccountEntries = FakeAccountEntries(tables, at)
        self.notices: storage.Notices = FakeNotices(tables, at)
        self.outbox: storage.Outbox = FakeOutbox(tables, at)
        self.events: storage.Events = FakeEvents(tables, at)
        self.endpoints: storage.Endpoints = FakeEndpoints(tables, at)
        self.deliveries: storage.Deliveries = FakeDeliveries(tables, at)
        self.circuits: storage.Circuits = FakeCircuits(tables, at)
        self.idempotency: storage.IdempotentCalls = FakeIdempotentCalls(tables, at)
        self.audit: people.Audit = FakeAudit(tables, at)
        self.chain: people.AuditChain = FakeAuditChain(tables, at)
        self.bills: bills.Bills = FakeBills(tables, at)
        self.merchant_statements: merchant_statements.MerchantStatements = FakeMerchantStatements(tables, at)
        self.users: people.Users = FakeUsers(tables, at)
        self.sessions: people.Sessions = FakeSessions(tables, at)
        self.service_tokens: people.ServiceTokens = FakeServiceTokens(tables, at)
        self.roles: people.Roles = FakeRoles(tables, at)
        self.throttles: people.Throttles = FakeThrottles(tables, at)
        self.proposals: people.Proposals = FakeProposals(tables, at)

    async def __aenter__(self) -> storage.UnitOfWork:
        self._database._enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._database._commit(self._transaction)
        finally:
            # Nothing is awaited here: a killed task's rollback cannot be interrupted.
            self._transaction.end()
            self._database._leave()
