"""What people book by hand."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0040"
down_revision = "0043"

RIGHTS = {"account_entry": "SELECT, INSERT"}


def upgrade() -> None:
    op.create_table(
        "account_entry",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("repaid", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=True),
        sa.Column("bank_reference", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('freeze', 'unfreeze', 'top_up', 'credit', 'debit', 'bank_arrival')",
            name=op.f("ck_account_entry_kind"),
        ),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_account_entry_mode")),
        sa.CheckConstraint("amount > 0 AND repaid BETWEEN 0 AND amount", name=op.f("ck_account_entry_amount")),
        sa.CheckConstraint(
            "(kind IN ('top_up', 'bank_arrival')) = (bank_reference IS NOT NULL)"
            " AND (kind = 'bank_arrival') = (merchant_id IS NULL)",
            name=op.f("ck_account_entry_whose"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_entry")),
        sa.UniqueConstraint("mode", "bank_reference", name="uq_account_entry_bank_reference"),
    )
    op.create_index("ix_account_entry_mode", "account_entry", ["mode", "created_at", "id"])
    op.create_index("ix_account_entry_merchant", "account_entry", ["merchant_id", "mode", "created_at", "id"])
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("account_entry")
