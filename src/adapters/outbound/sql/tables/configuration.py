"""Merchants, their keys, channel accounts and credentials."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.columns import minors, numbers, of, one_of, texts, times
from adapters.outbound.sql.tables.metadata import metadata
from domain.channels import Channel, Method, Mode
from domain.merchants import LatePayment
from domain.payouts import PayeeKind

merchant = Table(
    "merchant",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("name", "short_name"),
    of("contacts", JSON()),
    *texts("late_payment"),
    of("fund_modes", JSON()),
    of("networks", JSON()),
    *numbers("orders_per_minute", null=True),
    *texts("payee_holder", "payee_bank", null=True),
    of("payee_sealed", LargeBinary(), null=True),
    *texts("payee_last4", null=True),
    *times("payee_changed_at", null=True),
    *texts("payee_kind", null=True),
    of("active", Boolean()),
    *times("created_at"),
    one_of("late_payment", LatePayment),
    CheckConstraint("orders_per_minute > 0", name="orders_per_minute"),
    CheckConstraint(
        "num_nulls(payee_holder, payee_bank, payee_sealed, payee_last4, payee_changed_at, payee_kind) IN (0, 6)",
        name="payee",
    ),
    one_of("payee_kind", PayeeKind),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, ForeignKey("merchant.id"), nullable=False),
    *texts("mode"),
    of("digest", LargeBinary()),
    *texts("last4"),
    *times("created_at"),
    *times("expires_at", "revoked_at", null=True),
    *texts("name"),
    of("scopes", JSON(none_as_null=True), null=True),
    *times("last_used_at", null=True),
    UniqueConstraint("digest", name="uq_api_key_digest"),
    one_of("mode", Mode),
    Index("ix_api_key_merchant", "merchant_id"),
)

credential = Table(
    "credential",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("channel", "mode", "app_id"),
    *texts("merchant_id", "provider", null=True),
    of("public", JSON()),
    of("sealed", LargeBinary()),
    *numbers("version"),
    of("fingerprints", JSON()),
    of("previous_public", JSON(none_as_null=True), null=True),
    of("previous_sealed", LargeBinary(), null=True),
    *times("previous_until", null=True),
    one_of("channel", Channel),
    one_of("mode", Mode),
    CheckConstraint("num_nulls(previous_public, previous_sealed, previous_until) IN (0, 3)", name="previous"),
)

channel_account = Table(
    "channel_account",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("channel", "mode"),
    Column("credential_id", Text, ForeignKey("credential.id"), nullable=False),
    *texts("payee"),
    of("methods", JSON()),
    *texts("merchant_id", "sub_app_id", null=True),
    of("sealed", LargeBinary()),
    *numbers("cost_ppm"),
    of("cost_rates", JSON()),
    *numbers("priority"),
    of("enabled", Boolean()),
    one_of("channel", Channel),
    one_of("mode", Mode),
    CheckConstraint("cost_ppm BETWEEN 0 AND 1000000", name="cost_ppm"),
    Index("ix_channel_account_owner", "merchant_id", "mode"),
)

static_code = Table(
    "static_code",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, ForeignKey("merchant.id"), nullable=False),
    *texts("mode", "token", "name"),
    *minors("amount", null=True),
    *minors("most"),
    *texts("currency"),
    of("enabled", Boolean()),
    *times("created_at"),
    UniqueConstraint("token", name="uq_static_code_token"),
    one_of("mode", Mode),
    CheckConstraint("amount > 0 AND amount <= most OR amount IS NULL", name="amount"),
    CheckConstraint("most > 0", name="most"),
    Index("ix_static_code_merchant", "merchant_id", "mode", "created_at", "id"),
)

account_health = Table(
    "account_health",
    metadata,
    Column("account_id", Text, ForeignKey("channel_account.id"), nullable=False),
    *texts("method"),
    *times("since"),
    *numbers("failures", "pauses"),
    *times("paused_until", null=True),
    *texts("reason"),
    PrimaryKeyConstraint("account_id", "method"),
    one_of("method", Method),
)
