"""What was done by whom: rows that the application can add and read, and nothing else."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import Xid8
from adapters.outbound.sql.migrations.rights import grant

revision = "0006"
down_revision = "0005"

RIGHTS = {"audit_record": "SELECT, INSERT"}


def upgrade() -> None:
    op.create_table(
        "audit_record",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("actor_roles", JSON(), nullable=False),
        sa.Column("actor_merchant_id", sa.Text(), nullable=True),
        sa.Column("behind", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=True),
        sa.Column("before", JSON(), nullable=False),
        sa.Column("after", JSON(), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("n", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.CheckConstraint(
            "actor_kind IN ('operator', 'service', 'merchant_user', 'merchant_key', 'system')",
            name=op.f("ck_audit_record_actor_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_record")),
    )
    op.create_index("ix_audit_record_actor", "audit_record", ["actor_id", "n"], unique=False)
    op.create_index("ix_audit_record_cursor", "audit_record", ["xid", "n"], unique=False)
    op.create_index("ix_audit_record_merchant", "audit_record", ["merchant_id", "n"], unique=False)
    op.create_index("ix_audit_record_object", "audit_record", ["object_id", "n"], unique=False)
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("audit_record")
