"""The database: one unit of work with a repository for each aggregate, and what every adapter and fake of them keeps.

Times are aware UTC. ``get`` reads, ``lock`` reads and holds the row until the unit of work ends, ``save`` writes the
aggregate together with its new events and their outbox rows. Locks are taken in one order everywhere:
idempotency → order → attempt → channel payment / suspense item → refund → settlement → account guards (DESIGN
section 3).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from application.ports.applyments import Applyments
from application.ports.bills import Bills
from application.ports.closings import Closings
from application.ports.configuration import (
    AccountHealth,
    Accounts,
    ApiKeys,
    Credentials,
    Limits,
    Merchants,
    Pricings,
    Products,
)
from application.ports.invoices import Invoices
from application.ports.merchant_statements import MerchantStatements
from application.ports.people import Audit, AuditChain, Proposals, Roles, ServiceTokens, Sessions, Throttles, Users
from application.ports.settling import Holds, ReleaseDays, Releases, SettlementRules, Settlements, Sweeps
from application.ports.sharing import Receivers, ShareReturns, Shares
from domain.account_entries import AccountEntry
from domain.attempts import Attempt
from domain.channels import ChannelNotice, Mode
from domain.circuits import Circuit
from domain.codes import StaticCode
from domain.events import Event
from domain.idempotency import IdempotencyKey, IdempotentCall
from domain.kept_notices import KeptNotice, RefusedNotice
from domain.ledger import Account, Transfer
from domain.notifications import Answer, Delivery, Endpoint
from domain.orders import Order
from domain.payments import ChannelPayment, SuspenseItem
from domain.refunds import Refund


class AlreadyExists(Exception):
    """A unique key is taken: ``constraint`` names it. May surface from any statement or from the unit of work's end."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class Moved(Exception):
    """What this unit of work had only watched has been changed by somebody else, and nothing of the unit was written:
    begin it again, with locks. May surface from any statement or from the unit of work's end."""


class Orders(Protocol):
    """All but ``add`` and ``save`` raise NotFound; ``add`` may raise AlreadyExists("uq_order_merchant_order_no")."""

    async def get(self, order_id: str) -> Order: ...
    async def placed(self, merchant_id: str, mode: Mode, merchant_order_no: str) -> Order: ...
    async def by_token(self, cashier_token: str) -> Order: ...
    async def lock(self, order_id: str) -> Order: ...
    async def add(self, order: Order) -> None: ...
    async def save(self, order: Order) -> None: ...
    async def claim_expired(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[str]:
        """Ids of pending orders whose expiry work is due, each moved to ``retry_at`` so that no one else takes it now.

        Rows locked by others are skipped. Due is ``expires_at`` at first, afterwards the last ``retry_at``.
        """
        ...


class Attempts(Protocol):
    """``get`` and ``lock`` raise NotFound."""

    async def get(self, attempt_id: str) -> Attempt: ...
    async def lock(self, attempt_id: str) -> Attempt: ...
    async def lock_numbered(self, number: str) -> tuple[Order, Attempt] | None:
        """The attempt with this channel number and its order, both locked, the order first; None if it is nobody's."""
        ...

    async def watch_numbered(self, number: str) -> tuple[Order, Attempt] | None:
        """The same, waiting for nobody: they are locked with whatever the unit does next, and if one of them has
        changed by then, that raises Moved. Call it first. Cheaper where company is rare."""
        ...

    async def of_order(self, order_id: str) -> Sequence[Attempt]:
        """All attempts of an order, oldest first."""
        ...

    async def add(self, attempt: Attempt) -> None: ...
    async def save(self, attempt: Attempt) -> None: ...
    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Attempt]:
        """Live attempts with ``next_at`` <= now, oldest due first, already moved on by ``Attempt.polled``.

        Rows locked by others are skipped.
        """
        ...


class Payments(Protocol):
    """Channel payments and held money. ``add`` may raise AlreadyExists: "uq_channel_payment_transaction" when this
    transaction of this account is recorded, "uq_channel_payment_effective" when the order has its effective one."""

    async def find(self, account_id: str, transaction_id: str) -> ChannelPayment | None: ...
    async def unknown(self, account_id: str, number: str) -> ChannelPayment | None:
        """The oldest payment of this account under a number that was nobody's."""
        ...

    async def add(self, payment: ChannelPayment) -> None: ...
    async def of_order(self, order_id: str) -> Sequence[ChannelPayment]:
        """All that came for it, effective or not, as they were recorded, oldest first."""
        ...

    async def paying(self, order_id: str) -> ChannelPayment | None:
        """What paid the order: its effective payment, or one that a person attributed to it, with that fee."""
        ...


class Suspense(Protocol):
    """Held money: one item a payment, each a guarded row. ``get`` and ``lock`` raise NotFound."""

    async def of_payment(self, payment_id: str) -> SuspenseItem | None: ...
    async def get(self, item_id: str) -> tuple[SuspenseItem, ChannelPayment]: ...
    async def lock(self, item_id: str) -> tuple[SuspenseItem, ChannelPayment]: ...
    async def add(self, item: SuspenseItem) -> None: ...
    async def save(self, item: SuspenseItem) -> None:
        """May raise AlreadyExists("uq_suspense_item_attributed"): another item pays this order."""
        ...


class Refunds(Protocol):
    """``get`` and ``lock`` raise NotFound. ``add`` may raise AlreadyExists: "uq_refund_merchant_refund_no",
    "uq_refund_number" (account and number), or "uq_refund_item" when another refund of ours stands for this item."""

    async def get(self, refund_id: str) -> Refund: ...
    async def lock(self, refund_id: str) -> Refund: ...
    async def numbered(self, account_id: str, number: str) -> Refund | None:
        """By what the channel knows it by."""
        ...

    async def asked(self, merchant_id: str, mode: Mode, merchant_refund_no: str) -> Refund | None: ...
    async def of_order(self, order_id: str) -> Sequence[Refund]:
        """All refunds of an order, those of held money that came for it among them, oldest first."""
        ...

    async def of_payment(self, payment_id: str) -> Sequence[Refund]:
        """All refunds of one payment, oldest first."""
        ...

    async def add(self, refund: Refund) -> None: ...
    async def save(self, refund: Refund) -> None: ...
    async def claim_due(self, now: datetime, *, limit: int) -> Sequence[Refund]:
        """PURSUED refunds with ``next_at`` <= now, oldest due first, already moved on by ``Refund.polled``.

        Rows locked by others are skipped.
        """
        ...


class Ledger(Protocol):
    """Append-only. Posting an equal transfer again is a no-op; another under the same key is a programming error."""

    async def post(self, transfers: Sequence[Transfer]) -> None: ...
    async def guard(self, *accounts: Account) -> None:
        """Lock these accounts' guards until the end, in the order of their ids: a balance that is read after this can
        only rise. ``post`` guards what it lowers by itself; call this first where the balance decides."""
        ...

    async def about(self, object_id: str) -> Sequence[Transfer]:
        """The transfers posted about one object, oldest first."""
        ...

    async def balance(self, account: Account) -> int:
        """Credits minus debits in minor units, as of this unit of work. Negative for accounts that live on debits."""
        ...

    async def roll_up(self, *, limit: int) -> int:
        """Add the next so many rows, in the order of their transactions, to their accounts' snapshots, and say how many
        they were. Rows that an open transaction may still precede wait. One at a time; no balance changes by it."""
        ...


class AccountEntries(Protocol):
    """What people book. ``get`` raises NotFound; ``add`` may raise AlreadyExists("uq_account_entry_bank_reference")."""

    async def get(self, entry_id: str) -> AccountEntry: ...
    async def referring(self, mode: Mode, reference: str) -> AccountEntry | None:
        """The one with this reference of the bank's."""
        ...

    async def add(self, entry: AccountEntry) -> None: ...


class Notices(Protocol):
    """The inbox of verified channel notices. ``add`` leaves out what this account has by this id, or, where it must be
    ``fresh``, raises AlreadyExists("pk_notice") for it; ``get`` has one as it came, and raises NotFound.

    What was refused stands apart, for a week: ``refuse`` keeps at most KEPT_AN_HOUR of an account in an hour, and says
    whether it kept this one; ``refused`` raises NotFound; ``purge_refused`` returns how many are gone."""

    async def add(
        self,
        account_id: str,
        notice: ChannelNotice,
        *,
        body: bytes,
        outcome: str,
        received_at: datetime,
        fresh: bool = False,
    ) -> None: ...

    async def get(self, account_id: str, notice_id: str) -> KeptNotice: ...
    async def refuse(self, notice: RefusedNotice) -> bool: ...
    async def refused(self, notice_id: str) -> RefusedNotice: ...
    async def refusals(self, *, limit: int) -> Sequence[RefusedNotice]:
        """The latest ones, newest first."""
        ...

    async def purge_refused(self, before: datetime) -> int: ...


class Outbox(Protocol):
    """Events still to be fanned out."""

    async def claim(self, *, limit: int) -> Sequence[Event]:
        """The oldest ones, locked until this unit of work ends; rows locked by others are skipped."""
        ...

    async def done(self, events: Sequence[Event]) -> None: ...


class Events(Protocol):
    """Read access to what happened. ``get`` raises NotFound; ``many`` has those that exist, by id."""

    async def get(self, event_id: str) -> Event: ...
    async def many(self, event_ids: Collection[str]) -> Mapping[str, Event]: ...
    async def about(self, object_ids: Collection[str]) -> Sequence[Event]:
        """The history of these objects, in the order in which it was written."""
        ...


class Endpoints(Protocol):
    """``get`` and ``lock`` raise NotFound; ``many`` has those that exist, by id. ``add`` may raise
    AlreadyExists("uq_webhook_endpoint_url"). ``save`` is for one that was locked."""

    async def get(self, endpoint_id: str) -> Endpoint: ...
    async def lock(self, endpoint_id: str) -> Endpoint: ...
    async def many(self, endpoint_ids: Collection[str]) -> Mapping[str, Endpoint]: ...
    async def of_merchant(self, merchant_id: str, mode: Mode) -> Sequence[Endpoint]:
        """All endpoints, enabled or not, oldest first."""
        ...

    async def add(self, endpoint: Endpoint) -> None: ...
    async def save(self, endpoint: Endpoint) -> None: ...


class Deliveries(Protocol):
    """``add`` ignores a delivery whose (event, endpoint) exists."""

    async def add(self, delivery: Delivery) -> None: ...
    async def claim_due(self, now: datetime, *, limit: int, per_endpoint: int) -> Sequence[Delivery]:
        """Due ones, oldest first, already ``leased``; at most so many that ``per_endpoint`` tries of each lane are in
        flight, or what the lane's circuit has ``room`` for (two claims at once may each fill it). Rows locked by others
        are skipped. What a lane holds back costs the others nothing, not even reading.
        """
        ...

    async def lock(self, delivery_ids: Collection[str]) -> dict[str, Delivery]:
        """Those that exist, by id; locked in the order of their ids, so that two who lock several never deadlock."""
        ...

    async def watch(self, deliveries: Sequence[Delivery]) -> None:
        """Goes by these as they were claimed: they are locked with whatever the unit does next, and if one of them has
        changed by then, that raises Moved. Call it first."""
        ...

    async def save(self, delivery: Delivery, answer: Answer | None, at: datetime) -> None:
        """Stores the delivery and, with an answer, a row for this try. ``at`` is when it was sent."""
        ...

    async def cancel_due(self, endpoint_id: str, *, limit: int) -> int:
        """Cancel so many of an endpoint's due deliveries, and say how many that were. Locked rows are skipped."""
        ...

    async def missed(
        self, endpoint: Endpoint, since: datetime, until: datetime, *, limit: int
    ) -> Sequence[tuple[Event, Delivery | None]]:
        """Announced events of that time (from ``since``, before ``until``) that this endpoint wants and has not taken:
        those that were never on their way to it, and those given up (exhausted, cancelled), locked. Oldest first.
        """
        ...


class Circuits(Protocol):
    """What failing addresses are remembered by: a row while they fail, none otherwise.

    Taken before deliveries, and in the order of their lanes.
    """

    async def lock(self, lanes: Collection[str]) -> dict[str, Circuit]:
        """Those that exist."""
        ...

    async def save(self, circuits: Sequence[Circuit]) -> None:
        """Add or replace."""
        ...

    async def close(self, lanes: Collection[str]) -> None:
        """Forget them: they work. Whoever is locked is left for the next success; waits for nobody."""
        ...


class IdempotentCalls(Protocol):
    """Idempotency keys by (merchant, mode, key)."""

    async def claim(self, key: IdempotencyKey, *, now: datetime) -> IdempotentCall | None:
        """Take the key for a run: None if it is ours now, else the row that stands in the way, locked.

        A row that is unanswered and past its ``locked_until``, with an equal fingerprint, is taken over.
        """
        ...

    async def answer(self, key: IdempotencyKey, status: int, body: bytes) -> None: ...
    async def release(self, key: IdempotencyKey) -> None: ...
    async def purge(self, before: datetime) -> int: ...


class Codes(Protocol):
    """Static codes. ``get`` and ``by_token`` raise NotFound."""

    async def get(self, code_id: str) -> StaticCode: ...
    async def by_token(self, token: str) -> StaticCode: ...
    async def of_merchant(self, merchant_id: str, mode: Mode) -> Sequence[StaticCode]:
        """Oldest first."""
        ...

    async def add(self, code: StaticCode) -> None: ...
    async def save(self, code: StaticCode) -> None: ...


class UnitOfWork(Protocol):
    """One transaction. Commits when the block ends, rolls back on any exception. No channel or merchant call inside.

    Writes may be collected and sent together at the end, so AlreadyExists may surface only there: catch it around the
    ``async with``. A connection lost during commit raises OutcomeUnknown: it may have happened.
    """

    merchants: Merchants
    keys: ApiKeys
    products: Products
    pricings: Pricings
    limits: Limits
    accounts: Accounts
    credentials: Credentials
    health: AccountHealth
    orders: Orders
    attempts: Attempts
    payments: Payments
    suspense: Suspense
    refunds: Refunds
    release_days: ReleaseDays
    releases: Releases
    holds: Holds
    settlement_rules: SettlementRules
    receivers: Receivers
    invoices: Invoices
    shares: Shares
    share_returns: ShareReturns
    settlements: Settlements
    sweeps: Sweeps
    ledger: Ledger
    closings: Closings
    entries: AccountEntries
    notices: Notices
    outbox: Outbox
    events: Events
    endpoints: Endpoints
    deliveries: Deliveries
    circuits: Circuits
    idempotency: IdempotentCalls
    codes: Codes
    applyments: Applyments
    audit: Audit
    chain: AuditChain
    bills: Bills
    merchant_statements: MerchantStatements
    users: Users
    sessions: Sessions
    service_tokens: ServiceTokens
    roles: Roles
    throttles: Throttles
    proposals: Proposals


UnitOfWorkFactory = Callable[[], AbstractAsyncContextManager[UnitOfWork]]
