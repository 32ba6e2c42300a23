"""Refunds, and held money that pays an order after all."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0009"
down_revision = "0016"

RIGHTS = {
    "refund": (
        "SELECT, INSERT, UPDATE (debit, share, from_pending, from_available, from_debt, status, channel_id, failure,"
        " evidence, accepted_at, succeeded_at, next_at, polls, revision)"
    ),
    "suspense_item": "SELECT, INSERT, UPDATE (status, order_id, fee)",
}


def upgrade() -> None:
    op.add_column("suspense_item", sa.Column("order_id", sa.Text(), nullable=True))
    op.add_column("suspense_item", sa.Column("fee", sa.BigInteger(), server_default="0", nullable=False))
    op.alter_column("suspense_item", "fee", server_default=None)
    op.create_foreign_key(op.f("fk_suspense_item_order_id"), "suspense_item", "payment_order", ["order_id"], ["id"])
    op.create_check_constraint(
        op.f("ck_suspense_item_attributed"), "suspense_item", "(status = 'attributed') = (order_id IS NOT NULL)"
    )
    op.create_check_constraint(op.f("ck_suspense_item_fee"), "suspense_item", "fee >= 0 AND fee <= amount")
    op.create_index(
        "uq_suspense_item_attributed",
        "suspense_item",
        ["order_id"],
        unique=True,
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )
    _refund()
    grant(RIGHTS)


def _refund() -> None:
    op.create_table(
        "refund",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=True),
        *_texts("merchant_id", "mode", "account_id", "fund_mode", "number", "payment_number"),
        *_minors("total", "amount", "debit", "share"),
        *_texts("currency", "reason", "origin"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *_texts("merchant_refund_no", "notify_url", null=True),
        *_minors("from_pending", "from_available", "from_debt"),
        *_texts("status"),
        *_texts("channel_id", "failure", "evidence", null=True),
        *(
            sa.Column(name, sa.DateTime(timezone=True), nullable=True)
            for name in ("accepted_at", "succeeded_at", "next_at")
        ),
        sa.Column("polls", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_refund_mode")),
        sa.CheckConstraint("fund_mode IN ('collect', 'direct')", name=op.f("ck_refund_fund_mode")),
        sa.CheckConstraint("origin IN ('merchant', 'operator', 'suspense', 'console')", name=op.f("ck_refund_origin")),
        sa.CheckConstraint(
            "status IN ('requested', 'awaiting_approval', 'rejected', 'submitted', 'unknown',"
            " 'awaiting_channel_funds', 'accepted', 'abnormal', 'succeeded', 'failed')",
            name=op.f("ck_refund_status"),
        ),
        sa.CheckConstraint("amount > 0 AND amount <= total", name=op.f("ck_refund_amount")),
        sa.CheckConstraint(
            "debit >= 0 AND debit <= amount AND share >= 0 AND share <= debit", name=op.f("ck_refund_parts")
        ),
        sa.CheckConstraint(
            "from_pending >= 0 AND from_available >= 0 AND from_debt >= 0", name=op.f("ck_refund_not_negative")
        ),
        sa.CheckConstraint(
            "from_pending + from_available + from_debt ="
            " CASE WHEN item_id IS NULL AND fund_mode = 'collect' THEN debit - share ELSE 0 END",
            name=op.f("ck_refund_draws"),
        ),
        sa.ForeignKeyConstraint(["order_id"], ["payment_order.id"], name=op.f("fk_refund_order_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["channel_payment.id"], name=op.f("fk_refund_payment_id")),
        sa.ForeignKeyConstraint(["item_id"], ["suspense_item.id"], name=op.f("fk_refund_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("merchant_id", "mode", "merchant_refund_no", name="uq_refund_merchant_refund_no"),
        sa.UniqueConstraint("account_id", "number", name="uq_refund_number"),
    )
    op.create_index("ix_refund_order", "refund", ["order_id", "id"])
    op.create_index(
        "ix_refund_due",
        "refund",
        ["next_at"],
        postgresql_where=sa.text(
            "status IN ('abnormal', 'accepted', 'awaiting_channel_funds', 'requested', 'submitted', 'unknown')"
        ),
    )
    op.create_index(
        "uq_refund_item",
        "refund",
        ["item_id"],
        unique=True,
        postgresql_where=sa.text("status NOT IN ('failed', 'rejected')"),
    )


def downgrade() -> None:
    op.drop_table("refund")
    op.drop_index("uq_suspense_item_attributed", "suspense_item")
    op.drop_column("suspense_item", "fee")
    op.drop_column("suspense_item", "order_id")
    grant({"suspense_item": "SELECT, INSERT, UPDATE (status)"})


def _texts(*names: str, null: bool = False) -> list["sa.Column[str]"]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def _minors(*names: str) -> list["sa.Column[int]"]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]
