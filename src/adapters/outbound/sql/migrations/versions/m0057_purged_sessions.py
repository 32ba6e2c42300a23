"""Sessions that have run out may be deleted, and are found by when."""

from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0057"
down_revision = "0055"

RIGHTS = {"session": "SELECT, INSERT, UPDATE (digest, seen_at, proved_at, ended_at), DELETE"}
RIGHTS_BEFORE = {"session": "SELECT, INSERT, UPDATE (digest, seen_at, proved_at, ended_at)"}


def upgrade() -> None:
    op.create_index("ix_session_expires", "session", ["expires_at"])
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_index("ix_session_expires", "session")
    grant(RIGHTS_BEFORE)
