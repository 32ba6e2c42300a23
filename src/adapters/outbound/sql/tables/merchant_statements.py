"""Merchants' own statements: what is still to be frozen, and frozen ones with their bytes, which nobody may change."""

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
)

from adapters.outbound.sql.columns import minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Mode

merchant_statement_due = Table(
    "merchant_statement_due",
    metadata,
    *texts("merchant_id", "mode"),
    of("day", Date()),
    *times("next_at"),
    PrimaryKeyConstraint("merchant_id", "mode", "day"),
    one_of("mode", Mode),
    Index("ix_merchant_statement_due_next", "next_at"),
    Index("ix_merchant_statement_due_day", "day"),
)

merchant_statement = Table(
    "merchant_statement",
    metadata,
    *texts("merchant_id", "mode"),
    of("day", Date()),
    *times("frozen_at"),
    *texts("sha256"),
    *minors("size"),
    *numbers("entries"),
    PrimaryKeyConstraint("merchant_id", "mode", "day"),
    one_of("mode", Mode),
    CheckConstraint("size > 0 AND entries >= 0", name="amounts"),
    Index("ix_merchant_statement_day", "day"),
)

merchant_statement_chunk = Table(
    "merchant_statement_chunk",
    metadata,
    *texts("merchant_id", "mode"),
    of("day", Date()),
    *numbers("n"),
    of("bytes", LargeBinary()),
    PrimaryKeyConstraint("merchant_id", "mode", "day", "n"),
    ForeignKeyConstraint(
        ["merchant_id", "mode", "day"],
        ["merchant_statement.merchant_id", "merchant_statement.mode", "merchant_statement.day"],
        name="fk_merchant_statement_chunk_statement",
    ),
)
