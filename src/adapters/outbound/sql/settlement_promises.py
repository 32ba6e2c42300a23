"""The checkers of what is released and settled, in other words than the code that they check (see promises.py)."""

# What a settlement is worth, what is inside it, and what was booked about it; the open lines are the balance.
M7 = """
WITH inside AS (
  SELECT l.settlement_id AS id, sum(l.amount) FILTER (WHERE t.fact <> 'settlement_created') AS swept,
         count(*) FILTER (WHERE t.fact <> 'settlement_created') AS lines, sum(l.amount) AS rest
  FROM settlement_transfer l JOIN transfer t USING (idem_key) WHERE l.settlement_id IS NOT NULL
  GROUP BY l.settlement_id),
booked AS (
  SELECT leg.about AS id, a.kind, sum(leg.delta) AS net
  FROM (SELECT about, credit_account AS account, amount AS delta FROM transfer
        WHERE about ~ '^stl_' AND fact <> 'debt_repaid' AND fact ~ '^(settlement|payout)_'
        UNION ALL SELECT about, debit_account, -amount FROM transfer
        WHERE about ~ '^stl_' AND fact <> 'debt_repaid' AND fact ~ '^(settlement|payout)_') AS leg
  JOIN ledger_account a ON a.id = leg.account WHERE a.kind IN ('MA', 'MS', 'FI') GROUP BY leg.about, a.kind),
due AS (
  SELECT s.id, line.kind, line.net FROM settlement s, LATERAL (VALUES
    ('MS', CASE WHEN status IN ('created', 'approved', 'paying', 'awaiting_payee') THEN amount END),
    ('MA', CASE WHEN status = 'bounced' THEN -fee WHEN status IN ('rejected', 'failed', 'cancelled') THEN 0
                ELSE -amount END),
    ('FI', CASE WHEN status IN ('paid', 'bounced') THEN fee END)) AS line (kind, net))
SELECT 'not what is inside' AS what, s.id, NULL AS account, s.swept AS due, inside.swept AS booked
FROM settlement s LEFT JOIN inside USING (id)
WHERE (s.swept, s.lines, 0) IS DISTINCT FROM (inside.swept, inside.lines, inside.rest)
UNION ALL
SELECT 'booked amiss', id, kind, coalesce(due.net, 0), coalesce(booked.net, 0)
FROM due FULL JOIN booked USING (id, kind) WHERE coalesce(due.net, 0) <> coalesce(booked.net, 0)
UNION ALL
SELECT 'open transfers are not the balance', a.owner, a.mode, coalesce(open.amount, 0), coalesce(ledger.amount, 0)
FROM ledger_account a
LEFT JOIN (SELECT account_id AS id, sum(amount) AS amount FROM settlement_transfer WHERE settlement_id IS NULL
           GROUP BY account_id) AS open USING (id)
LEFT JOIN (SELECT a.id, sum(CASE WHEN t.credit_account = a.id THEN t.amount ELSE -t.amount END) AS amount
           FROM ledger_account a JOIN transfer t ON a.id IN (t.credit_account, t.debit_account)
           WHERE a.kind = 'MA' GROUP BY a.id) AS ledger USING (id)
WHERE a.kind = 'MA' AND coalesce(open.amount, 0) <> coalesce(ledger.amount, 0)
"""

# A day that was reopened has been closed once. Whoever drew from pending is a refund of the same payment.
R3 = """
WITH moved AS (
  SELECT t.about AS payment_id, sum(CASE WHEN c.kind = 'MA' THEN t.amount ELSE -t.amount END) AS amount, count(*) AS n
  FROM transfer t JOIN ledger_account c ON c.id = t.credit_account WHERE t.fact = 'released' GROUP BY t.about),
drawn AS (
  SELECT payment_id, sum(from_pending) AS amount FROM refund WHERE status NOT IN ('failed', 'rejected')
  GROUP BY payment_id)
SELECT 'released before its day was closed' AS what, r.payment_id AS id, r.released AS due, NULL AS booked
FROM release r WHERE (r.times > 0 OR r.released_at IS NOT NULL) AND NOT EXISTS (
  SELECT FROM statement_day d WHERE (d.account_id, d.day) = (r.account_id, r.day) AND d.closed_by IS NOT NULL)
UNION ALL
SELECT 'not what was released', payment_id, r.released, moved.amount
FROM release r FULL JOIN moved USING (payment_id)
WHERE (coalesce(r.released, 0), coalesce(r.times, 0)) <> (coalesce(moved.amount, 0), coalesce(moved.n, 0))
UNION ALL
SELECT 'released more or less than it brought', r.payment_id, r.net - coalesce(drawn.amount, 0), r.released
FROM release r LEFT JOIN drawn USING (payment_id)
WHERE r.released > r.net OR r.released_at IS NOT NULL AND r.next_at IS NULL
AND r.released <> r.net - coalesce(drawn.amount, 0)
"""
