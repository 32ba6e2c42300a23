"""Balances rolled up: what the ledger's rows up to a place come to, by account (DESIGN 3.7); and what people book."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from adapters.outbound.sql.columns import Xid8, minors, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.account_entries import EntryKind
from domain.channels import Mode

balance_snapshot = Table(
    "balance_snapshot",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    *minors("balance"),
)

# One row: the place in the ledger up to which every snapshot counts. No row: nothing is rolled up yet.
balance_cursor = Table(
    "balance_cursor",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    of("xid", Xid8()),
    *minors("transfer_id"),
    CheckConstraint("one", name="one"),
)

account_entry = Table(
    "account_entry",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("kind", "mode"),
    *minors("amount", "repaid"),
    *texts("currency", "reason", "made_by"),
    *texts("merchant_id", "bank_reference", null=True),
    *times("created_at"),
    one_of("kind", EntryKind),
    one_of("mode", Mode),
    CheckConstraint("amount > 0 AND repaid BETWEEN 0 AND amount", name="amount"),
    CheckConstraint(
        "(kind IN ('top_up', 'bank_arrival')) = (bank_reference IS NOT NULL)"
        " AND (kind = 'bank_arrival') = (merchant_id IS NULL)",
        name="whose",
    ),
    UniqueConstraint("mode", "bank_reference", name="uq_account_entry_bank_reference"),
    Index("ix_account_entry_mode", "mode", "created_at", "id"),
    Index("ix_account_entry_merchant", "merchant_id", "mode", "created_at", "id"),
)

ledger_closing = Table(
    "ledger_closing",
    metadata,
    Column("day", Date, primary_key=True),
    of("cut", Xid8()),
    *minors("transfers"),
    of("digest", LargeBinary()),
    *times("closed_at"),
)

# Of the accounts that moved on the day: the others stand where they stood.
account_closing = Table(
    "account_closing",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True),
    *minors("opening", "debits", "credits", "closing"),
    CheckConstraint("closing = opening + credits - debits", name="adds_up"),
    Index("ix_account_closing_day", "day"),
)
