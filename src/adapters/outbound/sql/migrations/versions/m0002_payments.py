"""Orders, attempts, the money that came, and the keys that make calls idempotent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0002"
down_revision = "0001"

METHODS = (
    "'alipay_qr', 'alipay_page', 'alipay_wap', 'alipay_app', 'alipay_jsapi', 'alipay_barcode', "
    "'wechat_native', 'wechat_jsapi', 'wechat_miniprogram', 'wechat_h5', 'wechat_app', 'wechat_barcode'"
)
RIGHTS = {
    "payment_order": (
        "SELECT, INSERT, UPDATE (status, paid, refunded, refunding, paid_method, paid_at,"
        " closed_at, close_reason, revision, next_at)"
    ),
    "attempt": "SELECT, INSERT, UPDATE (status, action_type, action_value, failure, next_at, polls, revision)",
    "channel_payment": "SELECT, INSERT",
    "suspense_item": "SELECT, INSERT, UPDATE (status)",
    "notice": "SELECT, INSERT",
    "idempotency": "SELECT, INSERT, UPDATE (locked_until, status, body), DELETE",
}


def upgrade() -> None:
    op.create_table(
        "idempotency",
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_idempotency_mode")),
        sa.CheckConstraint("(status IS NULL) = (body IS NULL)", name=op.f("ck_idempotency_answer")),
        sa.PrimaryKeyConstraint("merchant_id", "mode", "key", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_created", "idempotency", ["created_at"], unique=False)
    op.create_table(
        "notice",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "notice_id", name=op.f("pk_notice")),
    )
    op.create_table(
        "payment_order",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("merchant_order_no", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("expires_in", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("return_url", sa.Text(), nullable=True),
        sa.Column("notify_url", sa.Text(), nullable=True),
        sa.Column("payer_ip", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("metadata", JSON(), nullable=False),
        sa.Column("cashier_token", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("refunding", sa.BigInteger(), nullable=False),
        sa.Column("paid_method", sa.Text(), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'paid') = (paid > 0)", name=op.f("ck_payment_order_paid")),
        sa.CheckConstraint(
            f"method IN ({METHODS})",
            name=op.f("ck_payment_order_method"),
        ),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_payment_order_mode")),
        sa.CheckConstraint(
            f"paid_method IN ({METHODS})",
            name=op.f("ck_payment_order_paid_method"),
        ),
        sa.CheckConstraint("status IN ('pending', 'paid', 'closed')", name=op.f("ck_payment_order_status")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_order_amount")),
        sa.CheckConstraint(
            "paid >= 0 AND refunded >= 0 AND refunding >= 0", name=op.f("ck_payment_order_not_negative")
        ),
        sa.CheckConstraint("refunded + refunding <= paid", name=op.f("ck_payment_order_refunds")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_order")),
        sa.UniqueConstraint("cashier_token", name="uq_order_cashier_token"),
        sa.UniqueConstraint("merchant_id", "mode", "merchant_order_no", name="uq_order_merchant_order_no"),
    )
    op.create_index(
        "ix_payment_order_expiry",
        "payment_order",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_payment_order_list", "payment_order", ["merchant_id", "mode", "created_at", "id"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("fund_mode", sa.Text(), nullable=False),
        sa.Column("fee_ppm", sa.Integer(), nullable=False),
        sa.Column("fee_minimum", sa.BigInteger(), nullable=False),
        sa.Column("fee_maximum", sa.BigInteger(), nullable=True),
        sa.Column("cost_ppm", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("action_type", sa.Text(), nullable=True),
        sa.Column("action_value", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("polls", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("fund_mode IN ('collect', 'direct')", name=op.f("ck_attempt_fund_mode")),
        sa.CheckConstraint(
            f"method IN ({METHODS})",
            name=op.f("ck_attempt_method"),
        ),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_attempt_mode")),
        sa.CheckConstraint(
            "status IN ('created', 'pending', 'unknown', 'succeeded', 'failed', 'closed', 'reversing', 'reversed')",
            name=op.f("ck_attempt_status"),
        ),
        sa.CheckConstraint("(action_type IS NULL) = (action_value IS NULL)", name=op.f("ck_attempt_action")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_attempt_amount")),
        sa.ForeignKeyConstraint(["order_id"], ["payment_order.id"], name=op.f("fk_attempt_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sa.UniqueConstraint("number", name="uq_attempt_number"),
    )
    op.create_index(
        "ix_attempt_due",
        "attempt",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('created', 'pending', 'unknown')"),
    )
    op.create_index("ix_attempt_order", "attempt", ["order_id", "id"], unique=False)
    op.create_table(
        "channel_payment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("fund_mode", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("payer_paid", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unattributed", sa.Text(), nullable=True),
        sa.Column("attempt_id", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("merchant_id", sa.Text(), nullable=True),
        sa.CheckConstraint("fund_mode IN ('collect', 'direct')", name=op.f("ck_channel_payment_fund_mode")),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_channel_payment_mode")),
        sa.CheckConstraint(
            "unattributed IN ('unknown_number', 'wrong_amount', 'second', 'late')",
            name=op.f("ck_channel_payment_unattributed"),
        ),
        sa.CheckConstraint(
            "total > 0 AND received >= 0 AND payer_paid >= 0 AND fee >= 0 AND fee <= received",
            name=op.f("ck_channel_payment_amounts"),
        ),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_channel_payment_attempt_id")),
        sa.ForeignKeyConstraint(["order_id"], ["payment_order.id"], name=op.f("fk_channel_payment_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_payment")),
        sa.UniqueConstraint("account_id", "transaction_id", name="uq_channel_payment_transaction"),
    )
    op.create_index("ix_channel_payment_order", "channel_payment", ["order_id"], unique=False)
    op.create_index(
        "uq_channel_payment_effective",
        "channel_payment",
        ["order_id"],
        unique=True,
        postgresql_where=sa.text("unattributed IS NULL"),
    )
    op.create_table(
        "suspense_item",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_suspense_item_mode")),
        sa.CheckConstraint(
            "reason IN ('unknown_number', 'wrong_amount', 'second', 'late')", name=op.f("ck_suspense_item_reason")
        ),
        sa.CheckConstraint(
            "status IN ('open', 'refunding', 'refunded', 'attributed', 'written_off')",
            name=op.f("ck_suspense_item_status"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_suspense_item_amount")),
        sa.ForeignKeyConstraint(["payment_id"], ["channel_payment.id"], name=op.f("fk_suspense_item_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspense_item")),
        sa.UniqueConstraint("payment_id", name="uq_suspense_item_payment"),
    )
    op.create_index(
        "ix_suspense_item_open",
        "suspense_item",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("status = 'open'"),
    )
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("suspense_item")
    op.drop_table("channel_payment")
    op.drop_table("attempt")
    op.drop_table("payment_order")
    op.drop_table("notice")
    op.drop_table("idempotency")
