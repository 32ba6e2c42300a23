"""The ledger: accounts, transfers that nobody can change, and the guards of balances."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.columns import Xid8
from adapters.outbound.sql.migrations.rights import grant

revision = "0003"
down_revision = "0002"

RIGHTS = {
    "ledger_account": "SELECT, INSERT",
    "transfer": "SELECT, INSERT",
    "account_guard": "SELECT, INSERT, UPDATE (account_id)",
}


def upgrade() -> None:
    op.create_table(
        "account_guard",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_guard")),
    )
    op.create_table(
        "ledger_account",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("fund", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('CR', 'BANK', 'BT', 'MP', 'MA', 'MF', 'MR', 'MS', 'MD', 'SUS', 'FI', 'CC', 'ADJ', 'OPEN',"
            " 'DH', 'DO', 'SFD')",
            name=op.f("ck_ledger_account_kind"),
        ),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_ledger_account_mode")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_account")),
        sa.UniqueConstraint("kind", "owner", "fund", "mode", "currency", name="uq_ledger_account_identity"),
    )
    op.create_table(
        "transfer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("idem_key", sa.Text(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("debit_account", sa.BigInteger(), nullable=False),
        sa.Column("credit_account", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("channel_date", sa.Date(), nullable=False),
        sa.Column(
            "posting_date",
            sa.Date(),
            server_default=sa.text("((now() AT TIME ZONE 'Asia/Shanghai'::text))::date"),
            nullable=False,
        ),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_transfer_mode")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_transfer_amount")),
        sa.CheckConstraint("debit_account <> credit_account", name=op.f("ck_transfer_two_ends")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
        sa.UniqueConstraint("idem_key", name="uq_transfer_idem_key"),
    )
    op.create_index("ix_transfer_about", "transfer", ["about", "id"], unique=False)
    op.create_index("ix_transfer_credit", "transfer", ["credit_account", "id"], unique=False)
    op.create_index("ix_transfer_cursor", "transfer", ["xid", "id"], unique=False)
    op.create_index("ix_transfer_debit", "transfer", ["debit_account", "id"], unique=False)
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("transfer")
    op.drop_table("ledger_account")
    op.drop_table("account_guard")
