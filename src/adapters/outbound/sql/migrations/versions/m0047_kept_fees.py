"""Fees that stay ours when a payment is refunded."""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("attempt", sa.Column("fee_kept", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.alter_column("attempt", "fee_kept", server_default=None)


def downgrade() -> None:
    op.drop_column("attempt", "fee_kept")
