"""What a repeated opening says again, what the payer needs besides an address, and payments that are undone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0010"
down_revision = "0011"

RIGHTS = {
    "attempt": "SELECT, INSERT, UPDATE (status, action_type, action_value, action_fields, failure, next_at, polls,"
    " revision)",
}
RIGHTS_BEFORE = {
    "attempt": "SELECT, INSERT, UPDATE (status, action_type, action_value, failure, next_at, polls, revision)",
}
LIVE, LIVE_BEFORE = "'created', 'pending', 'reversing', 'unknown'", "'created', 'pending', 'unknown'"
REASONS_BEFORE = "'unknown_number', 'wrong_amount', 'second', 'late'"
REASONS = f"{REASONS_BEFORE}, 'reversed'"
ACTION_BEFORE = "(action_type IS NULL) = (action_value IS NULL)"
ACTION = f"{ACTION_BEFORE} AND (action_type IS NULL) = (action_fields IS NULL)"


def upgrade() -> None:
    for name in ("payer_id", "payer_ip", "return_url", "notify_url"):
        op.add_column("attempt", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("attempt", sa.Column("instalments", sa.Integer(), nullable=True))
    op.add_column("attempt", sa.Column("shared", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.alter_column("attempt", "shared", server_default=None)
    op.add_column("attempt", sa.Column("action_fields", JSON(), nullable=True))
    op.execute("UPDATE attempt SET action_fields = '{}' WHERE action_type IS NOT NULL")
    _check("attempt", "action", ACTION)
    _reasons(REASONS)
    _due(LIVE)
    grant(RIGHTS)


def downgrade() -> None:
    op.execute("UPDATE attempt SET status = 'unknown' WHERE status = 'reversing'")
    _due(LIVE_BEFORE)
    _reasons(REASONS_BEFORE)
    _check("attempt", "action", ACTION_BEFORE)
    for name in ("payer_id", "payer_ip", "return_url", "notify_url", "instalments", "shared", "action_fields"):
        op.drop_column("attempt", name)
    grant(RIGHTS_BEFORE)


def _check(table: str, name: str, words: str) -> None:
    op.drop_constraint(f"ck_{table}_{name}", table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, words)


def _reasons(reasons: str) -> None:
    _check("channel_payment", "unattributed", f"unattributed IN ({reasons})")
    _check("suspense_item", "reason", f"reason IN ({reasons})")


def _due(live: str) -> None:
    op.drop_index("ix_attempt_due", "attempt")
    op.create_index("ix_attempt_due", "attempt", ["next_at"], postgresql_where=sa.text(f"status IN ({live})"))
