"""API keys: a name, scopes, and when they were last used."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0008"
down_revision = "0006"

RIGHTS = {"api_key": "SELECT, INSERT, UPDATE (name, expires_at, revoked_at, last_used_at)"}


def upgrade() -> None:
    op.add_column("api_key", sa.Column("name", sa.Text(), server_default="", nullable=False))
    op.alter_column("api_key", "name", server_default=None)
    op.add_column("api_key", sa.Column("scopes", JSON(), nullable=True))  # none: every scope, as it was before
    op.add_column("api_key", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_column("api_key", "last_used_at")
    op.drop_column("api_key", "scopes")
    op.drop_column("api_key", "name")
