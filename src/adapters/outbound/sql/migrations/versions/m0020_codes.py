"""Static codes."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0020"
down_revision = "0028"

RIGHTS = {"static_code": "SELECT, INSERT, UPDATE (enabled)"}


def upgrade() -> None:
    op.create_table(
        "static_code",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("most", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount > 0 AND amount <= most OR amount IS NULL", name=op.f("ck_static_code_amount")),
        sa.CheckConstraint("most > 0", name=op.f("ck_static_code_most")),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_static_code_mode")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_static_code_merchant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_static_code")),
        sa.UniqueConstraint("token", name="uq_static_code_token"),
    )
    op.create_index("ix_static_code_merchant", "static_code", ["merchant_id", "mode", "created_at", "id"])
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("static_code")
