"""Merchants' applications to become sub-merchants at a channel."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0050"
down_revision = "0037"

_STATUSES = (
    "'submitting', 'editing', 'auditing', 'rejected', 'to_be_confirmed', 'to_be_signed', 'signing', 'finished',"
    " 'canceled'"
)
RIGHTS = {
    "applyment": "SELECT, INSERT, UPDATE (sealed, status, channel_id, sub_mchid, sign_url, rejections, account_id,"
    " next_at, polls)"
}


def upgrade() -> None:
    op.create_table(
        "applyment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("methods", JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Text(), nullable=True),
        sa.Column("sub_mchid", sa.Text(), nullable=True),
        sa.Column("sign_url", sa.Text(), nullable=True),
        sa.Column("rejections", JSON(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("polls", sa.Integer(), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_applyment_mode")),
        sa.CheckConstraint(f"status IN ({_STATUSES})", name=op.f("ck_applyment_status")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_applyment_merchant_id")),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], name=op.f("fk_applyment_credential_id")),
        sa.ForeignKeyConstraint(["account_id"], ["channel_account.id"], name=op.f("fk_applyment_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applyment")),
        sa.UniqueConstraint("code", name="uq_applyment_code"),
    )
    op.create_index("ix_applyment_merchant", "applyment", ["merchant_id", "id"])
    op.create_index("ix_applyment_due", "applyment", ["next_at"])
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("applyment")
