"""Lines of statements have two indexes instead of four: they are written a million at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0048"

_KEYS = {"statement_line": ["account_id", "day", "n"], "fund_line": ["account_id", "day", "fund", "n"]}


def upgrade() -> None:
    for table, key in _KEYS.items():
        op.drop_index(f"ix_{table}_file", table)
        op.drop_index(f"ix_{table}_day", table)
        op.drop_column(table, "id")
        op.create_primary_key(op.f(f"pk_{table}"), table, key)


def downgrade() -> None:
    for table in _KEYS:
        op.drop_constraint(op.f(f"pk_{table}"), table)
        op.add_column(table, sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False))
        op.create_primary_key(op.f(f"pk_{table}"), table, ["id"])
        op.create_index(f"ix_{table}_day", table, ["account_id", "day"])
        op.create_index(f"ix_{table}_file", table, ["file_id", "n"])
