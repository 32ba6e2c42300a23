"""Abnormal refunds that people send elsewhere."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0048"
down_revision = "0039"

_MOVES = (
    "SELECT, INSERT, UPDATE (debit, share, from_pending, from_available, from_debt, status, channel_id, failure,"
    " evidence, accepted_at, succeeded_at, next_at, polls, revision"
)
RIGHTS = {"refund": f"{_MOVES}, destination, redirection)"}
RIGHTS_BEFORE = {"refund": f"{_MOVES})"}


def upgrade() -> None:
    op.add_column("refund", sa.Column("destination", sa.Text(), server_default="original", nullable=False))
    op.alter_column("refund", "destination", server_default=None)
    op.add_column("refund", sa.Column("redirection", JSON(none_as_null=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_refund_destination"), "refund", "destination IN ('original', 'payer_card', 'merchant_account')"
    )
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_constraint(op.f("ck_refund_destination"), "refund")
    op.drop_column("refund", "redirection")
    op.drop_column("refund", "destination")
    grant(RIGHTS_BEFORE)
