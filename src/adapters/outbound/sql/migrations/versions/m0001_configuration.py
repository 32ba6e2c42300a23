"""Merchants and their keys, credentials and channel accounts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import ensure_role, grant

revision = "0001"
down_revision = None

RIGHTS = {
    "merchant": "SELECT, INSERT, UPDATE (name, fee_ppm, fee_minimum, fee_maximum, late_payment, active)",
    "api_key": "SELECT, INSERT, UPDATE (expires_at, revoked_at)",
    "credential": "SELECT, INSERT, UPDATE (app_id, merchant_id, public, sealed, version)",
    "channel_account": "SELECT, INSERT, UPDATE (credential_id, methods, cost_ppm, priority, enabled)",
    "alembic_version": "SELECT",
}


def upgrade() -> None:
    ensure_role()
    op.create_table(
        "credential",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=True),
        sa.Column("public", JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("channel IN ('alipay', 'wechat')", name=op.f("ck_credential_channel")),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_credential_mode")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
    )
    op.create_table(
        "merchant",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("fee_ppm", sa.Integer(), nullable=False),
        sa.Column("fee_minimum", sa.BigInteger(), nullable=False),
        sa.Column("fee_maximum", sa.BigInteger(), nullable=True),
        sa.Column("late_payment", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("late_payment IN ('refund', 'accept')", name=op.f("ck_merchant_late_payment")),
        sa.CheckConstraint("fee_ppm BETWEEN 0 AND 1000000", name=op.f("ck_merchant_fee_ppm")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merchant")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_api_key_mode")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_api_key_merchant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("digest", name="uq_api_key_digest"),
    )
    op.create_index("ix_api_key_merchant", "api_key", ["merchant_id"], unique=False)
    op.create_table(
        "channel_account",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("payee", sa.Text(), nullable=False),
        sa.Column("methods", JSON(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=True),
        sa.Column("cost_ppm", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.CheckConstraint("channel IN ('alipay', 'wechat')", name=op.f("ck_channel_account_channel")),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_channel_account_mode")),
        sa.CheckConstraint("cost_ppm BETWEEN 0 AND 1000000", name=op.f("ck_channel_account_cost_ppm")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_channel_account_credential_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_account")),
    )
    op.create_index("ix_channel_account_owner", "channel_account", ["merchant_id", "mode"], unique=False)
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("channel_account")
    op.drop_table("api_key")
    op.drop_table("merchant")
    op.drop_table("credential")
