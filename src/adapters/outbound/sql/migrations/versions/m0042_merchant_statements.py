"""Merchants' own statements."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0042"
down_revision = "0030"

RIGHTS = {
    "merchant_statement_due": "SELECT, INSERT, DELETE, UPDATE (next_at)",
    # Frozen: added once, and nobody's to change.
    "merchant_statement": "SELECT, INSERT",
    "merchant_statement_chunk": "SELECT, INSERT",
}


def _key() -> list[sa.Column[object]]:
    return [
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "merchant_statement_due",
        *_key(),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_merchant_statement_due_mode")),
        sa.PrimaryKeyConstraint("merchant_id", "mode", "day", name=op.f("pk_merchant_statement_due")),
    )
    op.create_index("ix_merchant_statement_due_next", "merchant_statement_due", ["next_at"])
    op.create_index("ix_merchant_statement_due_day", "merchant_statement_due", ["day"])
    op.create_table(
        "merchant_statement",
        *_key(),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_merchant_statement_mode")),
        sa.CheckConstraint("size > 0 AND entries >= 0", name=op.f("ck_merchant_statement_amounts")),
        sa.PrimaryKeyConstraint("merchant_id", "mode", "day", name=op.f("pk_merchant_statement")),
    )
    op.create_index("ix_merchant_statement_day", "merchant_statement", ["day"])
    op.create_table(
        "merchant_statement_chunk",
        *_key(),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id", "mode", "day"],
            ["merchant_statement.merchant_id", "merchant_statement.mode", "merchant_statement.day"],
            name="fk_merchant_statement_chunk_statement",
        ),
        sa.PrimaryKeyConstraint("merchant_id", "mode", "day", "n", name=op.f("pk_merchant_statement_chunk")),
    )
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("merchant_statement_chunk")
    op.drop_table("merchant_statement")
    op.drop_table("merchant_statement_due")
