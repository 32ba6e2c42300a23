"""Service providers: whose credential it is, and what a sub-merchant's account has of its own."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0005"
down_revision = "0004"

RIGHTS = {
    "credential": "SELECT, INSERT, UPDATE (app_id, merchant_id, provider, public, sealed, version)",
    "channel_account": "SELECT, INSERT, UPDATE (credential_id, methods, sub_app_id, sealed, cost_ppm, priority,"
    " enabled)",
}


def upgrade() -> None:
    op.add_column("credential", sa.Column("provider", sa.Text(), nullable=True))
    op.add_column("channel_account", sa.Column("sub_app_id", sa.Text(), nullable=True))
    op.add_column("channel_account", sa.Column("sealed", sa.LargeBinary(), server_default="", nullable=False))
    op.alter_column("channel_account", "sealed", server_default=None)
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_column("channel_account", "sealed")
    op.drop_column("channel_account", "sub_app_id")
    op.drop_column("credential", "provider")
