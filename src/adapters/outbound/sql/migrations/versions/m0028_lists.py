"""Indexes of the consoles' lists and of the search by any number."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0021"

_NOT_DELIVERED = "status <> 'delivered'"
_INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    ("ix_payment_order_mode", "payment_order", ["mode", "created_at", "id"], None),
    ("ix_payment_order_status", "payment_order", ["mode", "status", "created_at", "id"], None),
    (
        "ix_payment_order_merchant_status",
        "payment_order",
        ["merchant_id", "mode", "status", "created_at", "id"],
        None,
    ),
    ("ix_payment_order_no", "payment_order", ["merchant_order_no"], None),
    ("ix_attempt_mode", "attempt", ["mode", "created_at", "id"], None),
    ("ix_attempt_status", "attempt", ["mode", "status", "created_at", "id"], None),
    ("ix_attempt_merchant", "attempt", ["merchant_id", "mode", "created_at", "id"], None),
    ("ix_channel_payment_mode", "channel_payment", ["mode", "recorded_at", "id"], None),
    ("ix_channel_payment_merchant", "channel_payment", ["merchant_id", "mode", "recorded_at", "id"], None),
    ("ix_channel_payment_account", "channel_payment", ["account_id", "recorded_at", "id"], None),
    ("ix_channel_payment_transaction", "channel_payment", ["transaction_id"], None),
    (
        "ix_channel_payment_held",
        "channel_payment",
        ["mode", "unattributed", "recorded_at", "id"],
        "unattributed IS NOT NULL",
    ),
    ("ix_suspense_item_mode", "suspense_item", ["mode", "created_at", "id"], None),
    ("ix_suspense_item_status", "suspense_item", ["mode", "status", "created_at", "id"], None),
    ("ix_notice_received", "notice", ["received_at", "account_id", "notice_id"], None),
    ("ix_notice_account", "notice", ["account_id", "received_at", "notice_id"], None),
    ("ix_notice_outcome", "notice", ["outcome", "received_at", "account_id", "notice_id"], None),
    ("ix_delivery_mode", "delivery", ["mode", "created_at", "id"], None),
    ("ix_delivery_status", "delivery", ["mode", "status", "created_at", "id"], _NOT_DELIVERED),
    ("ix_webhook_endpoint_mode", "webhook_endpoint", ["mode", "created_at", "id"], None),
    (
        "ix_webhook_endpoint_disabled",
        "webhook_endpoint",
        ["mode", "disabled", "created_at", "id"],
        "disabled IS NOT NULL",
    ),
    ("ix_refund_mode", "refund", ["mode", "created_at", "id"], None),
    ("ix_refund_status", "refund", ["mode", "status", "created_at", "id"], None),
    ("ix_refund_merchant", "refund", ["merchant_id", "mode", "created_at", "id"], None),
    ("ix_refund_no", "refund", ["merchant_refund_no"], None),
    ("ix_merchant_created", "merchant", ["created_at", "id"], None),
)


_EXPIRY = ("ix_payment_order_expiry", "payment_order", ["next_at"])


def upgrade() -> None:
    op.drop_index("ix_payment_order_expiry", "payment_order")
    # Its second half is always true, and keeps the planner from taking it for lists of pending orders.
    op.create_index(*_EXPIRY, postgresql_where=sa.text("status = 'pending' AND next_at > '-infinity'"))
    for name, table, columns, where in _INDEXES:
        op.create_index(name, table, columns, postgresql_where=sa.text(where) if where else None)


def downgrade() -> None:
    for name, table, _, _ in reversed(_INDEXES):
        op.drop_index(name, table)
    op.drop_index("ix_payment_order_expiry", "payment_order")
    op.create_index(*_EXPIRY, postgresql_where=sa.text("status = 'pending'"))
