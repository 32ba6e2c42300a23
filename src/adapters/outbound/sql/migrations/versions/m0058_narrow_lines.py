"""Lines of trade bills know their day by its number, and what is usual of them is NULL: less than half as wide."""

import sqlalchemy as sa
from alembic import op

from adapters.outbound.sql.migrations.rights import grant

revision = "0058"
down_revision = "0057"

RIGHTS = {"statement_line": "SELECT, INSERT, DELETE"}


def upgrade() -> None:
    op.add_column("statement_day", sa.Column("number", sa.Integer(), sa.Identity(always=True), nullable=False))
    op.create_unique_constraint("uq_statement_day_number", "statement_day", ["number"])
    _replaced(
        [
            sa.Column("day_number", sa.Integer(), nullable=False),
            sa.Column("n", sa.Integer(), nullable=False),
            sa.Column("received", sa.BigInteger(), nullable=False),
            sa.Column("fee", sa.BigInteger(), nullable=False),
            sa.Column("second", sa.Integer(), nullable=False),
            *(sa.Column(name, sa.Text(), nullable=False) for name in ("key", "transaction_id", "method")),
            sa.Column("total", sa.BigInteger()),
            *(sa.Column(name, sa.Text()) for name in ("kind", "number", "payment_number", "currency", "status")),
            sa.PrimaryKeyConstraint("day_number", "n", name=op.f("pk_statement_line")),
        ],
        """
        SELECT d.number, l.n, l.received, l.fee,
               round(extract(epoch FROM l.at - l.day::timestamp AT TIME ZONE 'Asia/Shanghai')), l.key, l.transaction_id,
               l.method, nullif(l.total, l.received), nullif(l.kind, 'payment'), nullif(l.number, l.key),
               nullif(l.payment_number, l.key), nullif(l.currency, 'CNY'), nullif(l.status, 'succeeded')
          FROM statement_line_before l JOIN statement_day d USING (account_id, day)
        """,
    )


def downgrade() -> None:
    _replaced(
        [
            *(sa.Column(name, sa.Text(), nullable=False) for name in ("file_id", "account_id")),
            sa.Column("day", sa.Date(), nullable=False),
            sa.Column("n", sa.Integer(), nullable=False),
            *(
                sa.Column(name, sa.Text(), nullable=False)
                for name in ("kind", "key", "number", "payment_number", "transaction_id")
            ),
            *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("total", "received")),
            sa.Column("currency", sa.Text(), nullable=False),
            sa.Column("fee", sa.BigInteger(), nullable=False),
            sa.Column("status", sa.Text(), nullable=False),
            sa.Column("at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("method", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("account_id", "day", "n", name=op.f("pk_statement_line")),
        ],
        """
        SELECT coalesce(f.id, ''), d.account_id, d.day, l.n, coalesce(l.kind, 'payment'), l.key,
               coalesce(l.number, l.key), coalesce(l.payment_number, l.key), l.transaction_id,
               coalesce(l.total, l.received), l.received, coalesce(l.currency, 'CNY'), l.fee,
               coalesce(l.status, 'succeeded'),
               (d.day::timestamp AT TIME ZONE 'Asia/Shanghai') + l.second * interval '1 second', l.method
          FROM statement_line_before l JOIN statement_day d ON d.number = l.day_number
          LEFT JOIN statement_file f ON f.account_id = d.account_id AND f.day = d.day AND f.kind = 'trade'
                                    AND f.sha256 = d.files->>'trade'
        """,
    )
    op.drop_constraint("uq_statement_day_number", "statement_day")
    op.drop_column("statement_day", "number")


def _replaced(columns: list[sa.schema.SchemaItem], lines: str) -> None:
    """The table anew, in these columns and with these lines. Not renamed: its constraints would keep their names."""
    op.execute("CREATE TABLE statement_line_before AS TABLE statement_line")
    op.drop_table("statement_line")
    op.create_table(
        "statement_line",
        *columns,
        sa.CheckConstraint("kind IN ('payment', 'refund')", name=op.f("ck_statement_line_kind")),
        sa.CheckConstraint("status IN ('succeeded', 'failed', 'reversed')", name=op.f("ck_statement_line_status")),
    )
    op.execute(f"INSERT INTO statement_line {lines}")
    op.create_index("ix_statement_line_key", "statement_line", ["key"])
    op.drop_table("statement_line_before")
    grant(RIGHTS)
