"""The checkers of balances, entries and closed days (adapters/outbound/sql/promises.py)."""

# Every row before the cursor, against what is rolled up of it.
M9 = """
WITH summed AS (
  SELECT leg.id, sum(leg.delta) AS balance
  FROM (SELECT credit_account AS id, amount AS delta, xid, id AS n FROM transfer
        UNION ALL SELECT debit_account, -amount, xid, id FROM transfer) AS leg
  JOIN balance_cursor c ON (leg.xid, leg.n) <= (c.xid, c.transfer_id) GROUP BY leg.id)
SELECT 'rolled up amiss' AS what, account_id, a.kind, a.owner, a.mode, coalesce(s.balance, 0) AS snapshot,
       coalesce(summed.balance, 0) AS rows
FROM (SELECT account_id, balance FROM balance_snapshot) AS s
FULL JOIN (SELECT id AS account_id, balance FROM summed) AS summed USING (account_id)
LEFT JOIN ledger_account a ON a.id = account_id
WHERE coalesce(s.balance, 0) <> coalesce(summed.balance, 0)
UNION ALL
SELECT 'of another server: its transactions are ahead of this one''s', NULL, NULL, NULL, NULL, NULL, NULL
FROM balance_cursor WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
"""

# The entries, and the transfers that they call for; the part that repaid a debt among them.
M11 = """
WITH rule (kind, fact, debit_kind, credit_kind) AS (VALUES
  ('freeze', 'frozen', 'MA', 'MF'), ('unfreeze', 'unfrozen', 'MF', 'MA'), ('top_up', 'topped_up', 'BANK', 'MA'),
  ('credit', 'adjusted', 'ADJ', 'MA'), ('debit', 'adjusted', 'MA', 'ADJ'),
  ('bank_arrival', 'bank_arrived', 'BANK', 'BT')),
line AS (
  SELECT e.id, e.merchant_id, rule.fact, rule.debit_kind, rule.credit_kind, e.amount, e.currency, e.mode
  FROM account_entry e JOIN rule USING (kind)
  UNION ALL
  SELECT id, merchant_id, 'debt_repaid', 'MA', 'MD', repaid, currency, mode FROM account_entry WHERE repaid > 0),
due AS (
  SELECT id AS about, fact, debit_kind || CASE WHEN debit_kind ~ '^M' THEN merchant_id ELSE 'platform' END AS debit,
         credit_kind || CASE WHEN credit_kind ~ '^M' THEN merchant_id ELSE 'platform' END AS credit,
         amount, currency, mode FROM line),
booked AS (
  SELECT t.about, t.fact, d.kind || d.owner AS debit, c.kind || c.owner AS credit, t.amount, t.currency, t.mode
  FROM transfer t LEFT JOIN ledger_account d ON d.id = t.debit_account
  LEFT JOIN ledger_account c ON c.id = t.credit_account
  WHERE t.about ~ '^ent_' OR t.fact IN ('frozen', 'unfrozen', 'topped_up', 'adjusted'))
SELECT 'not booked' AS what, * FROM (SELECT * FROM due EXCEPT ALL SELECT * FROM booked) AS missing
UNION ALL
SELECT 'booked amiss', * FROM (SELECT * FROM booked EXCEPT ALL SELECT * FROM due) AS surplus
"""

# What the days say of themselves; that they are their transfers' sums is proved by `pitaya ledger verify`.
M12 = """
SELECT 'opened amiss' AS what, day, account_id, opening, before AS expected
FROM (SELECT *, coalesce(lag(closing) OVER (PARTITION BY account_id ORDER BY day), 0) AS before
      FROM account_closing) AS c
WHERE opening <> before OR closing <> opening + credits - debits
UNION ALL
SELECT 'made or lost', c.day, NULL, sum(c.credits - c.debits), 0
FROM account_closing c LEFT JOIN ledger_account a ON a.id = c.account_id
GROUP BY c.day, a.mode, a.currency HAVING sum(c.credits - c.debits) <> 0
"""
