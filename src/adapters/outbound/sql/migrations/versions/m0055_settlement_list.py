"""An index for the list of a merchant's settlements by status."""

from alembic import op

revision = "0055"
down_revision = "0053"


def upgrade() -> None:
    op.create_index(
        "ix_settlement_merchant_status", "settlement", ["merchant_id", "mode", "status", "created_at", "id"]
    )


def downgrade() -> None:
    op.drop_index("ix_settlement_merchant_status", "settlement")
