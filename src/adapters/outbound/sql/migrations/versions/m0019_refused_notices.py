"""Notices that we did not believe, kept for a week."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0019"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "refused_notice",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("headers", JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("channel IN ('alipay', 'wechat')", name=op.f("ck_refused_notice_channel")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_notice")),
    )
    op.create_index("ix_refused_notice_account", "refused_notice", ["account_id", "received_at"])
    op.create_index("ix_refused_notice_age", "refused_notice", ["received_at"])
    grant({"refused_notice": "SELECT, INSERT, DELETE"})


def downgrade() -> None:
    op.drop_table("refused_notice")
