"""Statements: days, files as they came, their lines, and the differences found in them."""

from sqlalchemy import (
    Column,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Mode
from domain.reconciliation import DifferenceKind, DiscrepancyStatus
from domain.statements import DayStatus, LineKind, LineStatus, Movement, StatementKind

statement_day = Table(
    "statement_day",
    metadata,
    *texts("account_id"),
    of("day", Date()),
    *texts("mode", "status"),
    of("files", JSON()),
    *times("next_at", null=True),
    *numbers("tries", "differences", "held", "foreign_lines", "matched"),
    *texts("note"),
    *texts("closed_by", null=True),
    PrimaryKeyConstraint("account_id", "day"),
    one_of("mode", Mode),
    one_of("status", DayStatus),
    Index("ix_statement_day_due", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    Index("ix_statement_day_list", "day", "account_id"),
)

statement_file = Table(
    "statement_file",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("account_id", "mode"),
    of("day", Date()),
    *texts("kind", "fund", "sha256"),
    *minors("size"),
    *texts("provenance"),
    *times("received_at"),
    *numbers("lines"),
    UniqueConstraint("account_id", "day", "kind", "fund", "sha256", name="uq_statement_file_content"),
    one_of("mode", Mode),
    one_of("kind", StatementKind),
)

statement_chunk = Table(
    "statement_chunk",
    metadata,
    Column("file_id", Text, ForeignKey("statement_file.id"), nullable=False),
    *numbers("n"),
    of("bytes", LargeBinary()),  # zlib
    PrimaryKeyConstraint("file_id", "n"),
)

# Written by COPY, a million at a time: no constraint that the parser has not already seen to. ``key`` is the number,
# or what stands for it where the bill has none.
statement_line = Table(
    "statement_line",
    metadata,
    *texts("file_id", "account_id"),
    of("day", Date()),
    *numbers("n"),
    *texts("kind", "key", "number", "payment_number", "transaction_id"),
    *minors("total", "received"),
    *texts("currency"),
    *minors("fee"),
    *texts("status"),
    *times("at"),
    *texts("method"),
    one_of("kind", LineKind),
    one_of("status", LineStatus),
    PrimaryKeyConstraint("account_id", "day", "n"),
    Index("ix_statement_line_key", "key"),
)

fund_line = Table(
    "fund_line",
    metadata,
    *texts("file_id", "account_id"),
    of("day", Date()),
    *numbers("n"),
    *texts("fund", "flow_id", "transaction_id", "number", "movement"),
    *minors("amount", "balance"),
    *times("at"),
    *texts("words"),
    one_of("movement", Movement),
    PrimaryKeyConstraint("account_id", "day", "fund", "n"),
)

discrepancy = Table(
    "discrepancy",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("account_id", "mode"),
    of("day", Date()),
    *texts("key", "kind"),
    *numbers("line_n", null=True),
    *texts("ours_id", null=True),
    *texts("number", "transaction_id"),
    *minors("amount"),
    *times("found_at"),
    *texts("status"),
    *texts("owner", "remedy", null=True),
    *texts("note"),
    *times("resolved_at", null=True),
    *texts("resolved_by", null=True),
    UniqueConstraint("account_id", "day", "key", name="uq_discrepancy_key"),
    one_of("mode", Mode),
    one_of("kind", DifferenceKind),
    one_of("status", DiscrepancyStatus),
    Index("ix_discrepancy_open", "found_at", postgresql_where=text("status = 'open'")),
)
