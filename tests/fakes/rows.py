"""The tables of the fake database: what is stored, and which unique keys stand on it."""

from dataclasses import dataclass
from datetime import date, datetime

from domain.account_entries import AccountEntry
from domain.actors import AuditRecord
from domain.applyments import Applyment
from domain.attempts import Attempt
from domain.audit_chain import Link
from domain.channels import ChannelAccount, ChannelNotice, Credential, Method, Mode
from domain.circuits import Circuit
from domain.closing import Closing
from domain.codes import StaticCode
from domain.events import Event
from domain.idempotency import IdempotencyKey, IdempotentCall
from domain.invoices import Invoice
from domain.kept_notices import RefusedNotice
from domain.ledger import Account, Transfer
from domain.limits import Limit
from domain.merchant_statements import MerchantStatement
from domain.merchants import ApiKey, Merchant
from domain.notifications import Answer, Delivery, Endpoint
from domain.orders import Order
from domain.payments import ChannelPayment, SuspenseItem
from domain.products import Binding, Product, ProductVersion, RateOverride
from domain.proposals import Proposal
from domain.receivers import GONE, Receiver
from domain.reconciliation import Discrepancy
from domain.refunds import Refund
from domain.releases import Hold, Release
from domain.routing import Health
from domain.sessions import Role, ServiceToken, Session
from domain.settlement_postings import AvailableLine
from domain.settlement_rules import SettlementRule
from domain.settlements import Settlement
from domain.share_returns import ShareReturn
from domain.shares import Share
from domain.statements import FundLine, Line, StatementDay, StatementFile
from domain.times import shanghai_day
from domain.users import User
from tests.fakes.storage import Table, Transaction, Unique


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order and when its expiry work is due."""

    order: Order
    due_at: datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event and the transaction that wrote it: cursors go by (xid, id), see DESIGN 3.8."""

    event: Event
    xid: int
    row: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    event: Event
    row: int


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer and its place: the roll-up goes by (xid, row)."""

    transfer: Transfer
    xid: int
    row: int
    created_at: datetime

    @property
    def posting_date(self) -> date:
        return shanghai_day(self.created_at)


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """What an account's rows up to the cursor come to."""

    account_id: int
    balance: int


@dataclass(frozen=True, slots=True)
class FigureRow:
    """What an account did on a closed day."""

    account: Account
    day: date
    opening: int
    debits: int
    credits: int

    @property
    def closing(self) -> int:
        return self.opening + self.credits - self.debits


@dataclass(frozen=True, slots=True)
class BalanceCursor:
    """Up to where snapshots count."""

    xid: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class DayToSchedule:
    account_id: str
    day: date
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """A notice as the inbox keeps it."""

    account_id: str
    notice: ChannelNotice
    body: bytes
    outcome: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a delivery. Two may bear one ``n``: a lease ran out, and both were answered."""

    delivery_id: str
    n: int
    at: datetime
    answer: Answer
    row: int


@dataclass(frozen=True, slots=True)
class CallRow:
    """An idempotency key's row and when it was first claimed."""

    call: IdempotentCall
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A record and its place: the chain goes by (xid, row)."""

    record: AuditRecord
    xid: int
    row: int


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A statement as it came."""

    file: StatementFile
    content: bytes


@dataclass(frozen=True, slots=True)
class KeptBill:
    """The lines of the file in force of one bill of a day."""

    account_id: str
    day: date
    bill: str
    lines: tuple[Line | FundLine, ...]


@dataclass(frozen=True, slots=True)
class DueStatement:
    """A merchant's statement that is to be frozen, and when to look again."""

    statement: MerchantStatement
    next_at: datetime

    @property
    def key(self) -> tuple[str, Mode, date]:
        return (self.statement.merchant_id, self.statement.mode, self.statement.day)


@dataclass(frozen=True, slots=True)
class FrozenStatement:
    statement: MerchantStatement
    content: bytes

    @property
    def key(self) -> tuple[str, Mode, date]:
        return (self.statement.merchant_id, self.statement.mode, self.statement.day)


@dataclass(frozen=True, slots=True)
class Tries:
    """A counter of tries and when its window began."""

    key: str
    tries: int
    since: datetime


@dataclass(frozen=True, slots=True)
class LimitRow:
    merchant_id: str
    limit: Limit


@dataclass(frozen=True, slots=True)
class DayRow:
    """What a day has taken by one method of one merchant."""

    key: tuple[str, Mode, Method, date]
    amount: int


class Tables:
    """Every table. Tests may look at ``committed`` of each; only units of work write."""

    def __init__(self) -> None:
        self.merchants = Table[Merchant]("merchant", lambda row: row.id)
        self.api_keys = Table[ApiKey](
            "api_key", lambda row: row.id, Unique("uq_api_key_digest", lambda row: row.digest)
        )
        self.credentials = Table[Credential]("credential", lambda row: row.id)
        self.accounts = Table[ChannelAccount]("channel_account", lambda row: row.id)
        self.codes = Table[StaticCode](
            "static_code", lambda row: row.id, Unique("uq_static_code_token", lambda row: row.token)
        )
        self.applyments = Table[Applyment](
            "applyment", lambda row: row.id, Unique("uq_applyment_code", lambda row: row.code)
        )
        self.health = Table[Health]("account_health", lambda row: (row.account_id, row.method))
        self.products = Table[Product]("product", lambda row: row.id)
        self.versions = Table[ProductVersion]("product_version", lambda row: (row.product_id, row.n))
        self.bindings = Table[Binding]("product_binding", lambda row: row.id)
        self.overrides = Table[RateOverride]("rate_override", lambda row: row.id)
        self.limits = Table[LimitRow]("method_limit", lambda row: (row.merchant_id, row.limit.method))
        self.daily_amounts = Table[DayRow]("daily_amount", lambda row: row.key)
        self.orders = Table[OrderRow](
            "payment_order",
            lambda row: row.order.id,
            Unique(
                "uq_order_merchant_order_no",
                lambda row: (row.order.merchant_id, row.order.mode, row.order.request.merchant_order_no),
            ),
            Unique("uq_order_cashier_token", lambda row: row.order.cashier_token),
        )
        self.attempts = Table[Attempt](
            "attempt", lambda row: row.id, Unique("uq_attempt_number", lambda row: row.number)
        )
        self.payments = Table[ChannelPayment](
            "channel_payment",
            lambda row: row.id,
            Unique("uq_channel_payment_transaction", lambda row: (row.account_id, row.transaction_id)),
            Unique("uq_channel_payment_effective", lambda row: None if row.unattributed else row.order_id),
        )
        self.suspense = Table[SuspenseItem](
            "suspense_item",
            lambda row: row.id,
            Unique("uq_suspense_item_payment", lambda row: row.payment_id),
            Unique("uq_suspense_item_attributed", lambda row: row.order_id),
        )
        self.refunds = Table[Refund](
            "refund",
            lambda row: row.id,
            Unique(
                "uq_refund_merchant_refund_no",
                lambda row: row.merchant_refund_no and (row.merchant_id, row.mode, row.merchant_refund_no),
            ),
            Unique("uq_refund_number", lambda row: (row.account_id, row.number)),
            Unique("uq_refund_item", lambda row: row.item_id if row.origin == "suspense" and not row.void else None),
        )
        self.transfers = Table[TransferRow]("transfer", lambda row: row.transfer.idem_key)
        self.invoices = Table[Invoice](
            "invoice",
            lambda row: row.id,
            Unique("uq_invoice_month", lambda row: (row.merchant_id, row.mode, row.month)),
        )
        self.receivers = Table[Receiver](
            "receiver",
            lambda row: row.id,
            Unique(
                "uq_receiver_account",
                lambda row: None if row.status in GONE else (row.wish.account_id, row.wish.kind, row.wish.account),
            ),
        )
        self.shares = Table[Share](
            "share",
            lambda row: row.id,
            Unique(
                "uq_share_merchant_share_no",
                lambda row: row.merchant_share_no and (row.merchant_id, row.mode, row.merchant_share_no),
            ),
            Unique("uq_share_number", lambda row: (row.account_id, row.number)),
            Unique("uq_share_end", lambda row: row.order_id if row.ends else None),
        )
        self.share_returns = Table[ShareReturn](
            "share_return",
            lambda row: row.id,
            Unique("uq_share_return_number", lambda row: (row.account_id, row.number)),
        )
        self.settlements = Table[Settlement](
            "settlement", lambda row: row.id, Unique("uq_settlement_number", lambda row: row.number)
        )
        self.release_days = Table[DayToSchedule]("release_day", lambda row: (row.account_id, row.day))
        self.releases = Table[Release]("release", lambda row: row.payment_id)
        self.holds = Table[Hold](
            "hold",
            lambda row: row.id,
            Unique("uq_hold_subject", lambda row: row.subject if row.lifted_at is None else None),
        )
        self.settlement_rules = Table[SettlementRule]("settlement_rule", lambda row: row.merchant_id)
        self.available_lines = Table[AvailableLine]("settlement_transfer", lambda row: row.idem_key)
        self.entries = Table[AccountEntry](
            "account_entry",
            lambda row: row.id,
            Unique(
                "uq_account_entry_bank_reference", lambda row: row.bank_reference and (row.mode, row.bank_reference)
            ),
        )
        self.closings = Table[Closing]("ledger_closing", lambda row: row.day)
        self.figures = Table[FigureRow]("account_closing", lambda row: (row.account.id, row.day))
        self.snapshots = Table[SnapshotRow]("balance_snapshot", lambda row: row.account_id)
        self.balance_cursor = Table[BalanceCursor]("balance_cursor", lambda _: True)
        self.refused_notices = Table[RefusedNotice]("refused_notice", lambda row: row.id)
        self.notices = Table[StoredNotice]("notice", lambda row: (row.account_id, row.notice.id))
        self.events = Table[EventRow]("event", lambda row: row.event.id)
        self.outbox = Table[OutboxRow]("outbox", lambda row: row.event.id)
        self.endpoints = Table[Endpoint](
            "webhook_endpoint",
            lambda row: row.id,
            # Two without a url would both send to the order's notify_url: no url counts as equal to no url.
            Unique("uq_webhook_endpoint_url", lambda row: (row.merchant_id, row.mode, row.url)),
        )
        self.deliveries = Table[Delivery](
            "delivery",
            lambda row: row.id,
            Unique("uq_delivery_event_endpoint", lambda row: (row.event_id, row.endpoint_id)),
        )
        self.circuits = Table[Circuit]("circuit", lambda row: row.lane)
        self.tries = Table[Try]("delivery_try", lambda row: row.row)
        self.calls = Table[CallRow]("idempotency_key", lambda row: call_id(row.call.key))
        self.audit = Table[AuditRow]("audit_record", lambda row: row.record.id)
        self.links = Table[Link](
            "audit_link", lambda row: row.position, Unique("uq_audit_link_record", lambda row: row.record_id)
        )
        self.days = Table[StatementDay]("statement_day", lambda row: (row.account_id, row.day))
        self.files = Table[KeptFile]("statement_file", lambda row: row.file.id)
        self.bills = Table[KeptBill]("statement_line", lambda row: (row.account_id, row.day, row.bill))
        self.statements_due = Table[DueStatement]("merchant_statement_due", lambda row: row.key)
        self.statements = Table[FrozenStatement]("merchant_statement", lambda row: row.key)
        self.discrepancies = Table[Discrepancy](
            "discrepancy",
            lambda row: row.id,
            Unique("uq_discrepancy_key", lambda row: (row.account_id, row.day, row.key)),
        )
        self.people = Table[User](
            "person", lambda row: row.id, Unique("uq_person_login", lambda row: (row.realm, row.login))
        )
        self.sessions = Table[Session](
            "session", lambda row: row.id, Unique("uq_session_digest", lambda row: row.digest)
        )
        self.service_tokens = Table[ServiceToken](
            "service_token", lambda row: row.id, Unique("uq_service_token_digest", lambda row: row.digest)
        )
        self.roles = Table[Role]("custom_role", lambda row: (row.realm, row.name))
        self.throttles = Table[Tries]("throttle", lambda row: row.key)
        self.proposals = Table[Proposal]("proposal", lambda row: row.id)


def call_id(key: IdempotencyKey) -> tuple[str, str, str]:
    return key.merchant_id, key.mode, key.key


async def publish(tables: Tables, transaction: Transaction, events: tuple[Event, ...]) -> None:
    """Each new event once, with an outbox row if merchants are to hear of it."""
    for event in events:
        row = EventRow(event, transaction.xid, transaction.engine.next_row())
        if await transaction.insert(tables.events, row, ignoring="pk_event") and event.announced:
            await transaction.insert(tables.outbox, OutboxRow(event, row.row))
