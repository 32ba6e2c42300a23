"""Closed ledger days."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.columns import Xid8
from adapters.outbound.sql.migrations.rights import grant

revision = "0041"
down_revision = "0036"

RIGHTS = {"ledger_closing": "SELECT, INSERT", "account_closing": "SELECT, INSERT"}


def upgrade() -> None:
    op.create_table(
        "ledger_closing",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cut", Xid8(), nullable=False),
        sa.Column("transfers", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_ledger_closing")),
    )
    op.create_table(
        "account_closing",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("opening", sa.BigInteger(), nullable=False),
        sa.Column("debits", sa.BigInteger(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("closing", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("closing = opening + credits - debits", name=op.f("ck_account_closing_adds_up")),
        sa.PrimaryKeyConstraint("account_id", "day", name=op.f("pk_account_closing")),
    )
    op.create_index("ix_account_closing_day", "account_closing", ["day"])
    op.create_index("ix_transfer_posted", "transfer", ["posting_date"], postgresql_using="brin")
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_index("ix_transfer_posted", "transfer")
    op.drop_table("account_closing")
    op.drop_table("ledger_closing")
