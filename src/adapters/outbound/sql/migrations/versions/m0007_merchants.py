"""Merchants with all that is kept of them, products in place of one fee plan each, limits, health of accounts.

What a merchant paid becomes a product with every method at that price, to which it is bound.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0007"
down_revision = "0020"

METHODS = (
    "alipay_qr", "alipay_page", "alipay_wap", "alipay_app", "alipay_jsapi", "alipay_barcode",
    "wechat_native", "wechat_jsapi", "wechat_miniprogram", "wechat_h5", "wechat_app", "wechat_barcode",
)  # fmt: skip
_METHOD = "method IN ({})".format(", ".join(f"'{method}'" for method in METHODS))
EARLIER_RIGHTS = {
    "merchant": "SELECT, INSERT, UPDATE (name, fee_ppm, fee_minimum, fee_maximum, late_payment, active)",
    "credential": "SELECT, INSERT, UPDATE (app_id, merchant_id, provider, public, sealed, version)",
    "channel_account": "SELECT, INSERT, UPDATE (credential_id, methods, sub_app_id, sealed, cost_ppm, priority,"
    " enabled)",
}
RIGHTS = {
    "merchant": "SELECT, INSERT, UPDATE (name, short_name, contacts, late_payment, fund_modes, networks,"
    " orders_per_minute, payee_holder, payee_bank, payee_sealed, payee_last4, payee_changed_at, active)",
    "credential": "SELECT, INSERT, UPDATE (app_id, merchant_id, provider, public, sealed, version, fingerprints,"
    " previous_public, previous_sealed, previous_until)",
    "channel_account": "SELECT, INSERT, UPDATE (credential_id, methods, sub_app_id, sealed, cost_ppm, cost_rates,"
    " priority, enabled)",
    "account_health": "SELECT, INSERT, UPDATE",
    "product": "SELECT, INSERT, UPDATE (name, listed)",
    "product_version": "SELECT, INSERT",
    "product_binding": "SELECT, INSERT",
    "rate_override": "SELECT, INSERT",
    "method_limit": "SELECT, INSERT, UPDATE",
    "daily_amount": "SELECT, INSERT, UPDATE (amount)",
}


def upgrade() -> None:
    _products()
    _merchants()
    _limits()
    _accounts()
    op.add_column("attempt", sa.Column("counted_on", sa.Date(), nullable=True))
    grant(RIGHTS)


def _products() -> None:
    op.create_table(
        "product",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
    )
    op.create_table(
        "product_version",
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("plans", JSON(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_product_version_product_id")),
        sa.PrimaryKeyConstraint("product_id", "n", name=op.f("pk_product_version")),
    )
    op.create_table(
        "product_binding",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_product_binding_merchant_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_product_binding_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_binding")),
    )
    op.create_index("ix_product_binding_merchant", "product_binding", ["merchant_id"], unique=False)
    op.create_table(
        "rate_override",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("plan", JSON(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(_METHOD, name=op.f("ck_rate_override_method")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_rate_override_merchant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_override")),
    )
    op.create_index("ix_rate_override_merchant", "rate_override", ["merchant_id"], unique=False)
    _convert()


def _convert() -> None:
    """One product for each price that merchants have; made-up ids have the form of real ones."""
    new_id = "lpad(upper(substr(md5(random()::text || clock_timestamp()::text), 1, 25)), 26, '0')"
    plans = ", ".join(
        f"'{method}', json_build_object('ppm', ppm, 'minimum', low, 'maximum', high)" for method in METHODS
    )
    for statement in (
        f"""
        CREATE TEMPORARY TABLE priced ON COMMIT DROP AS
        SELECT 'prd_' || {new_id} AS id, fee_ppm AS ppm, fee_minimum AS low, fee_maximum AS high,
            min(created_at) AS since
        FROM merchant GROUP BY fee_ppm, fee_minimum, fee_maximum
        """,  # noqa: S608  words of our own
        """
        INSERT INTO product (id, name, listed, created_at)
        SELECT id, 'Standard ' || ppm || ' ppm', true, since FROM priced
        """,
        f"""
        INSERT INTO product_version (product_id, n, plans, valid_from, created_at)
        SELECT id, 1, json_build_object({plans}), since, since FROM priced
        """,  # noqa: S608
        f"""
        INSERT INTO product_binding (id, merchant_id, product_id, valid_from, created_at)
        SELECT 'bnd_' || {new_id}, merchant.id, priced.id, created_at, created_at
        FROM merchant JOIN priced ON (ppm, low) = (fee_ppm, fee_minimum) AND high IS NOT DISTINCT FROM fee_maximum
        """,  # noqa: S608
        "DROP TABLE priced",
    ):
        op.execute(statement)


def _merchants() -> None:
    for name in ("fee_ppm", "fee_minimum", "fee_maximum"):
        op.drop_column("merchant", name)
    for column, was in (
        (sa.Column("short_name", sa.Text()), "''"),
        (sa.Column("contacts", JSON()), "'[]'"),
        (sa.Column("fund_modes", JSON()), '\'["collect", "direct"]\''),
        (sa.Column("networks", JSON()), "'[]'"),
    ):
        _add("merchant", column, was)
    op.add_column("merchant", sa.Column("orders_per_minute", sa.Integer(), nullable=True))
    for name in ("payee_holder", "payee_bank", "payee_last4"):
        op.add_column("merchant", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("merchant", sa.Column("payee_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("merchant", sa.Column("payee_changed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f("ck_merchant_orders_per_minute"), "merchant", "orders_per_minute > 0")
    op.create_check_constraint(
        op.f("ck_merchant_payee"),
        "merchant",
        "num_nulls(payee_holder, payee_bank, payee_sealed, payee_last4, payee_changed_at) IN (0, 5)",
    )


def _limits() -> None:
    op.create_table(
        "method_limit",
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("single", sa.BigInteger(), nullable=True),
        sa.Column("daily", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("single > 0 AND daily > 0", name=op.f("ck_method_limit_above_zero")),
        sa.CheckConstraint(_METHOD, name=op.f("ck_method_limit_method")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchant.id"], name=op.f("fk_method_limit_merchant_id")),
        sa.PrimaryKeyConstraint("merchant_id", "method", name=op.f("pk_method_limit")),
    )
    op.create_table(
        "daily_amount",
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_daily_amount_amount")),
        sa.CheckConstraint(_METHOD, name=op.f("ck_daily_amount_method")),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_daily_amount_mode")),
        sa.PrimaryKeyConstraint("merchant_id", "mode", "method", "day", name=op.f("pk_daily_amount")),
    )


def _accounts() -> None:
    _add("channel_account", sa.Column("cost_rates", JSON()), "'{}'")
    _add("credential", sa.Column("fingerprints", JSON()), "'{}'")
    op.add_column("credential", sa.Column("previous_public", JSON(), nullable=True))
    op.add_column("credential", sa.Column("previous_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("credential", sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_credential_previous"),
        "credential",
        "num_nulls(previous_public, previous_sealed, previous_until) IN (0, 3)",
    )
    op.create_table(
        "account_health",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("pauses", sa.Integer(), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(_METHOD, name=op.f("ck_account_health_method")),
        sa.ForeignKeyConstraint(["account_id"], ["channel_account.id"], name=op.f("fk_account_health_account_id")),
        sa.PrimaryKeyConstraint("account_id", "method", name=op.f("pk_account_health")),
    )


def _add(table: str, column: sa.Column[Any], was: str) -> None:
    """A column that every row has from now on; those that stand get ``was``."""
    op.add_column(table, sa.Column(column.name, column.type, server_default=sa.text(was), nullable=False))
    op.alter_column(table, column.name, server_default=None)


def downgrade() -> None:
    op.add_column("merchant", sa.Column("fee_ppm", sa.Integer(), server_default="0", nullable=False))
    op.add_column("merchant", sa.Column("fee_minimum", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("merchant", sa.Column("fee_maximum", sa.BigInteger(), nullable=True))
    op.create_check_constraint(op.f("ck_merchant_fee_ppm"), "merchant", "fee_ppm BETWEEN 0 AND 1000000")
    _convert_back()
    for name in ("fee_ppm", "fee_minimum"):
        op.alter_column("merchant", name, server_default=None)
    op.drop_column("attempt", "counted_on")
    for table in ("daily_amount", "method_limit", "account_health", "rate_override", "product_binding"):
        op.drop_table(table)
    op.drop_table("product_version")
    op.drop_table("product")
    op.drop_constraint(op.f("ck_merchant_payee"), "merchant")
    op.drop_constraint(op.f("ck_merchant_orders_per_minute"), "merchant")
    op.drop_constraint(op.f("ck_credential_previous"), "credential")
    for table, names in {
        "merchant": (
            "short_name", "contacts", "fund_modes", "networks", "orders_per_minute",
            "payee_holder", "payee_bank", "payee_sealed", "payee_last4", "payee_changed_at",
        ),
        "channel_account": ("cost_rates",),
        "credential": ("fingerprints", "previous_public", "previous_sealed", "previous_until"),
    }.items():  # fmt: skip
        for name in names:
            op.drop_column(table, name)
    grant(EARLIER_RIGHTS)


def _convert_back() -> None:
    """One price a merchant is all that the earlier version can hold: that of the first method of its product."""
    op.execute(
        """
        UPDATE merchant SET fee_ppm = (plan->>'ppm')::int, fee_minimum = (plan->>'minimum')::bigint,
            fee_maximum = (plan->>'maximum')::bigint
        FROM (
            SELECT DISTINCT ON (binding.merchant_id) binding.merchant_id, each.value AS plan
            FROM product_binding binding
            JOIN product_version version USING (product_id)
            CROSS JOIN json_each(version.plans) each
            WHERE binding.valid_from <= now() AND version.valid_from <= now()
            ORDER BY binding.merchant_id, binding.valid_from DESC, binding.id DESC, version.valid_from DESC,
                version.n DESC, each.key
        ) priced
        WHERE priced.merchant_id = merchant.id
        """
    )
