"""Balances as snapshot + tail: what is rolled up, and the rows behind it.

Rows are rolled up in the order of (transaction, id), and only below the oldest transaction that still runs: no row can
appear any more before a place that a roll-up has passed. So in one statement, whatever is rolled up meanwhile, the
snapshot and the rows behind the cursor are together exactly the rows that the statement sees.
"""

from sqlalchemy import text

from adapters.outbound.sql.statements import prepare

ONE_AT_A_TIME = 0x62616C616E6365  # "balance": the advisory lock of those who roll up

# A bound for an index: behind the place up to which everything is rolled up.
BEHIND = """(t.xid, t.id) > (coalesce((SELECT xid FROM balance_cursor), '0'),
                     coalesce((SELECT transfer_id FROM balance_cursor), 0))"""
BALANCES = prepare(
    text(f"""
SELECT a.id, CAST(coalesce(s.balance, 0)
  + coalesce((SELECT sum(t.amount) FROM transfer t WHERE t.credit_account = a.id AND {BEHIND}), 0)
  - coalesce((SELECT sum(t.amount) FROM transfer t WHERE t.debit_account = a.id AND {BEHIND}), 0)
  AS bigint) AS balance
FROM unnest(CAST(:accounts AS bigint[])) AS a (id) LEFT JOIN balance_snapshot s ON s.account_id = a.id
""")  # noqa: S608 - words of our own, here and below
)

LOCK = prepare(text("SELECT pg_advisory_xact_lock(CAST(:key AS bigint))"))
ROLL_UP = prepare(
    text(f"""
WITH batch AS MATERIALIZED (
  SELECT t.xid, t.id, t.debit_account, t.credit_account, t.amount FROM transfer t
  WHERE {BEHIND} AND t.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY t.xid, t.id LIMIT CAST(:limit AS bigint)),
moved AS (
  SELECT id, CAST(sum(delta) AS bigint) AS delta
  FROM (SELECT credit_account AS id, amount AS delta FROM batch
        UNION ALL SELECT debit_account, -amount FROM batch) AS leg
  GROUP BY id),
summed AS (
  INSERT INTO balance_snapshot AS s (account_id, balance) SELECT id, delta FROM moved ORDER BY id
  ON CONFLICT (account_id) DO UPDATE SET balance = s.balance + excluded.balance),
passed AS (
  INSERT INTO balance_cursor (xid, transfer_id) SELECT xid, id FROM batch ORDER BY xid DESC, id DESC LIMIT 1
  ON CONFLICT (one) DO UPDATE SET xid = excluded.xid, transfer_id = excluded.transfer_id)
SELECT count(*) AS rows FROM batch
""")  # noqa: S608
)
