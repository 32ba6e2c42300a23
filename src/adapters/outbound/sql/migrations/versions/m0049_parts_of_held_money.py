"""Held money that is refunded in parts, in the channel's own console."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0031"

_STANDS = "status NOT IN ('failed', 'rejected')"


def upgrade() -> None:
    _index(f"{_STANDS} AND origin = 'suspense'")


def downgrade() -> None:
    _index(_STANDS)


def _index(where: str) -> None:
    op.drop_index("uq_refund_item", table_name="refund")
    op.create_index("uq_refund_item", "refund", ["item_id"], unique=True, postgresql_where=sa.text(where))
