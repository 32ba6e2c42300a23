"""Settlements, and the transfers of available balances that they sweep."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0030"
down_revision = "0047"

RIGHTS = {
    "settlement": (
        "SELECT, INSERT, UPDATE (status, payee, rail, source_owner, source_fund, approved_by, approved_at, paid_at,"
        " charge, reference, failure, next_at, polls, revision)"
    ),
    "settlement_transfer": "SELECT, INSERT, UPDATE (settlement_id)",
}


def upgrade() -> None:
    _settlement()
    op.create_table(
        "settlement_transfer",
        sa.Column("idem_key", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("settlement_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["idem_key"], ["transfer.idem_key"], name=op.f("fk_settlement_transfer_idem_key")),
        sa.ForeignKeyConstraint(
            ["settlement_id"],
            ["settlement.id"],
            name=op.f("fk_settlement_transfer_settlement_id"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.PrimaryKeyConstraint("idem_key", name=op.f("pk_settlement_transfer")),
    )
    op.create_index(
        "ix_settlement_transfer_open",
        "settlement_transfer",
        ["account_id"],
        postgresql_where=sa.text("settlement_id IS NULL"),
    )
    op.create_index(
        "ix_settlement_transfer_settlement",
        "settlement_transfer",
        ["settlement_id"],
        postgresql_where=sa.text("settlement_id IS NOT NULL"),
    )
    op.execute(
        "INSERT INTO settlement_transfer (idem_key, account_id, amount)"
        " SELECT t.idem_key, a.id, CASE WHEN a.id = t.credit_account THEN t.amount ELSE -t.amount END"
        " FROM transfer t JOIN ledger_account a ON a.kind = 'MA' AND a.id IN (t.debit_account, t.credit_account)"
    )
    grant(RIGHTS)


def _settlement() -> None:
    op.create_table(
        "settlement",
        sa.Column("id", sa.Text(), nullable=False),
        *_texts("merchant_id", "mode", "number", "origin"),
        *_minors("swept", "amount", "fee"),
        *_texts("currency"),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *_texts("status"),
        sa.Column("payee", JSON(), nullable=True),
        *_texts("rail", "source_owner", "source_fund", "approved_by", null=True),
        *_times("approved_at", "paid_at"),
        *_minors("charge"),
        *_texts("reference", "failure", null=True),
        *_times("next_at"),
        sa.Column("polls", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_settlement_mode")),
        sa.CheckConstraint("origin IN ('automatic', 'merchant', 'operator')", name=op.f("ck_settlement_origin")),
        sa.CheckConstraint(
            "status IN ('created', 'approved', 'rejected', 'paying', 'awaiting_payee', 'paid', 'failed', 'cancelled',"
            " 'bounced')",
            name=op.f("ck_settlement_status"),
        ),
        sa.CheckConstraint("rail IN ('manual', 'alipay', 'wechat')", name=op.f("ck_settlement_rail")),
        sa.CheckConstraint(
            "amount > 0 AND amount <= swept AND fee >= 0 AND fee < amount AND charge >= 0",
            name=op.f("ck_settlement_amounts"),
        ),
        sa.CheckConstraint(
            "num_nulls(payee, rail, source_owner, source_fund, approved_by, approved_at)"
            " = CASE WHEN status IN ('created', 'rejected') THEN 6 ELSE 0 END",
            name=op.f("ck_settlement_approved"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement")),
        sa.UniqueConstraint("number", name="uq_settlement_number"),
    )
    op.create_index("ix_settlement_list", "settlement", ["merchant_id", "mode", "created_at", "id"])
    op.create_index("ix_settlement_mode", "settlement", ["mode", "created_at", "id"])
    op.create_index("ix_settlement_status", "settlement", ["mode", "status", "created_at", "id"])
    op.create_index(
        "ix_settlement_due",
        "settlement",
        ["next_at"],
        postgresql_where=sa.text("status IN ('approved', 'awaiting_payee', 'paying')"),
    )


def downgrade() -> None:
    op.drop_table("settlement_transfer")
    op.drop_table("settlement")


def _texts(*names: str, null: bool = False) -> list["sa.Column[str]"]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def _minors(*names: str) -> list["sa.Column[int]"]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _times(*names: str) -> list["sa.Column[datetime]"]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in names]
