"""Profit sharing: receivers, shares and returns; orders are marked for it, and refunds wait for what comes back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from adapters.outbound.sql.migrations.rights import grant

revision = "0036"
down_revision = "0049"

RIGHTS = {
    "receiver": "SELECT, INSERT, UPDATE (status, failure, next_at, polls, revision)",
    "share": "SELECT, INSERT, UPDATE (parts, status, channel_id, failure, finished_at, next_at, polls, revision)",
    "share_return": "SELECT, INSERT, UPDATE (status, failure, returned_at, revision)",
}
_KINDS = "kind IN ('wechat_merchant', 'wechat_openid', 'alipay_user', 'alipay_login')"
_MODES = "mode IN ('live', 'test')"
_REFUNDS = (
    "'requested', 'awaiting_approval', 'rejected', 'returning_shares', 'submitted', 'unknown',"
    " 'awaiting_channel_funds', 'accepted', 'abnormal', 'succeeded', 'failed'"
)
_PURSUED = "'abnormal', 'accepted', 'awaiting_channel_funds', 'requested', 'returning_shares', 'submitted', 'unknown'"


def upgrade() -> None:
    op.add_column("payment_order", sa.Column("profit_sharing", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.alter_column("payment_order", "profit_sharing", server_default=None)
    _refund_states(_REFUNDS, _PURSUED)
    _receiver()
    _share()
    _share_return()
    grant(RIGHTS)


def _refund_states(states: str, pursued: str) -> None:
    op.drop_constraint(op.f("ck_refund_status"), "refund", type_="check")
    op.create_check_constraint(op.f("ck_refund_status"), "refund", f"status IN ({states})")
    op.drop_index("ix_refund_due", "refund")
    op.create_index("ix_refund_due", "refund", ["next_at"], postgresql_where=sa.text(f"status IN ({pursued})"))


def _receiver() -> None:
    op.create_table(
        "receiver",
        sa.Column("id", sa.Text(), nullable=False),
        *_texts("merchant_id", "mode", "channel", "number", "account_id", "kind", "account", "name", "relation"),
        *_texts("platform_account_id", null=True),
        *_times("created_at"),
        *_texts("status"),
        *_texts("failure", null=True),
        *_times("next_at", null=True),
        *_numbers("polls", "revision"),
        sa.CheckConstraint(_MODES, name=op.f("ck_receiver_mode")),
        sa.CheckConstraint("channel IN ('alipay', 'wechat')", name=op.f("ck_receiver_channel")),
        sa.CheckConstraint(_KINDS, name=op.f("ck_receiver_kind")),
        sa.CheckConstraint(
            "relation IN ('service_provider', 'store', 'staff', 'store_owner', 'partner', 'headquarter', 'brand',"
            " 'distributor', 'user', 'supplier')",
            name=op.f("ck_receiver_relation"),
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'rejected', 'adding', 'active', 'refused', 'removing', 'removed')",
            name=op.f("ck_receiver_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receiver")),
    )
    op.create_index("ix_receiver_merchant", "receiver", ["merchant_id", "mode", "id"])
    op.create_index(
        "ix_receiver_due", "receiver", ["next_at"], postgresql_where=sa.text("status IN ('adding', 'removing')")
    )
    op.create_index(
        "uq_receiver_account",
        "receiver",
        ["account_id", "kind", "account"],
        unique=True,
        postgresql_where=sa.text("status NOT IN ('refused', 'rejected', 'removed')"),
    )


def _share() -> None:
    op.create_table(
        "share",
        sa.Column("id", sa.Text(), nullable=False),
        *_texts("order_id", "payment_id", "merchant_id", "mode", "account_id", "number", "transaction_id", "currency"),
        sa.Column("ends", sa.Boolean(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        *_times("created_at"),
        sa.Column("parts", JSON(), nullable=False),
        *_texts("merchant_share_no", "notify_url", null=True),
        *_texts("status"),
        *_texts("channel_id", "failure", null=True),
        *_times("finished_at", "next_at", null=True),
        *_numbers("polls", "revision"),
        sa.CheckConstraint(_MODES, name=op.f("ck_share_mode")),
        sa.CheckConstraint(
            "status IN ('planned', 'created', 'submitted', 'unknown', 'processing', 'finished', 'failed')",
            name=op.f("ck_share_status"),
        ),
        sa.CheckConstraint(
            "ends = (merchant_share_no IS NULL) AND ends = (amount = 0) AND amount >= 0", name=op.f("ck_share_kind")
        ),
        sa.CheckConstraint("(status = 'finished') = (finished_at IS NOT NULL)", name=op.f("ck_share_finished")),
        sa.ForeignKeyConstraint(["order_id"], ["payment_order.id"], name=op.f("fk_share_order_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["channel_payment.id"], name=op.f("fk_share_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share")),
        sa.UniqueConstraint("merchant_id", "mode", "merchant_share_no", name="uq_share_merchant_share_no"),
        sa.UniqueConstraint("account_id", "number", name="uq_share_number"),
    )
    op.create_index("ix_share_order", "share", ["order_id", "id"])
    op.create_index(
        "ix_share_due",
        "share",
        ["next_at"],
        postgresql_where=sa.text("status IN ('created', 'planned', 'processing', 'submitted', 'unknown')"),
    )
    op.create_index("uq_share_end", "share", ["order_id"], unique=True, postgresql_where=sa.text("ends"))


def _share_return() -> None:
    op.create_table(
        "share_return",
        sa.Column("id", sa.Text(), nullable=False),
        *_texts("share_id", "refund_id", "order_id", "merchant_id", "mode", "account_id", "number", "share_number"),
        *_texts("kind", "account"),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("from_fee", sa.BigInteger(), nullable=False),
        *_texts("currency"),
        *_texts("platform_account_id", null=True),
        sa.Column("with_refund", sa.Boolean(), nullable=False),
        *_times("created_at"),
        *_texts("status"),
        *_texts("failure", null=True),
        *_times("returned_at", null=True),
        *_numbers("revision"),
        sa.CheckConstraint(_MODES, name=op.f("ck_share_return_mode")),
        sa.CheckConstraint(_KINDS, name=op.f("ck_share_return_kind")),
        sa.CheckConstraint(
            "status IN ('requested', 'submitted', 'unknown', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_share_return_status"),
        ),
        sa.CheckConstraint("amount > 0 AND from_fee >= 0 AND from_fee <= amount", name=op.f("ck_share_return_amounts")),
        sa.CheckConstraint("(status = 'succeeded') = (returned_at IS NOT NULL)", name=op.f("ck_share_return_returned")),
        sa.ForeignKeyConstraint(["share_id"], ["share.id"], name=op.f("fk_share_return_share_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_share_return_refund_id")),
        sa.ForeignKeyConstraint(["order_id"], ["payment_order.id"], name=op.f("fk_share_return_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_return")),
        sa.UniqueConstraint("account_id", "number", name="uq_share_return_number"),
    )
    op.create_index("ix_share_return_order", "share_return", ["order_id", "id"])
    op.create_index("ix_share_return_refund", "share_return", ["refund_id", "id"])


def downgrade() -> None:
    op.drop_table("share_return")
    op.drop_table("share")
    op.drop_table("receiver")
    _refund_states(_REFUNDS.replace(" 'returning_shares',", ""), _PURSUED.replace(" 'returning_shares',", ""))
    op.drop_column("payment_order", "profit_sharing")


def _texts(*names: str, null: bool = False) -> list["sa.Column[str]"]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def _numbers(*names: str) -> list["sa.Column[int]"]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _times(*names: str, null: bool = False) -> list["sa.Column[object]"]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=null) for name in names]
