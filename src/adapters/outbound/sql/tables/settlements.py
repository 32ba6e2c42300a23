"""Settlements, and which transfer of an available balance is inside which."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Mode
from domain.settlements import UNDER_WAY, Rail, SettlementOrigin, SettlementStatus

SETTLEMENT_UNDER_WAY = "status IN ({})".format(", ".join(f"'{status}'" for status in sorted(UNDER_WAY)))
LINE_OPEN = "settlement_id IS NULL"

settlement = Table(
    "settlement",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("merchant_id", "mode", "number", "origin"),
    *minors("swept", "amount", "fee"),
    *texts("currency"),
    *numbers("lines"),
    *times("created_at"),
    *texts("status"),
    of("payee", JSON(), null=True),
    *texts("rail", "source_owner", "source_fund", "approved_by", null=True),
    *times("approved_at", "paid_at", null=True),
    *minors("charge"),
    *texts("reference", "failure", null=True),
    *times("next_at", null=True),
    *numbers("polls", "revision"),
    *texts("confirmation", null=True),
    UniqueConstraint("number", name="uq_settlement_number"),
    one_of("mode", Mode),
    one_of("origin", SettlementOrigin),
    one_of("status", SettlementStatus),
    one_of("rail", Rail),
    CheckConstraint("amount > 0 AND amount <= swept AND fee >= 0 AND fee < amount AND charge >= 0", name="amounts"),
    CheckConstraint(
        "num_nulls(payee, rail, source_owner, source_fund, approved_by, approved_at)"
        " = CASE WHEN status IN ('created', 'rejected') THEN 6 ELSE 0 END",
        name="approved",
    ),
    Index("ix_settlement_list", "merchant_id", "mode", "created_at", "id"),
    Index("ix_settlement_mode", "mode", "created_at", "id"),
    Index("ix_settlement_status", "mode", "status", "created_at", "id"),
    Index("ix_settlement_merchant_status", "merchant_id", "mode", "status", "created_at", "id"),
    Index("ix_settlement_due", "next_at", postgresql_where=text(SETTLEMENT_UNDER_WAY)),
)

# One row a transfer that moves an available balance, signed, written with it. Inside one settlement or in none yet;
# the latter add up to the balance. Deferred: a settlement is written after what it sweeps, whose sum it is.
settlement_transfer = Table(
    "settlement_transfer",
    metadata,
    Column("idem_key", Text, ForeignKey("transfer.idem_key"), primary_key=True),
    of("account_id", BigInteger()),
    *minors("amount"),
    Column("settlement_id", Text, ForeignKey("settlement.id", deferrable=True, initially="DEFERRED")),
    Index("ix_settlement_transfer_open", "account_id", postgresql_where=text(LINE_OPEN)),
    Index("ix_settlement_transfer_settlement", "settlement_id", postgresql_where=text("settlement_id IS NOT NULL")),
)
