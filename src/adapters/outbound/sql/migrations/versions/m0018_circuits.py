"""Deliveries by lane, circuits of failing addresses, why an endpoint is off; lists of deliveries."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0018"
down_revision = "0010"

RIGHTS = {
    "circuit": "SELECT, INSERT, UPDATE, DELETE",
    "delivery": "SELECT, INSERT, UPDATE (next_at, status, tries, tries_before, in_flight)",
    "webhook_endpoint": "SELECT, INSERT, UPDATE (url, sealed, event_types, previous_sealed, previous_until, enabled,"
    " enabled_at, disabled, disabled_at, revision)",
}


def upgrade() -> None:
    op.create_table(
        "circuit",
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("pauses", sa.Integer(), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoint.id"], name=op.f("fk_circuit_endpoint_id")),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_circuit")),
    )
    op.add_column("delivery", sa.Column("lane", sa.Text(), nullable=True))
    op.execute("UPDATE delivery SET lane = endpoint_id")
    op.alter_column("delivery", "lane", nullable=False)
    op.add_column("delivery", sa.Column("tries_before", sa.Integer(), server_default="0", nullable=False))
    op.alter_column("delivery", "tries_before", server_default=None)
    op.drop_index("ix_delivery_due", "delivery")
    op.drop_index("ix_delivery_in_flight", "delivery")
    due, given_up = sa.text("status = 'due'"), sa.text("status <> 'delivered'")
    op.create_index("ix_delivery_due", "delivery", ["lane", "next_at", "id"], postgresql_where=due)
    op.create_index(
        "ix_delivery_in_flight", "delivery", ["lane"], postgresql_where=sa.text("status = 'due' AND in_flight")
    )
    op.create_index("ix_delivery_list", "delivery", ["merchant_id", "mode", "created_at", "id"])
    op.create_index("ix_delivery_endpoint", "delivery", ["endpoint_id", "created_at", "id"])
    op.create_index(
        "ix_delivery_open", "delivery", ["merchant_id", "mode", "status", "created_at", "id"], postgresql_where=given_up
    )
    op.create_index(
        "ix_delivery_endpoint_open",
        "delivery",
        ["endpoint_id", "status", "created_at", "id"],
        postgresql_where=given_up,
    )
    # Almost free to keep, and enough to find an hour among years.
    op.create_index("ix_event_at", "event", ["at"], postgresql_using="brin")
    op.add_column("webhook_endpoint", sa.Column("enabled_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE webhook_endpoint SET enabled_at = created_at")
    op.add_column("webhook_endpoint", sa.Column("disabled", sa.Text(), nullable=True))
    op.add_column("webhook_endpoint", sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("webhook_endpoint", sa.Column("revision", sa.Integer(), server_default="0", nullable=False))
    op.alter_column("webhook_endpoint", "revision", server_default=None)
    op.create_check_constraint(
        op.f("ck_webhook_endpoint_disabled"), "webhook_endpoint", "disabled IN ('merchant', 'gone', 'failing')"
    )
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_constraint(op.f("ck_webhook_endpoint_disabled"), "webhook_endpoint")
    for column in ("revision", "disabled_at", "disabled", "enabled_at"):
        op.drop_column("webhook_endpoint", column)
    op.drop_index("ix_event_at", "event")
    for name in ("endpoint_open", "open", "endpoint", "list", "in_flight", "due"):
        op.drop_index(f"ix_delivery_{name}", "delivery")
    op.drop_column("delivery", "tries_before")
    op.drop_column("delivery", "lane")
    op.create_index("ix_delivery_due", "delivery", ["next_at"], postgresql_where=sa.text("status = 'due'"))
    op.create_index(
        "ix_delivery_in_flight", "delivery", ["endpoint_id"], postgresql_where=sa.text("status = 'due' AND in_flight")
    )
    op.drop_table("circuit")
