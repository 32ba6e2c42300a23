"""What each refund and each undone payment posts, by the names of BOOKS.md (see promises.py).

That the sums are right does not show it: a line and its return that both are missing sum to nothing as well.
"""

# Each line that a stage of a refund has, as BOOKS.md writes it. ``held``: it empties a suspense item.
# A refund that had failed and was paid after all (``fell``) draws anew, and its row no longer says from where the first
# time: of those only what was booked unasked is looked at here, and the sums of all of it in M5.
NAMED = """
WITH base (stage, fund_mode, held, part, debit_kind, credit_kind) AS (VALUES
  ('reserve', 'collect', false, 'pending', 'MP', 'MR'), ('reserve', 'collect', false, 'available', 'MA', 'MR'),
  ('reserve', 'collect', false, 'share', 'FI', 'MR'), ('accept', 'collect', false, 'accepted', 'MR', 'CR'),
  ('accept', 'collect', true, 'accepted', 'SUS', 'CR'),
  ('accept', 'direct', false, 'accepted', 'DO', 'DH'), ('accept', 'direct', false, 'share', 'FI', 'SFD'),
  ('accept', 'direct', true, 'accepted', 'DO', 'DH'),
  ('unasked', 'collect', false, 'pending', 'MP', 'CR'), ('unasked', 'collect', false, 'available', 'MA', 'CR'),
  ('unasked', 'collect', false, 'debt', 'MD', 'CR'), ('unasked', 'collect', false, 'share', 'FI', 'CR'),
  ('unasked', 'collect', true, 'accepted', 'SUS', 'CR'),
  ('unasked', 'direct', false, 'accepted', 'DO', 'DH'), ('unasked', 'direct', false, 'share', 'FI', 'SFD'),
  ('unasked', 'direct', true, 'accepted', 'DO', 'DH')),
seen AS (
  SELECT *, origin <> 'console' AS asked, item_id IS NOT NULL AS held, accepted_at IS NOT NULL AS taken,
         status IN ('failed', 'rejected') AS void,
         status NOT IN ('failed', 'rejected')
         AND EXISTS (SELECT FROM event e WHERE e.object_id = refund.id AND e.type = 'refund.failed') AS fell,
         (created_at AT TIME ZONE 'Asia/Shanghai')::date AS made,
         (accepted_at AT TIME ZONE 'Asia/Shanghai')::date AS accepted_on FROM refund),
place (id, kind, account) AS (
  SELECT id, kind, kind || CASE WHEN kind = 'CR' THEN '/' || account_id || '/BASIC'
                                WHEN kind IN ('SUS', 'DH') THEN '/' || account_id || '/'
                                WHEN kind = 'FI' THEN '/platform/' ELSE '/' || merchant_id || '/' END
  FROM refund, unnest(ARRAY['CR', 'SUS', 'DH', 'FI', 'MP', 'MA', 'MR', 'MD', 'DO', 'SFD']) AS kind),
line AS (
  SELECT r.*, base.stage, base.part, d.account AS debited, c.account AS credited,
         CASE base.part WHEN 'pending' THEN from_pending WHEN 'available' THEN from_available
                        WHEN 'debt' THEN from_debt WHEN 'share' THEN share ELSE debit END AS amount_of
  FROM seen r JOIN base USING (fund_mode, held) JOIN place d ON (d.id, d.kind) = (r.id, base.debit_kind)
  JOIN place c ON (c.id, c.kind) = (r.id, base.credit_kind)),
due (about, fact, part, debit, credit, amount, currency, mode, channel_date) AS (
  SELECT id, 'refund_reserved', part, debited, credited, amount_of, currency, mode, made
  FROM line WHERE stage = 'reserve' AND asked AND NOT fell
  UNION ALL SELECT id, 'refund_accepted', part, debited, credited, amount_of, currency, mode, accepted_on
  FROM line WHERE stage = 'accept' AND asked AND taken AND NOT fell
  UNION ALL SELECT id, 'refund_unasked', 'unasked:' || part, debited, credited, amount_of, currency, mode, accepted_on
  FROM line WHERE stage = 'unasked' AND taken AND (fell OR NOT asked)
  UNION ALL SELECT id, CASE WHEN taken THEN 'refund_closed' ELSE 'refund_void' END, 'void:' || part, credited, debited,
                   amount_of, currency, mode, NULL
  FROM line WHERE stage = 'reserve' AND asked AND void
  UNION ALL SELECT id, 'refund_closed', 'closed:' || CASE WHEN asked THEN part ELSE 'unasked:' || part END, credited,
                   debited, amount_of, currency, mode, NULL
  FROM line WHERE stage = CASE WHEN asked THEN 'accept' ELSE 'unasked' END AND taken AND void),
booked AS (
  SELECT t.about, t.fact, t.idem_key, d.kind || '/' || d.owner || '/' || d.fund AS debit,
         c.kind || '/' || c.owner || '/' || c.fund AS credit, t.amount, t.currency, t.mode,
         CASE WHEN t.fact NOT IN ('refund_void', 'refund_closed') THEN t.channel_date END
  FROM transfer t LEFT JOIN ledger_account d ON (d.id, d.mode, d.currency) = (t.debit_account, t.mode, t.currency)
  LEFT JOIN ledger_account c ON (c.id, c.mode, c.currency) = (t.credit_account, t.mode, t.currency)
  WHERE t.fact ~ '^refund_'
  AND (t.fact = 'refund_unasked' OR NOT EXISTS (SELECT FROM seen WHERE seen.id = t.about AND fell))),
named AS (
  SELECT about, fact, 'refund:' || about || ':' || part AS idem_key, debit, credit, amount, currency, mode, channel_date
  FROM due WHERE amount > 0),
renamed AS (
  SELECT 'not booked by its name' AS what, * FROM (SELECT * FROM named EXCEPT ALL SELECT * FROM booked) AS missing
  UNION ALL
  SELECT 'booked by no such name', * FROM (SELECT * FROM booked EXCEPT ALL SELECT * FROM named) AS surplus)
SELECT what, about, fact || ' ' || idem_key || ' ' || debit || ' ' || credit AS account, amount AS due,
       NULL::bigint AS booked
FROM renamed
"""

# A held bar code payment that its channel has undone, and no refund has taken: SUS → CR, directly DO → DH.
REVERSED = """
WITH undone AS (
  SELECT p.* FROM channel_payment p JOIN suspense_item s ON s.payment_id = p.id
  WHERE s.reason = 'reversed' AND s.status = 'refunded'
  AND NOT EXISTS (SELECT FROM refund r WHERE r.item_id = s.id
                  AND r.status IN ('accepted', 'abnormal', 'succeeded'))),
due AS (
  SELECT id AS about, 'payment:' || account_id || ':' || transaction_id || ':' || 'reversed' AS idem_key,
         CASE fund_mode WHEN 'collect' THEN 'SUS/' || account_id || '/' ELSE 'DO/' || merchant_id || '/' END AS debit,
         CASE fund_mode WHEN 'collect' THEN 'CR/' || account_id || '/BASIC' ELSE 'DH/' || account_id || '/' END
           AS credit, received AS amount, currency, mode
  FROM undone WHERE received > 0),
booked AS (
  SELECT t.about, t.idem_key, d.kind || '/' || d.owner || '/' || d.fund, c.kind || '/' || c.owner || '/' || c.fund,
         t.amount, t.currency, t.mode
  FROM transfer t LEFT JOIN ledger_account d ON (d.id, d.mode, d.currency) = (t.debit_account, t.mode, t.currency)
  LEFT JOIN ledger_account c ON (c.id, c.mode, c.currency) = (t.credit_account, t.mode, t.currency)
  WHERE t.fact = 'payment_reversed')
SELECT 'an undone payment not booked so' AS what, about, idem_key AS detail, amount
FROM (SELECT * FROM due EXCEPT ALL SELECT * FROM booked) AS missing
UNION ALL
SELECT 'booked as undone, and is not', about, idem_key, amount
FROM (SELECT * FROM booked EXCEPT ALL SELECT * FROM due) AS surplus
"""
