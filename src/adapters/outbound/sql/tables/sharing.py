"""Profit sharing: receivers, shares, and what comes back of them."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Channel, Mode
from domain.receivers import GONE, ReceiverStatus
from domain.receivers import PURSUED as RECEIVERS_PURSUED
from domain.share_returns import ReturnStatus
from domain.shares import PURSUED as SHARES_PURSUED
from domain.shares import ShareStatus
from domain.sharing import ReceiverKind, Relation

# The very words of the partial indexes: a query must repeat them.
RECEIVER_PURSUED = "status IN ({})".format(", ".join(f"'{status}'" for status in sorted(RECEIVERS_PURSUED)))
RECEIVER_STANDS = "status NOT IN ({})".format(", ".join(f"'{status}'" for status in sorted(GONE)))
SHARE_PURSUED = "status IN ({})".format(", ".join(f"'{status}'" for status in sorted(SHARES_PURSUED)))

receiver = Table(
    "receiver",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("merchant_id", "mode", "channel", "number", "account_id", "kind", "account", "name", "relation"),
    *texts("platform_account_id", null=True),
    *times("created_at"),
    *texts("status"),
    *texts("failure", null=True),
    *times("next_at", null=True),
    *numbers("polls", "revision"),
    one_of("mode", Mode),
    one_of("channel", Channel),
    one_of("kind", ReceiverKind),
    one_of("relation", Relation),
    one_of("status", ReceiverStatus),
    Index("ix_receiver_merchant", "merchant_id", "mode", "id"),
    Index("ix_receiver_due", "next_at", postgresql_where=text(RECEIVER_PURSUED)),
    Index("uq_receiver_account", "account_id", "kind", "account", unique=True, postgresql_where=text(RECEIVER_STANDS)),
)

share = Table(
    "share",
    metadata,
    Column("id", Text, primary_key=True),
    Column("order_id", Text, ForeignKey("payment_order.id"), nullable=False),
    Column("payment_id", Text, ForeignKey("channel_payment.id"), nullable=False),
    *texts("merchant_id", "mode", "account_id", "number", "transaction_id", "currency"),
    of("ends", Boolean()),
    *minors("amount"),
    *times("created_at"),
    of("parts", JSON()),
    *texts("merchant_share_no", "notify_url", null=True),
    *texts("status"),
    *texts("channel_id", "failure", null=True),
    *times("finished_at", "next_at", null=True),
    *numbers("polls", "revision"),
    UniqueConstraint("merchant_id", "mode", "merchant_share_no", name="uq_share_merchant_share_no"),
    UniqueConstraint("account_id", "number", name="uq_share_number"),
    one_of("mode", Mode),
    one_of("status", ShareStatus),
    CheckConstraint("ends = (merchant_share_no IS NULL) AND ends = (amount = 0) AND amount >= 0", name="kind"),
    CheckConstraint("(status = 'finished') = (finished_at IS NOT NULL)", name="finished"),
    Index("ix_share_order", "order_id", "id"),
    Index("ix_share_due", "next_at", postgresql_where=text(SHARE_PURSUED)),
    Index("uq_share_end", "order_id", unique=True, postgresql_where=text("ends")),
)

share_return = Table(
    "share_return",
    metadata,
    Column("id", Text, primary_key=True),
    Column("share_id", Text, ForeignKey("share.id"), nullable=False),
    Column("refund_id", Text, ForeignKey("refund.id"), nullable=False),
    Column("order_id", Text, ForeignKey("payment_order.id"), nullable=False),
    *texts("merchant_id", "mode", "account_id", "number", "share_number", "kind", "account"),
    *minors("amount", "from_fee"),
    *texts("currency"),
    *texts("platform_account_id", null=True),
    of("with_refund", Boolean()),
    *times("created_at"),
    *texts("status"),
    *texts("failure", null=True),
    *times("returned_at", null=True),
    *numbers("revision"),
    UniqueConstraint("account_id", "number", name="uq_share_return_number"),
    one_of("mode", Mode),
    one_of("kind", ReceiverKind),
    one_of("status", ReturnStatus),
    CheckConstraint("amount > 0 AND from_fee >= 0 AND from_fee <= amount", name="amounts"),
    CheckConstraint("(status = 'succeeded') = (returned_at IS NOT NULL)", name="returned"),
    Index("ix_share_return_order", "order_id", "id"),
    Index("ix_share_return_refund", "refund_id", "id"),
)
