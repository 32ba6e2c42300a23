"""Statements: days, files, lines and discrepancies."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0011"
down_revision = "0008"

RIGHTS = {
    "statement_day": "SELECT, INSERT, UPDATE (status, files, next_at, tries, differences, held, foreign_lines, matched,"
    " note, closed_by)",
    "statement_file": "SELECT, INSERT",
    "statement_chunk": "SELECT, INSERT",
    # The lines of a bill that was published anew take the place of the old ones; the old file itself stays.
    "statement_line": "SELECT, INSERT, DELETE",
    "fund_line": "SELECT, INSERT, DELETE",
    "discrepancy": "SELECT, INSERT, UPDATE (status, owner, remedy, note, line_n, ours_id, amount, resolved_at,"
    " resolved_by)",
}


def upgrade() -> None:
    op.create_table(
        "statement_day",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("files", JSON(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("foreign_lines", sa.Integer(), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_statement_day_mode")),
        sa.CheckConstraint(
            "status IN ('awaiting_bill', 'no_bill', 'fetch_failed', 'fetched', 'matched',"
            " 'with_differences', 'closed', 'reopened')",
            name=op.f("ck_statement_day_status"),
        ),
        sa.PrimaryKeyConstraint("account_id", "day", name=op.f("pk_statement_day")),
    )
    op.create_index(
        "ix_statement_day_due",
        "statement_day",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index("ix_statement_day_list", "statement_day", ["day", "account_id"], unique=False)
    op.create_table(
        "statement_file",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fund", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('trade', 'fund')", name=op.f("ck_statement_file_kind")),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_statement_file_mode")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement_file")),
        sa.UniqueConstraint("account_id", "day", "kind", "fund", "sha256", name="uq_statement_file_content"),
    )
    op.create_table(
        "statement_chunk",
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["statement_file.id"], name=op.f("fk_statement_chunk_file_id")),
        sa.PrimaryKeyConstraint("file_id", "n", name=op.f("pk_statement_chunk")),
    )
    op.create_table(
        "statement_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("payment_number", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('payment', 'refund')", name=op.f("ck_statement_line_kind")),
        sa.CheckConstraint("status IN ('succeeded', 'failed', 'reversed')", name=op.f("ck_statement_line_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement_line")),
    )
    op.create_index("ix_statement_line_day", "statement_line", ["account_id", "day"], unique=False)
    op.create_index("ix_statement_line_file", "statement_line", ["file_id", "n"], unique=False)
    op.create_index("ix_statement_line_key", "statement_line", ["key"], unique=False)
    op.create_table(
        "fund_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("fund", sa.Text(), nullable=False),
        sa.Column("flow_id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("movement", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "movement IN ('payment', 'refund', 'fee', 'fee_returned', 'refund_closed', 'payout',"
            " 'top_up', 'shared', 'share_returned', 'transfer', 'other')",
            name=op.f("ck_fund_line_movement"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fund_line")),
    )
    op.create_index("ix_fund_line_day", "fund_line", ["account_id", "day"], unique=False)
    op.create_index("ix_fund_line_file", "fund_line", ["file_id", "n"], unique=False)
    op.create_table(
        "discrepancy",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("line_n", sa.Integer(), nullable=True),
        sa.Column("ours_id", sa.Text(), nullable=True),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("remedy", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('missing_here', 'missing_there', 'amount', 'fee', 'status', 'duplicate',"
            " 'currency', 'transaction', 'wrong_account', 'unmoved', 'untraded', 'balance')",
            name=op.f("ck_discrepancy_kind"),
        ),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_discrepancy_mode")),
        sa.CheckConstraint("status IN ('open', 'resolved', 'vanished')", name=op.f("ck_discrepancy_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancy")),
        sa.UniqueConstraint("account_id", "day", "key", name="uq_discrepancy_key"),
    )
    op.create_index(
        "ix_discrepancy_open",
        "discrepancy",
        ["found_at"],
        unique=False,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index("ix_channel_payment_number", "channel_payment", ["number"], unique=False)
    op.create_index("ix_channel_payment_day", "channel_payment", ["account_id", "paid_at"], unique=False)
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_index("ix_channel_payment_day", table_name="channel_payment")
    op.drop_index("ix_channel_payment_number", table_name="channel_payment")
    op.drop_table("discrepancy")
    op.drop_table("fund_line")
    op.drop_table("statement_line")
    op.drop_table("statement_chunk")
    op.drop_table("statement_file")
    op.drop_table("statement_day")
