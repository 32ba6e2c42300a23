"""An in-memory database with the semantics of PostgreSQL, behind the ports of ``application.ports``."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from types import TracebackType
from typing import Generic, TypeVar

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

T = TypeVar("T")

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


class _Made(Generic[T]):
    """A repository, made when it is first asked for: a unit of work uses a few of them."""

    def __init__(self, make: Callable[[rows.Tables, Transaction], T]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, unit: "FakeUnitOfWork", owner: type) -> T:
        made = self._make(unit._database.tables, unit._transaction)
        unit.__dict__[self._name] = made  # found before us from now on
        return made


class FakeUnitOfWork:
    """One transaction. Commits at the end of the block, rolls back its own writes on any exception."""

    merchants = _Made[configuration.Merchants](FakeMerchants)
    keys = _Made[configuration.ApiKeys](FakeApiKeys)
    products = _Made[configuration.Products](FakeProducts)
    pricings = _Made[configuration.Pricings](FakePricings)
    limits = _Made[configuration.Limits](FakeLimits)
    accounts = _Made[configuration.Accounts](FakeAccounts)
    codes = _Made[storage.Codes](FakeCodes)
    applyments = _Made[Applyments](FakeApplyments)
    credentials = _Made[configuration.Credentials](FakeCredentials)
    health = _Made[configuration.AccountHealth](FakeHealth)
    orders = _Made[storage.Orders](FakeOrders)
    attempts = _Made[storage.Attempts](FakeAttempts)
    payments = _Made[storage.Payments](FakePayments)
    suspense = _Made[storage.Suspense](FakeSuspense)
    refunds = _Made[storage.Refunds](FakeRefunds)
    release_days = _Made[settling.ReleaseDays](FakeReleaseDays)
    releases = _Made[settling.Releases](FakeReleases)
    holds = _Made[settling.Holds](FakeHolds)
    settlement_rules = _Made[settling.SettlementRules](FakeSettlementRules)
    sweeps = _Made[settling.Sweeps](FakeSweeps)
    settlements = _Made[settling.Settlements](FakeSettlements)
    invoices = _Made[invoices.Invoices](FakeInvoices)
    receivers = _Made[sharing.Receivers](FakeReceivers)
    shares = _Made[sharing.Shares](FakeShares)
    share_returns = _Made[sharing.ShareReturns](FakeShareReturns)
    ledger = _Made[storage.Ledger](FakeLedger)
    closings = _Made[closings.Closings](FakeClosings)
    entries = _Made[storage.AccountEntries](FakeAccountEntries)
    notices = _Made[storage.Notices](FakeNotices)
    outbox = _Made[storage.Outbox](FakeOutbox)
    events = _Made[storage.Events](FakeEvents)
    endpoints = _Made[storage.Endpoints](FakeEndpoints)
    deliveries = _Made[storage.Deliveries](FakeDeliveries)
    circuits = _Made[storage.Circuits](FakeCircuits)
    idempotency = _Made[storage.IdempotentCalls](FakeIdempotentCalls)
    audit = _Made[people.Audit](FakeAudit)
    chain = _Made[people.AuditChain](FakeAuditChain)
    bills = _Made[bills.Bills](FakeBills)
    merchant_statements = _Made[merchant_statements.MerchantStatements](FakeMerchantStatements)
    users = _Made[people.Users](FakeUsers)
    sessions = _Made[people.Sessions](FakeSessions)
    service_tokens = _Made[people.ServiceTokens](FakeServiceTokens)
    roles = _Made[people.Roles](FakeRoles)
    throttles = _Made[people.Throttles](FakeThrottles)
    proposals = _Made[people.Proposals](FakeProposals)

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database
        self._transaction = database._begin()

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
