"""Products, what merchants are bound to, and their limits."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Method, Mode

product = Table(
    "product",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("name"),
    of("listed", Boolean()),
    *times("created_at"),
)

product_version = Table(
    "product_version",
    metadata,
    Column("product_id", Text, ForeignKey("product.id"), nullable=False),
    *numbers("n"),
    of("plans", JSON()),
    *times("valid_from", "created_at"),
    PrimaryKeyConstraint("product_id", "n"),
)

product_binding = Table(
    "product_binding",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, ForeignKey("merchant.id"), nullable=False),
    Column("product_id", Text, ForeignKey("product.id"), nullable=False),
    *times("valid_from", "created_at"),
    Index("ix_product_binding_merchant", "merchant_id"),
)

rate_override = Table(
    "rate_override",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, ForeignKey("merchant.id"), nullable=False),
    *texts("method"),
    of("plan", JSON(none_as_null=True), null=True),
    *times("valid_from", "created_at"),
    one_of("method", Method),
    Index("ix_rate_override_merchant", "merchant_id"),
)

method_limit = Table(
    "method_limit",
    metadata,
    Column("merchant_id", Text, ForeignKey("merchant.id"), nullable=False),
    *texts("method"),
    *minors("single", "daily", null=True),
    PrimaryKeyConstraint("merchant_id", "method"),
    one_of("method", Method),
    CheckConstraint("single > 0 AND daily > 0", name="above_zero"),
)

daily_amount = Table(
    "daily_amount",
    metadata,
    *texts("merchant_id", "mode", "method"),
    of("day", Date()),
    *minors("amount"),
    PrimaryKeyConstraint("merchant_id", "mode", "method", "day"),
    one_of("mode", Mode),
    one_of("method", Method),
    CheckConstraint("amount >= 0", name="amount"),
)
