"""Payees at channels, and what a payee is handed to confirm a payout."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant_besides

revision = "0033"
down_revision = "0042"

RIGHTS = {"merchant": "UPDATE (payee_kind)", "settlement": "UPDATE (confirmation)"}
_PARTS = "payee_holder, payee_bank, payee_sealed, payee_last4, payee_changed_at"
_KINDS = "payee_kind IN ('bank', 'alipay_user', 'alipay_login', 'alipay_open', 'wechat_openid')"


def upgrade() -> None:
    op.add_column("merchant", sa.Column("payee_kind", sa.Text(), nullable=True))
    op.execute("UPDATE merchant SET payee_kind = 'bank' WHERE payee_holder IS NOT NULL")
    op.drop_constraint(op.f("ck_merchant_payee"), "merchant")
    op.create_check_constraint(op.f("ck_merchant_payee"), "merchant", f"num_nulls({_PARTS}, payee_kind) IN (0, 6)")
    op.create_check_constraint(op.f("ck_merchant_payee_kind"), "merchant", _KINDS)
    op.add_column("settlement", sa.Column("confirmation", sa.Text(), nullable=True))
    grant_besides(RIGHTS)


def downgrade() -> None:
    op.drop_column("settlement", "confirmation")
    op.drop_constraint(op.f("ck_merchant_payee_kind"), "merchant")
    op.drop_constraint(op.f("ck_merchant_payee"), "merchant")
    op.drop_column("merchant", "payee_kind")
    op.create_check_constraint(op.f("ck_merchant_payee"), "merchant", f"num_nulls({_PARTS}) IN (0, 5)")
