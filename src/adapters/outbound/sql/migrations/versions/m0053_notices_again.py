"""Verified notices keep what their signature rests on, and say what they led to when one is read again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0053"
down_revision = "0050"

RIGHTS = {"notice": "SELECT, INSERT, UPDATE (outcome)"}
RIGHTS_BEFORE = {"notice": "SELECT, INSERT"}


def upgrade() -> None:
    op.add_column("notice", sa.Column("headers", JSON(), server_default="{}", nullable=False))
    op.alter_column("notice", "headers", server_default=None)
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_column("notice", "headers")
    grant(RIGHTS_BEFORE)
