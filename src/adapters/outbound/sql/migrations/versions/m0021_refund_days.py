"""Ways to find the refunds and the transfers of a day."""

from alembic import op

revision = "0021"
down_revision = "0009"


def upgrade() -> None:
    op.create_index("ix_refund_payment", "refund", ["payment_id", "accepted_at"], unique=False)
    op.create_index("ix_refund_day", "refund", ["account_id", "accepted_at"], unique=False)
    op.create_index("ix_refund_number", "refund", ["number"], unique=False)
    op.create_index("ix_transfer_created", "transfer", ["created_at"], unique=False, postgresql_using="brin")


def downgrade() -> None:
    op.drop_index("ix_transfer_created", table_name="transfer")
    op.drop_index("ix_refund_number", table_name="refund")
    op.drop_index("ix_refund_day", table_name="refund")
    op.drop_index("ix_refund_payment", table_name="refund")
