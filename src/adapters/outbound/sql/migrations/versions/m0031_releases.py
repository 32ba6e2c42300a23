"""Releases, holds, and settlement rules. Days that are closed already are due to be scheduled."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0031"
down_revision = "0040"

RIGHTS = {
    "release_day": "SELECT, INSERT, UPDATE (next_at)",
    "release": "SELECT, INSERT, UPDATE (next_at, released, times, released_at)",
    "hold": "SELECT, INSERT, UPDATE (lifted_by, lifted_at)",
    "settlement_rule": (
        "SELECT, INSERT, UPDATE (cycle, day, minimum, maximum, fee, currency, risk_days, rail, source_owner,"
        " source_fund, next_at, revision)"
    ),
}
_WAITS = sa.text("next_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "release_day",
        *_texts("account_id"),
        sa.Column("day", sa.Date(), nullable=False),
        *_times("next_at", null=True),
        sa.PrimaryKeyConstraint("account_id", "day", name=op.f("pk_release_day")),
    )
    op.create_index("ix_release_day_due", "release_day", ["next_at"], postgresql_where=_WAITS)
    _release()
    _hold()
    _settlement_rule()
    op.execute(
        "INSERT INTO release_day (account_id, day, next_at)"
        " SELECT account_id, day, now() FROM statement_day WHERE status = 'closed'"
    )
    grant(RIGHTS)


def _release() -> None:
    op.create_table(
        "release",
        *_texts("payment_id", "order_id", "merchant_id", "mode", "account_id"),
        sa.Column("day", sa.Date(), nullable=False),
        *_minors("net"),
        *_texts("currency"),
        *_times("next_at", null=True),
        *_minors("released"),
        sa.Column("times", sa.Integer(), nullable=False),
        *_times("released_at", null=True),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_release_mode")),
        sa.CheckConstraint("net >= 0 AND released <= net AND times >= 0", name=op.f("ck_release_amounts")),
        sa.ForeignKeyConstraint(["payment_id"], ["channel_payment.id"], name=op.f("fk_release_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_release")),
    )
    op.create_index("ix_release_due", "release", ["next_at"], postgresql_where=_WAITS)
    op.create_index("ix_release_merchant", "release", ["merchant_id"], postgresql_where=_WAITS)
    op.create_index("ix_release_order", "release", ["order_id"])


def _hold() -> None:
    op.create_table(
        "hold",
        *_texts("id", "merchant_id", "subject", "reason", "placed_by"),
        *_times("placed_at"),
        *_texts("lifted_by", null=True),
        *_times("lifted_at", null=True),
        sa.CheckConstraint("(lifted_by IS NULL) = (lifted_at IS NULL)", name=op.f("ck_hold_lifted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index("uq_hold_subject", "hold", ["subject"], unique=True, postgresql_where=sa.text("lifted_at IS NULL"))
    op.create_index("ix_hold_merchant", "hold", ["merchant_id", "placed_at"])


def _settlement_rule() -> None:
    op.create_table(
        "settlement_rule",
        *_texts("merchant_id", "cycle"),
        sa.Column("day", sa.Integer(), nullable=False),
        *_minors("minimum"),
        *_minors("maximum", null=True),
        *_minors("fee"),
        *_texts("currency"),
        sa.Column("risk_days", sa.Integer(), nullable=False),
        *_texts("rail", "source_owner", "source_fund"),
        *_times("next_at", null=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("cycle IN ('manual', 'daily', 'weekly', 'monthly')", name=op.f("ck_settlement_rule_cycle")),
        sa.CheckConstraint("rail IN ('manual', 'alipay', 'wechat')", name=op.f("ck_settlement_rule_rail")),
        sa.CheckConstraint(
            "fee >= 0 AND minimum > fee AND maximum >= minimum AND risk_days >= 0",
            name=op.f("ck_settlement_rule_amounts"),
        ),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_settlement_rule_merchant_id")),
        sa.PrimaryKeyConstraint("merchant_id", name=op.f("pk_settlement_rule")),
    )
    op.create_index("ix_settlement_rule_due", "settlement_rule", ["next_at"], postgresql_where=_WAITS)


def downgrade() -> None:
    for table in ("settlement_rule", "hold", "release", "release_day"):
        op.drop_table(table)


def _texts(*names: str, null: bool = False) -> list["sa.Column[str]"]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def _minors(*names: str, null: bool = False) -> list["sa.Column[int]"]:
    return [sa.Column(name, sa.BigInteger(), nullable=null) for name in names]


def _times(*names: str, null: bool = False) -> list["sa.Column[datetime]"]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=null) for name in names]
