"""Releases of payments, what holds them back, and the rules that merchants are settled by."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from adapters.outbound.sql.columns import minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Mode
from domain.settlement_rules import Cycle
from domain.settlements import Rail

RELEASE_WAITS = "next_at IS NOT NULL"
HOLD_STANDS = "lifted_at IS NULL"

# One row a statement day that was closed; due while payments of it may be without a release.
release_day = Table(
    "release_day",
    metadata,
    *texts("account_id"),
    of("day", Date()),
    *times("next_at", null=True),
    PrimaryKeyConstraint("account_id", "day"),
    Index("ix_release_day_due", "next_at", postgresql_where=text(RELEASE_WAITS)),
)

release = Table(
    "release",
    metadata,
    Column("payment_id", Text, ForeignKey("channel_payment.id"), primary_key=True),
    *texts("order_id", "merchant_id", "mode", "account_id"),
    of("day", Date()),
    *minors("net"),
    *texts("currency"),
    *times("next_at", null=True),
    of("released", BigInteger()),
    *numbers("times"),
    *times("released_at", null=True),
    one_of("mode", Mode),
    CheckConstraint("net >= 0 AND released <= net AND times >= 0", name="amounts"),
    Index("ix_release_due", "next_at", postgresql_where=text(RELEASE_WAITS)),
    Index("ix_release_merchant", "merchant_id", postgresql_where=text(RELEASE_WAITS)),
    Index("ix_release_order", "order_id"),
)

hold = Table(
    "hold",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("merchant_id", "subject", "reason", "placed_by"),
    *times("placed_at"),
    *texts("lifted_by", null=True),
    *times("lifted_at", null=True),
    CheckConstraint("(lifted_by IS NULL) = (lifted_at IS NULL)", name="lifted"),
    Index("uq_hold_subject", "subject", unique=True, postgresql_where=text(HOLD_STANDS)),
    Index("ix_hold_merchant", "merchant_id", "placed_at"),
)

settlement_rule = Table(
    "settlement_rule",
    metadata,
    Column("merchant_id", Text, ForeignKey("merchant.id"), primary_key=True),
    *texts("cycle"),
    *numbers("day"),
    *minors("minimum"),
    *minors("maximum", null=True),
    *minors("fee"),
    *texts("currency"),
    *numbers("risk_days"),
    *texts("rail", "source_owner", "source_fund"),
    *times("next_at", null=True),
    *numbers("revision"),
    one_of("cycle", Cycle),
    one_of("rail", Rail),
    CheckConstraint("fee >= 0 AND minimum > fee AND maximum >= minimum AND risk_days >= 0", name="amounts"),
    Index("ix_settlement_rule_due", "next_at", postgresql_where=text(RELEASE_WAITS)),
)
