"""Balances rolled up, and indexes that find an account's rows behind a place in the ledger."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.columns import Xid8
from adapters.outbound.sql.migrations.rights import grant

revision = "0039"
down_revision = "0033"

RIGHTS = {
    "balance_snapshot": "SELECT, INSERT, UPDATE (balance)",
    "balance_cursor": "SELECT, INSERT, UPDATE (xid, transfer_id)",
}


def upgrade() -> None:
    op.create_table(
        "balance_snapshot",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_balance_snapshot")),
    )
    op.create_table(
        "balance_cursor",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("xid", Xid8(), nullable=False),
        sa.Column("transfer_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("one", name=op.f("ck_balance_cursor_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_balance_cursor")),
    )
    for side in ("debit", "credit"):
        op.drop_index(f"ix_transfer_{side}", "transfer")
        op.create_index(f"ix_transfer_{side}", "transfer", [f"{side}_account", "xid", "id"])
    grant(RIGHTS)


def downgrade() -> None:
    for side in ("debit", "credit"):
        op.drop_index(f"ix_transfer_{side}", "transfer")
        op.create_index(f"ix_transfer_{side}", "transfer", [f"{side}_account", "id"])
    op.drop_table("balance_cursor")
    op.drop_table("balance_snapshot")
