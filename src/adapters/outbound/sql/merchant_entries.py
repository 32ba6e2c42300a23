"""What moved in a merchant's accounts on a day, told in the words of its statement: each text is one statement.

Raw SQL: a long report is said more clearly so than through an expression tree. ``created_at`` and ``posting_date`` are
of one moment, and the block index of the first finds the rows of the second.
"""

from adapters.outbound.sql.balances import BEHIND
from adapters.outbound.sql.statements import Statement
from domain.merchant_statements import BALANCES, OWED
from domain.money import CNY

_KINDS = ", ".join(f"'{kind}'" for kind in BALANCES.values())
_SUMS = ",\n           ".join(
    f"{'-' if kind in OWED else ''}coalesce(sum(moved) FILTER (WHERE kind = '{kind}'), 0)::bigint AS {name}"
    for name, kind in BALANCES.items()
)
_NAMES = ", ".join(BALANCES)
_BEGUN = "t.created_at >= ($3::date)::timestamp AT TIME ZONE 'Asia/Shanghai'"
_SINCE = f"t.posting_date >= $3 AND {_BEGUN}"
_ON = f"""t.posting_date = $3 AND {_BEGUN}
           AND t.created_at < ($3::date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'"""


def _moves(when: str) -> str:
    """Each end of each transfer that is one of the merchant's accounts, with what it did to it."""
    columns = "t.id, t.about, t.fact, t.created_at, t.channel_date, m.kind"
    return f"""
        SELECT {columns}, -t.amount AS moved FROM mine m JOIN transfer t ON t.debit_account = m.id WHERE {when}
        UNION ALL
        SELECT {columns}, t.amount FROM mine m JOIN transfer t ON t.credit_account = m.id WHERE {when}"""  # noqa: S608


_TOLD = f"""
    WITH mine AS (
        SELECT id, kind FROM ledger_account
         WHERE owner = $1 AND mode = $2 AND currency = '{CNY}' AND kind IN ({_KINDS})
    ), facts AS (
        SELECT about, fact, min(id) AS place, min(created_at) AS at, min(channel_date) AS channel_date,
           {_SUMS}
          FROM ({_moves(_ON)}) AS moves GROUP BY about, fact
    ), told AS (
        SELECT f.*, r.merchant_refund_no, r.debit, r.share, i.amount AS item_amount, i.fee AS item_fee,
               p.received, p.fee AS payment_fee, p.fund_mode, p.paid_at, r.accepted_at, r.channel_id,
               p.transaction_id AS payment_transaction, p.account_id, o.id AS order_id, o.merchant_order_no,
               coalesce(a.method, '') AS method, r.id AS refund_id
          FROM facts f
          LEFT JOIN refund r ON r.id = f.about
          LEFT JOIN suspense_item i ON i.id = f.about
          LEFT JOIN channel_payment p ON p.id = coalesce(r.payment_id, i.payment_id, f.about)
          LEFT JOIN payment_order o ON o.id = coalesce(r.order_id, i.order_id, p.order_id)
          LEFT JOIN attempt a ON a.id = p.attempt_id
    )"""  # noqa: S608 - texts of our own

# What stood there before the day: the balances as they are now (snapshot and tail, see balances.py), less everything
# since. So what is long past is not added up again, and one statement sees it all at one moment.
_BEFORE = f"""
        SELECT m.kind, s.balance AS moved FROM mine m JOIN balance_snapshot s ON s.account_id = m.id
        UNION ALL
        SELECT kind, moved FROM ({_moves(BEHIND)}) AS tail
        UNION ALL
        SELECT kind, -moved FROM ({_moves(_SINCE)}) AS since"""  # noqa: S608 - texts of our own

# Where the channel moves the money of a payment or a refund, the line says how much, and what part of it is our fee.
# In a merchant's own account an item is the merchant's from the moment it came, and is not paid again when attributed.
ENTRIES = Statement(
    f"""{_TOLD}
    SELECT 0::bigint AS place, 'opening' AS type, NULL::timestamptz AS at, '' AS object_id, '' AS order_id,
           '' AS merchant_order_no, '' AS merchant_refund_no, '' AS method, '' AS transaction_id,
           NULL::timestamptz AS channel_time, NULL::bigint AS amount, NULL::bigint AS fee, '' AS account_id,
           NULL::date AS channel_date,
           {_SUMS}
      FROM ({_BEFORE}) AS moves
    UNION ALL
    SELECT place, fact, at, about, coalesce(order_id, ''), coalesce(merchant_order_no, ''),
           coalesce(merchant_refund_no, ''), method,
           coalesce(CASE WHEN refund_id IS NULL THEN payment_transaction ELSE channel_id END, ''),
           CASE WHEN refund_id IS NULL THEN paid_at ELSE accepted_at END,
           CASE WHEN fact IN ('payment', 'payment_held') THEN received
                WHEN fact = 'payment_reversed' THEN -received
                WHEN fact = 'item_attributed' THEN CASE fund_mode WHEN 'direct' THEN 0 ELSE item_amount END
                WHEN fact IN ('refund_accepted', 'refund_unasked') THEN -debit
                WHEN fact = 'refund_closed' THEN debit END,
           CASE WHEN fact = 'payment' THEN payment_fee
                WHEN fact IN ('payment_held', 'payment_reversed') THEN 0
                WHEN fact = 'item_attributed' THEN item_fee
                WHEN fact IN ('refund_accepted', 'refund_unasked') THEN -share
                WHEN fact = 'refund_closed' THEN share END,
           coalesce(account_id, ''), channel_date, {_NAMES}
      FROM told
     ORDER BY place
    """,  # noqa: S608
    ("merchant_id", "mode", "day"),
    {},
)

WAITS_FOR = Statement(
    f"""{_TOLD}
    SELECT count(DISTINCT (t.account_id, t.channel_date)) AS days
      FROM told t LEFT JOIN statement_day d ON d.account_id = t.account_id AND d.day = t.channel_date
     WHERE t.account_id IS NOT NULL AND d.status IS DISTINCT FROM 'closed'
    """,  # noqa: S608
    ("merchant_id", "mode", "day"),
    {},
)

# From the newest day that is known on: it is looked at again, for somebody may have been new on it.
NEW_DAYS = Statement(
    f"""
    WITH since AS (
        SELECT coalesce(
            greatest((SELECT max(day) FROM merchant_statement), (SELECT max(day) FROM merchant_statement_due)),
            (SELECT (created_at AT TIME ZONE 'Asia/Shanghai')::date FROM transfer ORDER BY id LIMIT 1)
        ) AS day
    ), posted AS (
        SELECT t.debit_account, t.credit_account, t.posting_date FROM since, transfer t
         WHERE t.posting_date BETWEEN since.day AND $1
           AND t.created_at >= since.day::timestamp AT TIME ZONE 'Asia/Shanghai'
    ), moved AS (
        SELECT debit_account AS account, posting_date FROM posted
        UNION SELECT credit_account, posting_date FROM posted
    )
    SELECT DISTINCT a.owner AS merchant_id, a.mode, m.posting_date AS day
      FROM moved m JOIN ledger_account a ON a.id = m.account AND a.kind IN ({_KINDS})
     WHERE NOT EXISTS (SELECT FROM merchant_statement s
                        WHERE s.merchant_id = a.owner AND s.mode = a.mode AND s.day = m.posting_date)
       AND NOT EXISTS (SELECT FROM merchant_statement_due s
                        WHERE s.merchant_id = a.owner AND s.mode = a.mode AND s.day = m.posting_date)
     ORDER BY day, merchant_id, mode
    """,  # noqa: S608
    ("until",),
    {},
)
