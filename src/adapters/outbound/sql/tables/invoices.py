"""Invoices for service fees due."""

from sqlalchemy import CheckConstraint, Column, Date, Index, Table, Text, UniqueConstraint

from adapters.outbound.sql.columns import minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Mode
from domain.invoices import InvoiceStatus

invoice = Table(
    "invoice",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("merchant_id", "mode"),
    of("month", Date()),
    *minors("amount"),
    *texts("currency"),
    *times("created_at"),
    *texts("status"),
    *texts("account_id", "reference", null=True),
    *times("settled_at", null=True),
    *numbers("revision"),
    UniqueConstraint("merchant_id", "mode", "month", name="uq_invoice_month"),
    one_of("mode", Mode),
    one_of("status", InvoiceStatus),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("(status = 'issued') = (settled_at IS NULL)", name="settled"),
    Index("ix_invoice_of_month", "month"),
)
