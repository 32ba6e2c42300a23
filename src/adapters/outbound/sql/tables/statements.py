"""Statements: days, files as they came, their lines, and the differences found in them."""

from sqlalchemy import (
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
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
    Column("number", Integer, Identity(always=True), nullable=False),  # what its lines know it by
    *texts("mode", "status"),
    of("files", JSON()),
    *times("next_at", null=True),
    *numbers("tries", "differences", "held", "foreign_lines", "matched"),
    *texts("note"),
    *texts("closed_by", null=True),
    PrimaryKeyConstraint("account_id", "day"),
    UniqueConstraint("number", name="uq_statement_day_number"),
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

# Written by COPY, a million at a time, so what is usual is not written: where it is NULL, ``number`` and
# ``payment_number`` are ``key`` (the number, or what stands for it where the bill has none), ``total`` is ``received``,
# kind, currency and status those of a payment in renminbi that succeeded. ``second`` counts from the day's midnight in
# Shanghai. comparison.py reads them as they were.
statement_line = Table(
    "statement_line",
    metadata,
    *numbers("day_number", "n"),
    *minors("received", "fee"),
    *numbers("second"),
    *texts("key", "transaction_id", "method"),
    *minors("total", null=True),
    *texts("kind", "number", "payment_number", "currency", "status", null=True),
    one_of("kind", LineKind),
    one_of("status", LineStatus),
    PrimaryKeyConstraint("day_number", "n"),
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
