"""Orders, attempts, channel payments, suspense, refunds, notices and idempotency keys."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.attempts import LIVE, AttemptStatus
from domain.channels import Channel, FundMode, Method, Mode
from domain.orders import OrderStatus
from domain.payments import SuspenseStatus, Unattributed
from domain.redirections import Destination
from domain.refunds import PURSUED, VOID, RefundOrigin, RefundStatus

# The very words of the partial indexes: a query must repeat them, literally, for its plan to use them.
ORDER_PENDING = f"status = '{OrderStatus.PENDING}'"
# The second half is always true. Without it, lists of pending orders would seem to fit this index, and read it whole.
ORDER_EXPIRING = f"{ORDER_PENDING} AND next_at > '-infinity'"
ATTEMPT_LIVE = "status IN ({})".format(", ".join(f"'{status}'" for status in sorted(LIVE)))
REFUND_PURSUED = "status IN ({})".format(", ".join(f"'{status}'" for status in sorted(PURSUED)))
# Of ours: in the channel's console any number of parts can go.
ITEM_REFUND_STANDS = "status NOT IN ({}) AND origin = 'suspense'".format(
    ", ".join(f"'{status}'" for status in sorted(VOID))
)

payment_order = Table(
    "payment_order",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("merchant_id", "mode", "merchant_order_no"),
    *minors("amount"),
    *texts("currency", "subject"),
    *numbers("expires_in"),
    *texts("method", "return_url", "notify_url", "payer_ip", "locale", null=True),
    of("metadata", JSON()),
    of("profit_sharing", Boolean()),
    *texts("cashier_token"),
    *times("created_at", "expires_at"),
    *texts("status"),
    *minors("paid", "refunded", "refunding"),
    *texts("paid_method", null=True),
    *times("paid_at", "closed_at", null=True),
    *texts("close_reason", null=True),
    *numbers("revision"),
    *times("next_at"),  # when its expiry is to be looked at: expires_at, later the retry of a claim
    UniqueConstraint("merchant_id", "mode", "merchant_order_no", name="uq_order_merchant_order_no"),
    UniqueConstraint("cashier_token", name="uq_order_cashier_token"),
    one_of("mode", Mode),
    one_of("status", OrderStatus),
    one_of("method", Method),
    one_of("paid_method", Method),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("paid >= 0 AND refunded >= 0 AND refunding >= 0", name="not_negative"),
    CheckConstraint("refunded + refunding <= paid", name="refunds"),
    CheckConstraint("(status = 'paid') = (paid > 0)", name="paid"),
    Index("ix_payment_order_list", "merchant_id", "mode", "created_at", "id"),
    Index("ix_payment_order_expiry", "next_at", postgresql_where=text(ORDER_EXPIRING)),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Text, primary_key=True),
    Column("order_id", Text, ForeignKey("payment_order.id"), nullable=False),
    *texts("merchant_id", "mode", "method", "account_id", "number"),
    *minors("amount"),
    *texts("currency", "fund_mode"),
    *numbers("fee_ppm"),
    *minors("fee_minimum"),
    *minors("fee_maximum", null=True),
    of("fee_kept", Boolean()),
    *numbers("cost_ppm"),
    *times("created_at", "expires_at"),
    of("counted_on", Date(), null=True),
    *texts("payer_id", "payer_ip", "return_url", "notify_url", null=True),
    *numbers("instalments", null=True),
    of("shared", Boolean()),
    *texts("status"),
    *texts("action_type", "action_value", "failure", null=True),
    of("action_fields", JSON(), null=True),
    *times("next_at", null=True),
    *numbers("polls", "revision"),
    UniqueConstraint("number", name="uq_attempt_number"),
    one_of("mode", Mode),
    one_of("method", Method),
    one_of("fund_mode", FundMode),
    one_of("status", AttemptStatus),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint(
        "(action_type IS NULL) = (action_value IS NULL) AND (action_type IS NULL) = (action_fields IS NULL)",
        name="action",
    ),
    Index("ix_attempt_order", "order_id", "id"),
    Index("ix_attempt_due", "next_at", postgresql_where=text(ATTEMPT_LIVE)),
)

channel_payment = Table(
    "channel_payment",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("account_id", "mode", "fund_mode", "transaction_id", "number"),
    *minors("total", "received", "payer_paid", "fee"),
    *texts("currency"),
    *times("paid_at"),
    *texts("evidence"),
    *times("recorded_at"),
    *texts("unattributed", null=True),
    Column("attempt_id", Text, ForeignKey("attempt.id")),
    Column("order_id", Text, ForeignKey("payment_order.id")),
    *texts("merchant_id", null=True),
    # Before the partial index: PostgreSQL checks them in this order, and a known transaction is the better answer.
    UniqueConstraint("account_id", "transaction_id", name="uq_channel_payment_transaction"),
    one_of("mode", Mode),
    one_of("fund_mode", FundMode),
    one_of("unattributed", Unattributed),
    CheckConstraint("total > 0 AND received >= 0 AND payer_paid >= 0 AND fee >= 0 AND fee <= received", name="amounts"),
    Index("uq_channel_payment_effective", "order_id", unique=True, postgresql_where=text("unattributed IS NULL")),
    Index("ix_channel_payment_order", "order_id"),
    Index("ix_channel_payment_number", "number"),
    Index("ix_channel_payment_day", "account_id", "paid_at"),
)

suspense_item = Table(
    "suspense_item",
    metadata,
    Column("id", Text, primary_key=True),
    Column("payment_id", Text, ForeignKey("channel_payment.id"), nullable=False),
    *texts("account_id", "mode"),
    *minors("amount"),
    *texts("currency", "reason"),
    *times("created_at"),
    *texts("status"),
    Column("order_id", Text, ForeignKey("payment_order.id")),  # which it pays after all
    *minors("fee"),
    UniqueConstraint("payment_id", name="uq_suspense_item_payment"),
    one_of("mode", Mode),
    one_of("reason", Unattributed),
    one_of("status", SuspenseStatus),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("(status = 'attributed') = (order_id IS NOT NULL)", name="attributed"),
    CheckConstraint("fee >= 0 AND fee <= amount", name="fee"),
    Index("ix_suspense_item_open", "created_at", postgresql_where=text("status = 'open'")),
    Index("uq_suspense_item_attributed", "order_id", unique=True, postgresql_where=text("order_id IS NOT NULL")),
)

refund = Table(
    "refund",
    metadata,
    Column("id", Text, primary_key=True),
    Column("order_id", Text, ForeignKey("payment_order.id")),
    Column("payment_id", Text, ForeignKey("channel_payment.id"), nullable=False),
    Column("item_id", Text, ForeignKey("suspense_item.id")),
    *texts("merchant_id", "mode", "account_id", "fund_mode", "number", "payment_number"),
    *minors("total", "amount", "debit", "share"),
    *texts("currency", "reason", "origin"),
    *times("created_at"),
    *texts("merchant_refund_no", "notify_url", null=True),
    *minors("from_pending", "from_available", "from_debt"),
    *texts("status"),
    *texts("channel_id", "failure", "evidence", null=True),
    *times("accepted_at", "succeeded_at", "next_at", null=True),
    *texts("destination"),
    of("redirection", JSON(none_as_null=True), null=True),
    *numbers("polls", "revision"),
    UniqueConstraint("merchant_id", "mode", "merchant_refund_no", name="uq_refund_merchant_refund_no"),
    UniqueConstraint("account_id", "number", name="uq_refund_number"),
    one_of("mode", Mode),
    one_of("fund_mode", FundMode),
    one_of("origin", RefundOrigin),
    one_of("destination", Destination),
    one_of("status", RefundStatus),
    CheckConstraint("amount > 0 AND amount <= total", name="amount"),
    CheckConstraint("debit >= 0 AND debit <= amount AND share >= 0 AND share <= debit", name="parts"),
    CheckConstraint("from_pending >= 0 AND from_available >= 0 AND from_debt >= 0", name="not_negative"),
    CheckConstraint(
        "from_pending + from_available + from_debt ="
        " CASE WHEN item_id IS NULL AND fund_mode = 'collect' THEN debit - share ELSE 0 END",
        name="draws",
    ),
    Index("ix_refund_order", "order_id", "id"),
    Index("ix_refund_payment", "payment_id", "accepted_at"),
    Index("ix_refund_day", "account_id", "accepted_at"),
    Index("ix_refund_number", "number"),
    Index("ix_refund_due", "next_at", postgresql_where=text(REFUND_PURSUED)),
    Index("uq_refund_item", "item_id", unique=True, postgresql_where=text(ITEM_REFUND_STANDS)),
)

notice = Table(
    "notice",
    metadata,
    *texts("account_id", "notice_id", "kind"),
    of("headers", JSON()),
    of("body", LargeBinary()),
    *texts("outcome"),
    *times("received_at"),
    PrimaryKeyConstraint("account_id", "notice_id"),
)

refused_notice = Table(
    "refused_notice",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("account_id", "channel", "reason"),
    of("headers", JSON()),
    of("body", LargeBinary()),
    *times("received_at"),
    one_of("channel", Channel),
    Index("ix_refused_notice_account", "account_id", "received_at"),
    Index("ix_refused_notice_age", "received_at"),
)

idempotency = Table(
    "idempotency",
    metadata,
    *texts("merchant_id", "mode", "key"),
    of("fingerprint", LargeBinary()),
    *times("locked_until"),
    *numbers("status", null=True),
    of("body", LargeBinary(), null=True),
    *times("created_at"),
    PrimaryKeyConstraint("merchant_id", "mode", "key"),
    one_of("mode", Mode),
    CheckConstraint("(status IS NULL) = (body IS NULL)", name="answer"),
    Index("ix_idempotency_created", "created_at"),
)
