"""The checker of what is shared (adapters/outbound/sql/promises.py)."""

# Each part that its receiver got, and each that came back, as the channel told it; against what was booked of it, what
# the payment brought, and (where the merchant's own fund bill was read) what moved in the account.
M13 = """
WITH part AS (
  SELECT s.id, s.payment_id, s.order_id, s.merchant_id, s.account_id, s.number, s.status, p->>'account' AS receiver,
         (p->>'amount')::bigint AS amount, (p->>'to_fee')::bigint AS to_fee, p->>'result' AS result,
         p->>'platform_account_id' AS platform
  FROM share s, json_array_elements(s.parts) AS p),
told AS (
  SELECT id, merchant_id, account_id, number, platform, amount, to_fee FROM part
  WHERE status = 'finished' AND result = 'succeeded'
  UNION ALL
  SELECT id, merchant_id, account_id, number, platform_account_id, -amount, -from_fee FROM share_return
  WHERE status = 'succeeded'),
due AS (
  SELECT told.id, line.kind, line.owner, sum(line.net) AS net
  FROM told, LATERAL (VALUES ('DO', merchant_id, -amount), ('DH', account_id, amount), ('CR', platform, -amount),
    ('SFD', CASE WHEN platform IS NOT NULL THEN merchant_id END, to_fee),
    ('FI', CASE WHEN platform IS NOT NULL THEN 'platform' END, amount - to_fee)) AS line (kind, owner, net)
  WHERE line.owner IS NOT NULL GROUP BY told.id, line.kind, line.owner HAVING sum(line.net) <> 0),
booked AS (
  SELECT leg.about AS id, a.kind, a.owner, sum(leg.delta) AS net
  FROM (SELECT about, credit_account AS account, amount AS delta FROM transfer WHERE about ~ '^(shr|srt)_'
        UNION ALL SELECT about, debit_account, -amount FROM transfer WHERE about ~ '^(shr|srt)_') AS leg
  JOIN ledger_account a ON a.id = leg.account GROUP BY leg.about, a.kind, a.owner HAVING sum(leg.delta) <> 0),
back AS (
  SELECT share_id, account AS receiver, sum(amount) AS amount FROM share_return
  WHERE status NOT IN ('failed', 'cancelled') GROUP BY share_id, account),
moved AS (
  SELECT account_id, number, -sum(amount) AS amount FROM fund_line
  WHERE movement IN ('shared', 'share_returned') GROUP BY account_id, number)
SELECT 'booked amiss' AS what, id, kind || '/' || owner AS account, due.net AS due, booked.net AS booked
FROM due FULL JOIN booked USING (id, kind, owner) WHERE due.net IS DISTINCT FROM booked.net
UNION ALL
SELECT 'shared more than it brought', p.id, part.account_id, p.received,
       sum(part.amount - coalesce(back.amount, 0))
FROM channel_payment p JOIN part ON part.payment_id = p.id AND part.status <> 'failed' AND part.result <> 'closed'
LEFT JOIN back ON (back.share_id, back.receiver) = (part.id, part.receiver)
GROUP BY p.id, part.account_id, p.received HAVING sum(part.amount - coalesce(back.amount, 0)) > p.received
UNION ALL
SELECT 'more came back than was shared', part.id, part.receiver, part.amount, back.amount
FROM part JOIN back ON (back.share_id, back.receiver) = (part.id, part.receiver)
WHERE back.amount > part.amount OR part.result <> 'succeeded'
UNION ALL
SELECT 'the bill moved more than was told', told.id, moved.account_id, told.amount, moved.amount
FROM moved JOIN (SELECT id, account_id, number, sum(amount) AS amount FROM told GROUP BY id, account_id, number) AS told
USING (account_id, number) WHERE abs(moved.amount) > abs(told.amount)
"""
