"""Verified notices keep what their signature rests on, so that one can be read again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

revision = "0053"
down_revision = "0050"


def upgrade() -> None:
    op.add_column("notice", sa.Column("headers", JSON(), server_default="{}", nullable=False))
    op.alter_column("notice", "headers", server_default=None)


def downgrade() -> None:
    op.drop_column("notice", "headers")
