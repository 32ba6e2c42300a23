"""The comparison of statements, as set operations over a day: each text is one statement.

Raw SQL: sets of a million rows are said more clearly so than through an expression tree. No line is joined with another
row: the lines have just come and nobody has counted them, so a planner would take them for few and loop over them. Our
own records it has counted, and it looks attempts up one by one or all at once as the day's payments are few or many.
"""

from adapters.outbound.sql.statements import Statement


def _cost(rate: str) -> str:
    """The fee that we expect of a payment p at this frozen rate, or else at its account's c: half up."""
    return f"(2 * p.received * coalesce({rate}, c.cost_ppm) + 1000000) / 2000000"


def _recorded(payments: str, refunds: str, reversals: str) -> str:
    """What we recorded, in the words of a bill's line, under a condition for each kind. A payment that was undone is a
    refund of its own number, on the day on which that was booked.

    The expected fee of a payment is the frozen cost rate of what was received, half up (BOOKS.md, Fees). With a
    refund the channel gives the same share of it back; like our own, the shares of many refunds add up to the fee.
    Refunds and reversals are few: each looks up what it needs (OFFSET 0 keeps it so), where a join would go through all
    payments, attempts and transfers that there are.
    """
    return f"""
    SELECT p.id, 'payment' AS kind, p.number AS key, p.transaction_id, p.account_id, p.received, p.currency,
           {_cost("a.cost_ppm")} AS fee,
           'succeeded' AS status, (p.paid_at AT TIME ZONE 'Asia/Shanghai')::date AS day
      FROM channel_payment p
      JOIN channel_account c ON c.id = p.account_id
      LEFT JOIN attempt a ON a.id = p.attempt_id
     WHERE {payments}
    UNION ALL
    SELECT r.id, 'refund', r.number,
           CASE c.channel WHEN 'alipay' THEN p.transaction_id ELSE coalesce(r.channel_id, r.number) END,
           r.account_id, r.debit, r.currency,
           CASE WHEN p.received = 0 THEN 0
                ELSE (2 * cost.fee * before.debit + p.received) / (2 * p.received)
                   - (2 * cost.fee * (before.debit + r.debit) + p.received) / (2 * p.received) END,
           CASE r.status WHEN 'failed' THEN 'failed' ELSE 'succeeded' END,
           (r.accepted_at AT TIME ZONE 'Asia/Shanghai')::date
      FROM refund r
      JOIN channel_account c ON c.id = r.account_id,
           LATERAL (SELECT p.transaction_id, p.received,
                           (SELECT a.cost_ppm FROM attempt a WHERE a.id = p.attempt_id) AS cost_ppm
                      FROM channel_payment p WHERE p.id = r.payment_id OFFSET 0) p,
           LATERAL (SELECT {_cost("p.cost_ppm")} AS fee) cost,
           LATERAL (SELECT coalesce(sum(x.debit), 0)::bigint AS debit FROM refund x
                     WHERE x.payment_id = r.payment_id AND (x.accepted_at, x.id) < (r.accepted_at, r.id)) before
     WHERE r.accepted_at IS NOT NULL AND {refunds}
    UNION ALL
    SELECT p.id, 'refund', p.number, p.transaction_id, p.account_id, p.received, p.currency,
           -{_cost("(SELECT a.cost_ppm FROM attempt a WHERE a.id = p.attempt_id)")},
           'reversed', t.channel_date
      FROM channel_payment p
      JOIN channel_account c ON c.id = p.account_id,
           LATERAL (SELECT channel_date FROM transfer
                     WHERE idem_key = 'payment:' || p.account_id || ':' || p.transaction_id || ':reversed' OFFSET 0) t
     WHERE p.unattributed = 'reversed' AND {reversals}
    """  # noqa: S608 - texts of our own


def _within(at: str, before: int = 0) -> str:
    """On the day $2, or so many before, so that an index by time serves."""
    start, end = f"($2::date - {before})::timestamp", f"($2::date - {before} + 1)::timestamp"
    return f"{at} >= {start} AT TIME ZONE 'Asia/Shanghai' AND {at} < {end} AT TIME ZONE 'Asia/Shanghai'"


_RECORDED_THEN = _recorded(
    f"p.account_id = $1 AND {_within('p.paid_at')}",
    f"r.account_id = $1 AND {_within('r.accepted_at')}",
    f"p.account_id = $1 AND ({_within('p.paid_at')} OR {_within('p.paid_at', 1)}) AND t.channel_date = $2",
)
# Columns of a line with what is usual of them said (tables/statements.py).
_COMPARED = """coalesce(l.kind, 'payment') AS kind, l.key, coalesce(l.number, l.key) AS number,
           coalesce(l.payment_number, l.key) AS payment_number, l.transaction_id, l.received,
           coalesce(l.currency, 'CNY') AS currency, l.fee, coalesce(l.status, 'succeeded') AS status"""
SAID = f"""
    SELECT d.account_id, d.day, l.n, {_COMPARED}, coalesce(l.total, l.received) AS total,
           (d.day::timestamp AT TIME ZONE 'Asia/Shanghai') + l.second * interval '1 second' AS at, l.method
      FROM statement_line l JOIN statement_day d ON d.number = l.day_number
"""  # noqa: S608 - texts of our own
# Of one day, what is compared. The number of the day is known before the plan begins.
_OF_DAY = f"""
    SELECT {_COMPARED}
      FROM statement_line l
     WHERE l.day_number = (SELECT number FROM statement_day WHERE account_id = $1 AND day = $2)
"""  # noqa: S608
_OURS_BY_SCHEME = "(NOT $3::boolean OR t.number LIKE 'PTY%' OR t.payment_number LIKE 'PTY%')"

COSTS = Statement(
    "SELECT current_setting('work_mem') AS memory, current_setting('parallel_tuple_cost') AS handing_over", (), {}
)
SPEND = Statement(
    "SELECT set_config('work_mem', $1, true), set_config('parallel_tuple_cost', $2, true)",
    ("memory", "handing_over"),
    {},
)

SPANS = Statement(
    """
    SELECT c.id AS account_id, c.mode, (f.paid_at AT TIME ZONE 'Asia/Shanghai')::date AS first_money,
           (SELECT max(day) FROM statement_day d WHERE d.account_id = c.id) AS last_opened,
           (SELECT max(day) FROM statement_day d
             WHERE d.account_id = c.id AND d.status NOT IN ('awaiting_bill', 'fetch_failed')) AS last_read
      FROM channel_account c,
           LATERAL (SELECT paid_at FROM channel_payment p WHERE p.account_id = c.id ORDER BY paid_at LIMIT 1) f
     WHERE $1::text IS NULL OR c.id = $1
     ORDER BY c.id
    """,
    ("account_id",),
    {},
)

COUNTS = Statement(
    f"""
    SELECT count(*) FILTER (WHERE ours) AS lines,
           count(*) FILTER (WHERE NOT ours) AS foreign_lines,
           coalesce(sum(fee) FILTER (WHERE ours AND fee > 0 AND moved), 0)::bigint AS fee,
           coalesce(-sum(fee) FILTER (WHERE ours AND fee < 0 AND moved), 0)::bigint AS fee_returned
      FROM (SELECT fee, {_OURS_BY_SCHEME} AS ours,
                   status <> 'failed' OR transaction_id IN (
                       SELECT transaction_id FROM fund_line
                        WHERE account_id = $1 AND day = $2 AND movement = 'refund') AS moved
              FROM ({_OF_DAY}) AS t) AS line
    """,  # noqa: S608 - texts of our own
    ("account_id", "day", "ours_only"),
    {},
)

# One pass over both sides: what is told once by each, in all columns alike, is an equal pair.
KEYS = Statement(
    f"""
    SELECT DISTINCT key FROM (
        SELECT key FROM (
            SELECT kind, key, transaction_id, received, currency, fee, status, 1 AS theirs, 0 AS mine
              FROM ({_OF_DAY}) AS t WHERE {_OURS_BY_SCHEME}
            UNION ALL
            SELECT kind, key, transaction_id, received, currency, fee, status, 0, 1 FROM ({_RECORDED_THEN}) AS m
        ) AS sides
         GROUP BY kind, key, transaction_id, received, currency, fee, status
        HAVING sum(theirs) <> 1 OR sum(mine) <> 1
    ) AS unequal
    """,  # noqa: S608
    ("account_id", "day", "ours_only"),
    {},
)

LINES = Statement(
    f"{SAID} WHERE l.key = ANY($1) AND d.account_id = $2"
    " AND d.day BETWEEN $3::date - $4::int AND $3::date + $4::int ORDER BY d.day, l.n",
    ("keys", "account_id", "day", "days"),
    {},
)

ONE_LINE = Statement(f"{SAID} WHERE d.account_id = $1 AND d.day = $2 AND l.n = $3", ("account_id", "day", "n"), {})

# Ours of another account, too: the money may have landed where we did not look for it. What of ours is alone here and
# stands on another account's bill is that account's finding.
OURS = Statement(
    f"""
    SELECT * FROM ({_recorded("p.number = ANY($1)", "r.number = ANY($1)", "p.number = ANY($1)")}) AS m
     WHERE day BETWEEN $3::date - $4::int AND $3::date + $4::int
       AND NOT (
           account_id = $2
           AND EXISTS (SELECT FROM ({SAID}) AS e WHERE e.key = m.key AND e.account_id <> $2)
           AND NOT EXISTS (SELECT FROM ({SAID}) AS l WHERE l.key = m.key AND l.account_id = $2)
       )
     ORDER BY day, id
    """,  # noqa: S608
    ("keys", "account_id", "day", "days"),
    {},
)

MOVED = Statement(
    f"""
    WITH traded AS (
        SELECT transaction_id, max(number) AS number, bool_and(status = 'failed') AS nothing,
               coalesce(sum(CASE kind WHEN 'payment' THEN received ELSE -received END - fee)
                        FILTER (WHERE status <> 'failed'), 0)::bigint AS traded,
               sum(CASE kind WHEN 'payment' THEN received ELSE -received END - fee)::bigint AS taken
          FROM ({_OF_DAY}) AS l GROUP BY transaction_id
    ), moved AS (
        SELECT transaction_id, max(number) AS number, sum(amount)::bigint AS moved
          FROM fund_line
         WHERE account_id = $1 AND day = $2
           AND movement IN ('payment', 'refund', 'fee', 'fee_returned')
         GROUP BY transaction_id
    )
    SELECT transaction_id, coalesce(nullif(traded.number, ''), moved.number, '') AS number, traded, moved
      FROM traded FULL JOIN moved USING (transaction_id)
     WHERE traded IS DISTINCT FROM moved AND taken IS DISTINCT FROM moved AND NOT (nothing AND moved IS NULL)
     ORDER BY transaction_id
    """,  # noqa: S608
    ("account_id", "day"),
    {},
)

KEPT_OF_CLOSED = Statement(
    """
    SELECT coalesce(sum(r.debit - f.amount), 0)::bigint AS kept
      FROM fund_line f JOIN refund r ON r.account_id = f.account_id AND r.number = f.number
     WHERE f.account_id = $1 AND f.day = $2 AND f.movement = 'refund_closed'
    """,
    ("account_id", "day"),
    {},
)

# A fact cannot be booked before it happened, so its transfers were created on that day or later; the block index of
# created_at finds them. WeChat Pay's bills run from the oldest line to the newest, Alipay's the other way: which way it
# is, is seen from the balances, each of which is the one before it and its own amount; where they do not say, from the
# times. What Alipay's balances say between the lines need not follow (余额变动并不保证连续, says its document of
# alipay.data.bill.accountlog.query), so a day has opened with what it closed with less all that moved.
BALANCES = Statement(
    """
    WITH flow AS (
      SELECT fund, day, n, amount, balance,
             lag(balance) OVER w AS above, lag(balance - amount) OVER w AS before_above
        FROM fund_line
       WHERE account_id = $1
         AND (day = $2 OR (fund, day) IN (SELECT fund, max(day) FROM fund_line
                                           WHERE account_id = $1 AND day < $2 GROUP BY fund))
      WINDOW w AS (PARTITION BY fund, day ORDER BY n)),
    way AS (
      SELECT fund, day, sum(amount)::bigint AS movement, min(n) AS top, max(n) AS bottom,
             count(*) FILTER (WHERE balance = before_above) AS falling,
             count(*) FILTER (WHERE balance - amount = above) AS rising
        FROM flow GROUP BY fund, day),
    ends AS (
      SELECT way.fund, way.day, way.movement,
             CASE WHEN falling <> rising THEN falling > rising ELSE top.at > bottom.at END AS newest_first,
             top.balance AS upper, bottom.balance AS lower
        FROM way
        JOIN fund_line top ON top.account_id = $1 AND top.day = way.day AND top.fund = way.fund AND top.n = way.top
        JOIN fund_line bottom ON bottom.account_id = $1 AND bottom.day = way.day AND bottom.fund = way.fund
                             AND bottom.n = way.bottom),
    told AS (
      SELECT fund, day, movement, CASE WHEN newest_first THEN upper ELSE lower END AS closing FROM ends)
    SELECT fund, closing - movement AS opening, closing, movement,
           (SELECT p.closing FROM told p WHERE p.fund = f.fund AND p.day < $2) AS previous_closing,
           (SELECT coalesce(sum(CASE WHEN t.debit_account = a.id THEN t.amount ELSE -t.amount END), 0)::bigint
              FROM ledger_account a
              JOIN transfer t ON a.id IN (t.debit_account, t.credit_account)
             WHERE a.kind = 'CR' AND a.owner = $1 AND a.fund = f.fund AND t.channel_date = $2
               AND t.created_at >= ($2::date - 1)::timestamp AT TIME ZONE 'Asia/Shanghai') AS booked_movement
      FROM told f WHERE day = $2
     ORDER BY fund
    """,
    ("account_id", "day"),
    {},
)
