"""Merchants' applications to become sub-merchants at a channel."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.applyments import ApplymentStatus
from domain.channels import Mode

applyment = Table(
    "applyment",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, ForeignKey("merchant.id"), nullable=False),
    *texts("mode"),
    Column("credential_id", Text, ForeignKey("credential.id"), nullable=False),
    *texts("code"),
    of("methods", JSON()),
    *times("created_at"),
    of("sealed", LargeBinary()),
    *texts("status"),
    *texts("channel_id", "sub_mchid", "sign_url", null=True),
    of("rejections", JSON()),
    Column("account_id", Text, ForeignKey("channel_account.id")),
    *times("next_at", null=True),
    *numbers("polls"),
    UniqueConstraint("code", name="uq_applyment_code"),
    one_of("mode", Mode),
    one_of("status", ApplymentStatus),
    Index("ix_applyment_merchant", "merchant_id", "id"),
    Index("ix_applyment_due", "next_at"),
)
