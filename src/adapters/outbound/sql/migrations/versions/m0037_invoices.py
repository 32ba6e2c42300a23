"""Invoices for service fees due, one a merchant, mode and month."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0037"
down_revision = "0041"

RIGHTS = {"invoice": "SELECT, INSERT, UPDATE (status, account_id, reference, settled_at, revision)"}


def upgrade() -> None:
    op.create_table(
        "invoice",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_invoice_mode")),
        sa.CheckConstraint("status IN ('issued', 'paid', 'written_off')", name=op.f("ck_invoice_status")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_invoice_amount")),
        sa.CheckConstraint("(status = 'issued') = (settled_at IS NULL)", name=op.f("ck_invoice_settled")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("merchant_id", "mode", "month", name="uq_invoice_month"),
    )
    op.create_index("ix_invoice_of_month", "invoice", ["month"])
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("invoice")
