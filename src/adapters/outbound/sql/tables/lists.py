"""Indexes of the consoles' lists and of the search by any number. Each costs every write a little, so each is named by
a list's ``quick`` filters (application/listings.py) or by the search.
"""

from collections.abc import Sequence

from sqlalchemy import Index, Table, text

from adapters.outbound.sql.tables.configuration import merchant
from adapters.outbound.sql.tables.messages import delivery, webhook_endpoint
from adapters.outbound.sql.tables.payments import attempt, channel_payment, notice, payment_order, refund, suspense_item


def _index(name: str, table: Table, columns: Sequence[str], where: str | None = None) -> Index:
    return Index(name, *(table.c[column] for column in columns), postgresql_where=text(where) if where else None)


LIST_INDEXES = (
    _index("ix_payment_order_mode", payment_order, ["mode", "created_at", "id"]),
    _index("ix_payment_order_status", payment_order, ["mode", "status", "created_at", "id"]),
    _index(
        "ix_payment_order_merchant_status",
        payment_order,
        ["merchant_id", "mode", "status", "created_at", "id"],
    ),
    _index("ix_payment_order_no", payment_order, ["merchant_order_no"]),
    _index("ix_attempt_mode", attempt, ["mode", "created_at", "id"]),
    _index("ix_attempt_status", attempt, ["mode", "status", "created_at", "id"]),
    _index("ix_attempt_merchant", attempt, ["merchant_id", "mode", "created_at", "id"]),
    _index("ix_channel_payment_mode", channel_payment, ["mode", "recorded_at", "id"]),
    _index("ix_channel_payment_merchant", channel_payment, ["merchant_id", "mode", "recorded_at", "id"]),
    _index("ix_channel_payment_account", channel_payment, ["account_id", "recorded_at", "id"]),
    _index("ix_channel_payment_transaction", channel_payment, ["transaction_id"]),
    _index(
        "ix_channel_payment_held",
        channel_payment,
        ["mode", "unattributed", "recorded_at", "id"],
        "unattributed IS NOT NULL",
    ),
    _index("ix_suspense_item_mode", suspense_item, ["mode", "created_at", "id"]),
    _index("ix_suspense_item_status", suspense_item, ["mode", "status", "created_at", "id"]),
    _index("ix_notice_received", notice, ["received_at", "account_id", "notice_id"]),
    _index("ix_notice_account", notice, ["account_id", "received_at", "notice_id"]),
    _index("ix_notice_outcome", notice, ["outcome", "received_at", "account_id", "notice_id"]),
    _index("ix_delivery_mode", delivery, ["mode", "created_at", "id"]),
    _index("ix_delivery_status", delivery, ["mode", "status", "created_at", "id"], "status <> 'delivered'"),
    _index("ix_webhook_endpoint_mode", webhook_endpoint, ["mode", "created_at", "id"]),
    _index(
        "ix_webhook_endpoint_disabled",
        webhook_endpoint,
        ["mode", "disabled", "created_at", "id"],
        "disabled IS NOT NULL",
    ),
    _index("ix_refund_mode", refund, ["mode", "created_at", "id"]),
    _index("ix_refund_status", refund, ["mode", "status", "created_at", "id"]),
    _index("ix_refund_merchant", refund, ["merchant_id", "mode", "created_at", "id"]),
    _index("ix_refund_no", refund, ["merchant_refund_no"]),
    _index("ix_merchant_created", merchant, ["created_at", "id"]),
)
