"""Events and their way to the merchants."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import Xid8, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Mode
from domain.notifications import DeliveryStatus, Disabled

# The very words of the partial indexes: a query must repeat them, literally, for its plan to use them.
DELIVERY_DUE = f"status = '{DeliveryStatus.DUE}'"
UNDELIVERED = f"status <> '{DeliveryStatus.DELIVERED}'"
DELIVERY_IN_FLIGHT = f"{DELIVERY_DUE} AND in_flight"

event = Table(
    "event",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("type", "object_id", "merchant_id", "mode"),
    *times("at"),
    *texts("api_version"),
    of("data", JSON()),  # json, not jsonb: the body keeps its order, byte for byte
    of("announced", Boolean()),
    *texts("notify_url", null=True),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("n", BigInteger, Identity(always=True), nullable=False),  # the order within one transaction
    one_of("mode", Mode),
    Index("ix_event_cursor", "merchant_id", "mode", "xid", "n"),
    Index("ix_event_object", "object_id"),
    Index("ix_event_at", "at", postgresql_using="brin"),
)

# A queue: rows live for a second. Vacuum must not wait for a fifth of the table.
QUEUE = {"autovacuum_vacuum_scale_factor": "0.01"}

outbox = Table(
    "outbox",
    metadata,
    Column("event_id", Text, ForeignKey("event.id"), primary_key=True),
    Column("n", BigInteger, Identity(always=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Index("ix_outbox_n", "n"),
    postgresql_with=QUEUE,
)

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("merchant_id", "mode"),
    *texts("url", null=True),
    of("sealed", LargeBinary()),
    *times("created_at"),
    of("event_types", JSON()),
    of("previous_sealed", LargeBinary(), null=True),
    *times("previous_until", null=True),
    of("enabled", Boolean()),
    *times("enabled_at", null=True),
    *texts("disabled", null=True),
    *times("disabled_at", null=True),
    *numbers("revision"),
    # One endpoint without a url, too: it stands for the notify_url of orders.
    UniqueConstraint("merchant_id", "mode", "url", name="uq_webhook_endpoint_url", postgresql_nulls_not_distinct=True),
    one_of("mode", Mode),
    one_of("disabled", Disabled),
)

circuit = Table(
    "circuit",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("endpoint_id", Text, ForeignKey("webhook_endpoint.id"), nullable=False),
    *times("failing_since", "failed_at"),
    *numbers("failures", "pauses"),
    *times("paused_until", null=True),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("event_id", "endpoint_id", "merchant_id", "mode", "url", "lane"),
    *times("created_at"),
    *times("next_at", null=True),
    *texts("status"),
    *numbers("tries", "tries_before"),
    Column("in_flight", Boolean, nullable=False),
    UniqueConstraint("event_id", "endpoint_id", name="uq_delivery_event_endpoint"),
    ForeignKeyConstraint(["event_id"], ["event.id"]),
    ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoint.id"]),
    one_of("mode", Mode),
    one_of("status", DeliveryStatus),
    Index("ix_delivery_due", "lane", "next_at", "id", postgresql_where=text(DELIVERY_DUE)),
    Index("ix_delivery_in_flight", "lane", postgresql_where=text(DELIVERY_IN_FLIGHT)),
    Index("ix_delivery_list", "merchant_id", "mode", "created_at", "id"),
    Index("ix_delivery_endpoint", "endpoint_id", "created_at", "id"),
    # What is delivered, nearly all, stays out of these.
    Index("ix_delivery_open", "merchant_id", "mode", "status", "created_at", "id", postgresql_where=text(UNDELIVERED)),
    Index("ix_delivery_endpoint_open", "endpoint_id", "status", "created_at", "id", postgresql_where=text(UNDELIVERED)),
)

delivery_try = Table(
    "delivery_try",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("delivery_id", Text, ForeignKey("delivery.id"), nullable=False),
    *times("at"),
    *numbers("status_code", null=True),
    *texts("error", null=True),
    *texts("body"),
    *numbers("duration_ms"),
    Index("ix_delivery_try_delivery", "delivery_id", "id"),
)
