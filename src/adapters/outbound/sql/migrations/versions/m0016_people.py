"""People, their sessions and roles, machines' tokens, proposals, and the chain over the audit records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0016"
down_revision = "0018"

RIGHTS = {
    "person": "SELECT, INSERT, UPDATE (name, roles, password_hash, first_password_until, totp_sealed, totp_used_step,"
    " enrolling_sealed, recovery, status, revision)",
    "session": "SELECT, INSERT, UPDATE (digest, seen_at, proved_at, ended_at)",
    "service_token": "SELECT, INSERT, UPDATE (used_at, revoked_at)",
    "custom_role": "SELECT, INSERT, UPDATE (meaning, permissions, retired_at, revision)",
    "throttle": "SELECT, INSERT, UPDATE (tries, since), DELETE",
    "proposal": "SELECT, INSERT, UPDATE (status, decided_by, decided_by_name, decided_at, reason, result, revision)",
    "audit_link": "SELECT, INSERT",
}


def upgrade() -> None:
    op.create_index("ix_audit_record_n", "audit_record", ["n"], unique=False)
    op.create_table(
        "custom_role",
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("meaning", sa.Text(), nullable=False),
        sa.Column("permissions", JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("realm IN ('platform', 'merchant')", name=op.f("ck_custom_role_realm")),
        sa.PrimaryKeyConstraint("realm", "name", name=op.f("pk_custom_role")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", JSON(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=True),
        sa.Column("first_password_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("totp_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("totp_used_step", sa.BigInteger(), nullable=False),
        sa.Column("enrolling_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("recovery", JSON(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("(realm = 'merchant') = (merchant_id IS NOT NULL)", name=op.f("ck_person_whose")),
        sa.CheckConstraint("realm IN ('platform', 'merchant')", name=op.f("ck_person_realm")),
        sa.CheckConstraint("status IN ('active', 'deactivated')", name=op.f("ck_person_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("realm", "login", name="uq_person_login"),
    )
    op.create_index("ix_person_list", "person", ["realm", "merchant_id", "id"], unique=False)
    op.create_table(
        "proposal",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("payload", JSON(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("permission", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_by_name", sa.Text(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_by_name", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('proposed', 'executed', 'rejected', 'withdrawn', 'expired')", name=op.f("ck_proposal_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposal")),
    )
    op.create_index("ix_proposal_merchant", "proposal", ["merchant_id", "id"], unique=False)
    op.create_index(
        "ix_proposal_open", "proposal", ["expires_at"], unique=False, postgresql_where=sa.text("status = 'proposed'")
    )
    op.create_index("ix_proposal_status", "proposal", ["status", "id"], unique=False)
    op.create_table(
        "throttle",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttle")),
    )
    op.create_index("ix_throttle_since", "throttle", ["since"], unique=False)
    op.create_table(
        "audit_link",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["audit_record.id"], name=op.f("fk_audit_link_record_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_link")),
        sa.UniqueConstraint("record_id", name="uq_audit_link_record"),
    )
    op.create_table(
        "service_token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("permissions", JSON(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_service_token_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_token")),
        sa.UniqueConstraint("digest", name="uq_service_token_digest"),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["person.id"], name=op.f("fk_session_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("digest", name="uq_session_digest"),
    )
    op.create_index(
        "ix_session_open", "session", ["user_id"], unique=False, postgresql_where=sa.text("ended_at IS NULL")
    )
    grant(RIGHTS)


def downgrade() -> None:
    op.drop_table("session")
    op.drop_table("service_token")
    op.drop_table("audit_link")
    op.drop_table("throttle")
    op.drop_table("proposal")
    op.drop_table("person")
    op.drop_table("custom_role")
    op.drop_index("ix_audit_record_n", table_name="audit_record")
