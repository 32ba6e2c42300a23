"""Who may do what, and what was done."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import Xid8, minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.actors import ActorKind
from domain.permissions import Realm
from domain.proposals import ProposalStatus
from domain.users import UserStatus

# The very words of the partial index: a query must repeat them, literally, for its plan to use it.
PROPOSAL_OPEN = f"status = '{ProposalStatus.PROPOSED}'"

# No foreign key: it tells of objects of every kind, and outlives them all.
audit_record = Table(
    "audit_record",
    metadata,
    Column("id", Text, primary_key=True),
    *times("at"),
    *texts("actor_kind", "actor_id", "actor_name"),
    of("actor_roles", JSON()),
    *texts("actor_merchant_id", "behind", "address", "request_id", null=True),
    *texts("action", "object_id"),
    *texts("merchant_id", null=True),
    of("before", JSON()),  # json, not jsonb: what was written is what is digested
    of("after", JSON()),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("n", BigInteger, Identity(always=True), nullable=False),  # the order within one transaction
    one_of("actor_kind", ActorKind),
    Index("ix_audit_record_cursor", "xid", "n"),
    Index("ix_audit_record_n", "n"),
    Index("ix_audit_record_object", "object_id", "n"),
    Index("ix_audit_record_actor", "actor_id", "n"),
    Index("ix_audit_record_merchant", "merchant_id", "n"),
)

# Made afterwards, one after the other: a chain inside the unit of work would make everybody wait for everybody.
audit_link = Table(
    "audit_link",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("record_id", Text, ForeignKey("audit_record.id"), nullable=False),
    of("digest", LargeBinary()),
    UniqueConstraint("record_id", name="uq_audit_link_record"),
)

# "user" is a reserved word.
person = Table(
    "person",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("realm", "login", "name"),
    of("roles", JSON()),
    *texts("password_hash"),
    *times("created_at"),
    *texts("merchant_id", null=True),
    *times("first_password_until", null=True),
    of("totp_sealed", LargeBinary(), null=True),
    *minors("totp_used_step"),
    of("enrolling_sealed", LargeBinary(), null=True),
    of("recovery", JSON()),
    *texts("status"),
    *numbers("revision"),
    UniqueConstraint("realm", "login", name="uq_person_login"),
    one_of("realm", Realm),
    one_of("status", UserStatus),
    CheckConstraint("(realm = 'merchant') = (merchant_id IS NOT NULL)", name="whose"),
    Index("ix_person_list", "realm", "merchant_id", "id"),
)

session = Table(
    "session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("person.id"), nullable=False),
    of("digest", LargeBinary()),
    *times("created_at", "seen_at", "expires_at"),
    *times("proved_at", "ended_at", null=True),
    *texts("address", "agent", null=True),
    UniqueConstraint("digest", name="uq_session_digest"),
    Index("ix_session_open", "user_id", postgresql_where=text("ended_at IS NULL")),
    Index("ix_session_expires", "expires_at"),
)

service_token = Table(
    "service_token",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("name"),
    of("digest", LargeBinary()),
    *texts("last4"),
    of("permissions", JSON()),
    Column("created_by", Text, ForeignKey("person.id"), nullable=False),
    *times("created_at", "expires_at"),
    *times("used_at", "revoked_at", null=True),
    UniqueConstraint("digest", name="uq_service_token_digest"),
)

custom_role = Table(
    "custom_role",
    metadata,
    Column("realm", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    *texts("meaning"),
    of("permissions", JSON()),
    *times("created_at"),
    *times("retired_at", null=True),
    *numbers("revision"),
    one_of("realm", Realm),
)

throttle = Table(
    "throttle",
    metadata,
    Column("key", Text, primary_key=True),
    *numbers("tries"),
    *times("since"),
    Index("ix_throttle_since", "since"),
)

proposal = Table(
    "proposal",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("action"),
    of("payload", JSON()),
    *texts("summary", "permission"),
    *texts("merchant_id", null=True),
    *texts("made_by", "made_by_name", "maker"),
    *times("created_at", "expires_at"),
    *texts("status"),
    *texts("decided_by", "decided_by_name", "reason", null=True),
    *times("decided_at", null=True),
    of("result", JSON()),
    *numbers("revision"),
    one_of("status", ProposalStatus),
    Index("ix_proposal_open", "expires_at", postgresql_where=text(PROPOSAL_OPEN)),
    Index("ix_proposal_status", "status", "id"),
    Index("ix_proposal_merchant", "merchant_id", "id"),
)
