"""The ledger: accounts, transfers, guards."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Table,
    UniqueConstraint,
    text,
)

from adapters.outbound.sql.columns import Xid8, minors, of, one_of, texts
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Mode
from domain.ledger import AccountKind

ledger_account = Table(
    "ledger_account",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    *texts("kind", "owner", "fund", "mode", "currency"),
    UniqueConstraint("kind", "owner", "fund", "mode", "currency", name="uq_ledger_account_identity"),
    one_of("kind", AccountKind),
    one_of("mode", Mode),
)

# No foreign key to ledger_account, on purpose: it would lock the platform's rows in every payment.
transfer = Table(
    "transfer",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    *texts("idem_key", "fact"),
    *minors("debit_account", "credit_account", "amount"),
    *texts("currency", "mode", "about"),
    of("channel_date", Date()),
    Column(
        "posting_date", Date, nullable=False, server_default=text("((now() AT TIME ZONE 'Asia/Shanghai'::text))::date")
    ),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    UniqueConstraint("idem_key", name="uq_transfer_idem_key"),
    one_of("mode", Mode),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("debit_account <> credit_account", name="two_ends"),
    Index("ix_transfer_debit", "debit_account", "xid", "id"),
    Index("ix_transfer_credit", "credit_account", "xid", "id"),
    Index("ix_transfer_cursor", "xid", "id"),
    Index("ix_transfer_about", "about", "id"),
    Index("ix_transfer_posted", "posting_date", postgresql_using="brin"),
    Index("ix_transfer_created", "created_at", postgresql_using="brin"),
)

account_guard = Table(
    "account_guard", metadata, Column("account_id", BigInteger, primary_key=True, autoincrement=False)
)
