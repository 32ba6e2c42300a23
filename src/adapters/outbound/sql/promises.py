"""The promises' checkers on PostgreSQL: for each one query, whose rows are what breaks it.

They say in other words what the code above says already, BOOKS.md's postings among it: a checker that called the
same function would repeat its mistakes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql import account_promises, refund_promises
from adapters.outbound.sql.failures import connecting
from adapters.outbound.sql.health import APPEND_ONLY, MAY_CHANGE
from adapters.outbound.sql.settlement_promises import M7, R3
from adapters.outbound.sql.sharing_promises import M13
from adapters.outbound.sql.statements import Statement, prepare
from adapters.outbound.sql.tables import ATTEMPT_LIVE, DELIVERY_DUE, ORDER_PENDING, REFUND_PURSUED
from application.confirm_attempt import Outcome
from application.ports.promises import PROMISES, Breach
from domain.attempts import POLL_END
from domain.circuits import LONGEST_PAUSE
from domain.notifications import LEASE

EXAMPLES = 10
_PATIENCE = timedelta(minutes=10)  # a checker reads whole tables

# Every transfer that the payments call for, and every one that is there (BOOKS.md, payment and money held).
_BOOKS = """
WITH rule (fund_mode, fact, part, debit_kind, credit_kind) AS (VALUES
  ('collect', 'payment', 'net', 'CR', 'MP'), ('collect', 'payment', 'fee', 'CR', 'FI'),
  ('direct', 'payment', 'net', 'DH', 'DO'), ('direct', 'payment', 'fee', 'SFD', 'FI'),
  ('collect', 'payment_held', 'held', 'CR', 'SUS'), ('direct', 'payment_held', 'held', 'DH', 'DO')),
owner (payment, kind, account) AS (
  SELECT id, kind, CASE WHEN kind = 'CR' THEN 'CR/' || account_id || '/BASIC'
                        WHEN kind IN ('SUS', 'DH') THEN kind || '/' || account_id || '/'
                        WHEN kind = 'FI' THEN 'FI/platform/' ELSE kind || '/' || merchant_id || '/' END
  FROM channel_payment, unnest(ARRAY['CR', 'SUS', 'DH', 'FI', 'MP', 'DO', 'SFD']) AS kind),
due AS (
  SELECT p.id AS payment, rule.fact, 'payment:' || p.account_id || ':' || p.transaction_id || ':' || part AS idem_key,
         debit.account AS debit, credit.account AS credit, p.currency, p.mode,
         CASE WHEN part = 'fee' THEN p.fee WHEN part = 'net' AND p.fund_mode = 'collect' THEN p.received - p.fee
              ELSE p.received END AS amount, (p.paid_at AT TIME ZONE 'Asia/Shanghai')::date AS channel_date
  FROM channel_payment p JOIN rule ON rule.fund_mode = p.fund_mode
       AND rule.fact = CASE WHEN p.unattributed IS NULL THEN 'payment' ELSE 'payment_held' END
       JOIN owner debit ON debit.payment = p.id AND debit.kind = rule.debit_kind
       JOIN owner credit ON credit.payment = p.id AND credit.kind = rule.credit_kind),
booked AS (
  SELECT t.about AS payment, t.fact, t.idem_key, d.kind || '/' || d.owner || '/' || d.fund AS debit,
         c.kind || '/' || c.owner || '/' || c.fund AS credit, t.currency, t.mode, t.amount, t.channel_date
  FROM transfer t LEFT JOIN ledger_account d ON (d.id, d.mode, d.currency) = (t.debit_account, t.mode, t.currency)
       LEFT JOIN ledger_account c ON (c.id, c.mode, c.currency) = (t.credit_account, t.mode, t.currency)),
amiss AS (
  SELECT 'not booked' AS what, * FROM (SELECT * FROM due WHERE amount > 0 EXCEPT ALL SELECT * FROM booked) AS missing
  UNION ALL
  SELECT 'booked amiss', * FROM (SELECT * FROM booked EXCEPT ALL SELECT * FROM due) AS surplus)
"""

_M1 = """
SELECT account.mode, account.currency, sum(leg.delta) AS sum
FROM (SELECT credit_account AS id, amount AS delta FROM transfer
      UNION ALL SELECT debit_account, -amount FROM transfer) AS leg LEFT JOIN ledger_account account USING (id)
GROUP BY account.mode, account.currency HAVING sum(leg.delta) <> 0
"""

_M2 = f"""{_BOOKS}
SELECT what, payment, idem_key, debit, credit, amount FROM amiss WHERE fact = 'payment'
"""  # noqa: S608 - words of our own, here and below

_M3 = """
SELECT 'no evidence' AS what, p.id, p.evidence AS detail FROM channel_payment p
WHERE NOT EXISTS (SELECT FROM notice n WHERE n.account_id = p.account_id AND 'notice:' || n.notice_id = p.evidence
                  AND n.outcome IN ('confirmed', 'held'))
AND NOT EXISTS (SELECT FROM attempt a WHERE a.account_id = p.account_id AND 'query:' || a.id = p.evidence
                AND a.number = p.number)
UNION ALL
SELECT 'does not fit its order', p.id, p.order_id
FROM channel_payment p LEFT JOIN attempt a ON a.id = p.attempt_id LEFT JOIN payment_order o ON o.id = p.order_id
WHERE p.unattributed IS NULL AND (
  (a.order_id, a.account_id, a.number, a.fund_mode) = (p.order_id, p.account_id, p.number, p.fund_mode)
  AND (a.amount, a.currency, a.merchant_id, a.mode) = (p.total, p.currency, p.merchant_id, p.mode)
  AND (o.amount, o.currency, o.merchant_id, o.mode) = (p.total, p.currency, p.merchant_id, p.mode)
  AND (o.paid, o.status, a.status) = (p.total, 'paid', 'succeeded')) IS NOT TRUE
UNION ALL
SELECT 'paid without a payment', o.id, o.status FROM payment_order o
WHERE o.paid > 0 AND NOT EXISTS (SELECT FROM channel_payment p WHERE p.order_id = o.id AND p.unattributed IS NULL)
AND NOT EXISTS (SELECT FROM suspense_item s JOIN channel_payment p ON p.id = s.payment_id
                WHERE s.order_id = o.id AND (p.total, p.currency, p.mode) = (o.paid, o.currency, o.mode))
UNION ALL
SELECT 'a refund without evidence', r.id, r.evidence FROM refund r
WHERE r.accepted_at IS NOT NULL AND (r.evidence IN ('answer:' || r.id, 'query:' || r.id) OR EXISTS (
  SELECT FROM notice n WHERE n.account_id = r.account_id AND 'notice:' || n.notice_id = r.evidence
  AND n.outcome IN ('refund', 'confirmed', 'held'))) IS NOT TRUE
"""

# What the channel has taken of a suspense item for refunds, and whether a refund of ours is to empty it.
_GONE = """LATERAL (
  SELECT coalesce(sum(r.debit) FILTER (WHERE r.status IN ('accepted', 'abnormal', 'succeeded')), 0) AS gone,
         coalesce(bool_or(r.origin = 'suspense' AND r.status NOT IN ('failed', 'rejected')), false) AS own
  FROM refund r WHERE r.item_id = s.id) AS back"""

# What each refund and each item has come to, credits minus debits by account, and what it should (BOOKS.md).
_MOVED = f"""
WITH booked AS (
  SELECT leg.about, a.kind, a.owner, sum(leg.delta) AS net
  FROM (SELECT about, credit_account AS id, amount AS delta FROM transfer WHERE about ~ '^(ref|sus)_'
        UNION ALL SELECT about, debit_account, -amount FROM transfer WHERE about ~ '^(ref|sus)_') AS leg
  JOIN ledger_account a USING (id) GROUP BY leg.about, a.kind, a.owner),
stage AS (
  SELECT *, status IN ('accepted', 'abnormal', 'succeeded') AS debited, status IN ('failed', 'rejected') AS void,
         fund_mode = 'collect' AND item_id IS NULL AS reserves FROM refund),
due AS (
  SELECT r.id AS about, line.kind,
         CASE WHEN line.kind IN ('CR', 'SUS', 'DH') THEN r.account_id WHEN line.kind = 'FI' THEN 'platform'
              ELSE r.merchant_id END AS owner, line.net
  FROM stage r, LATERAL (VALUES
    ('CR', CASE WHEN debited AND fund_mode = 'collect' THEN debit END),
    ('SUS', CASE WHEN debited AND fund_mode = 'collect' AND item_id IS NOT NULL THEN -debit END),
    ('DH', CASE WHEN debited AND fund_mode = 'direct' THEN debit END),
    ('DO', CASE WHEN debited AND fund_mode = 'direct' THEN -debit END),
    ('SFD', CASE WHEN debited AND fund_mode = 'direct' THEN share END),
    ('FI', CASE WHEN debited OR (reserves AND NOT void) THEN -share END),
    ('MR', CASE WHEN reserves AND NOT void AND NOT debited THEN debit END),
    ('MP', CASE WHEN reserves AND NOT void THEN -from_pending END),
    ('MA', CASE WHEN reserves AND NOT void THEN -from_available END),
    ('MD', CASE WHEN reserves AND NOT void THEN -from_debt END)) AS line (kind, net)
  UNION ALL
  SELECT s.id, line.kind, CASE line.kind WHEN 'SUS' THEN s.account_id WHEN 'FI' THEN 'platform'
                          WHEN 'ADJ' THEN 'platform' ELSE o.merchant_id END, line.net
  FROM suspense_item s JOIN channel_payment p ON p.id = s.payment_id LEFT JOIN payment_order o ON o.id = s.order_id,
  {_GONE}, LATERAL (VALUES
    ('SUS', CASE WHEN s.status IN ('attributed', 'written_off') AND p.fund_mode = 'collect' THEN gone - s.amount END),
    ('MP', CASE WHEN s.status = 'attributed' AND p.fund_mode = 'collect' THEN s.amount - s.fee END),
    ('SFD', CASE WHEN s.status = 'attributed' AND p.fund_mode = 'direct' THEN -s.fee END),
    ('FI', CASE WHEN s.status = 'attributed' THEN s.fee END),
    ('ADJ', CASE WHEN s.status = 'written_off' AND p.fund_mode = 'collect' THEN s.amount - gone END)
    ) AS line (kind, net)),
moved AS (
  SELECT 'booked amiss' AS what, about, kind || '/' || owner AS account, coalesce(due.net, 0) AS due,
         coalesce(booked.net, 0) AS booked
  FROM (SELECT * FROM due WHERE net <> 0) AS due FULL JOIN (SELECT * FROM booked WHERE net <> 0) AS booked
  USING (about, kind, owner) WHERE coalesce(due.net, 0) <> coalesce(booked.net, 0))
"""  # noqa: S608

_M4 = f"""{_BOOKS}
SELECT what, payment AS about, idem_key AS detail, amount FROM amiss WHERE fact = 'payment_held'
UNION ALL
SELECT 'not in the queue', p.id, p.unattributed, p.received FROM channel_payment p
LEFT JOIN suspense_item s ON s.payment_id = p.id
WHERE (p.unattributed IS NOT NULL OR s.id IS NOT NULL)
AND (p.unattributed, p.received, p.currency, p.account_id, p.mode)
  IS DISTINCT FROM (s.reason, s.amount, s.currency, s.account_id, s.mode)
UNION ALL
SELECT 'the items differ from the balance', account_id, mode || ' ' || currency,
       coalesce(items, 0) - coalesce(balance, 0)
FROM (SELECT s.account_id, s.mode, s.currency,
             sum(s.amount - gone) FILTER (WHERE s.status IN ('open', 'refunding')) AS items
      FROM suspense_item s JOIN channel_payment p ON p.id = s.payment_id AND p.fund_mode = 'collect', {_GONE}
      GROUP BY s.account_id, s.mode, s.currency) AS held
FULL JOIN (SELECT a.owner AS account_id, a.mode, a.currency,
                  sum(CASE WHEN t.credit_account = a.id THEN t.amount ELSE -t.amount END) AS balance
           FROM ledger_account a JOIN transfer t ON a.id IN (t.credit_account, t.debit_account)
           WHERE a.kind = 'SUS' GROUP BY a.owner, a.mode, a.currency) AS ledger USING (account_id, mode, currency)
WHERE coalesce(items, 0) <> coalesce(balance, 0)
UNION ALL
SELECT 'not what its refunds come to', s.id, s.status, s.amount - gone FROM suspense_item s, {_GONE}
WHERE CASE s.status WHEN 'open' THEN gone >= s.amount OR own WHEN 'refunding' THEN gone < s.amount AND NOT own
      WHEN 'refunded' THEN gone <> s.amount AND s.reason <> 'reversed' WHEN 'attributed' THEN gone <> 0
      ELSE gone > s.amount END
UNION ALL
SELECT * FROM ({refund_promises.REVERSED}) AS undone
"""  # noqa: S608

_M5 = f"""{_MOVED}
SELECT 'no constraint holds it' AS what, 'payment_order' AS about, NULL AS account, NULL AS due, NULL AS booked
WHERE NOT EXISTS (
  SELECT FROM pg_constraint WHERE conrelid = 'payment_order'::regclass AND conname = 'ck_payment_order_refunds'
  AND convalidated)
UNION ALL
SELECT 'refunded more than paid', id, NULL, paid, refunded + refunding FROM payment_order
WHERE refunded + refunding > paid OR refunded < 0 OR refunding < 0
UNION ALL
SELECT 'not what its refunds come to', o.id, NULL, sum(r.amount), o.refunded + o.refunding
FROM payment_order o LEFT JOIN refund r
  ON r.order_id = o.id AND r.item_id IS NULL AND r.status NOT IN ('failed', 'rejected')
GROUP BY o.id
HAVING o.refunding <> least(o.paid, coalesce(sum(r.amount) FILTER (WHERE r.status <> 'succeeded'), 0))
OR o.refunded <> least(o.paid - o.refunding, coalesce(sum(r.amount) FILTER (WHERE r.status = 'succeeded'), 0))
UNION ALL
SELECT what, about, account, due, booked FROM moved
UNION ALL
SELECT * FROM ({refund_promises.NAMED}) AS named
"""  # noqa: S608

_M6 = """
SELECT a.kind, a.owner, a.mode, a.currency,
       sum(CASE WHEN t.credit_account = a.id THEN t.amount ELSE -t.amount END) AS balance
FROM ledger_account a JOIN transfer t ON a.id IN (t.credit_account, t.debit_account)
WHERE a.kind IN ('MP', 'MA', 'MF', 'SUS') GROUP BY a.id
HAVING sum(CASE WHEN t.credit_account = a.id THEN t.amount ELSE -t.amount END) < 0
"""

_M10 = """
WITH booked AS (
  SELECT about AS id, coalesce(sum(amount) FILTER (WHERE right(idem_key, 3) = 'net'), 0) AS net,
         coalesce(sum(amount) FILTER (WHERE right(idem_key, 3) = 'fee'), 0) AS fee
  FROM transfer WHERE fact = 'payment' GROUP BY about),
priced AS (
  SELECT p.*, a.fee_kept, least(p.received, a.fee_maximum, greatest(a.fee_minimum,
                    div(2::numeric * p.received * a.fee_ppm + 1000000, 2000000))) AS agreed
  FROM channel_payment p JOIN attempt a ON a.id = p.attempt_id WHERE p.unattributed IS NULL)
SELECT 'fee and net are not what was received' AS what, p.id AS about, p.received, b.net, b.fee
FROM priced p JOIN booked b USING (id)
WHERE p.received <> b.net + CASE p.fund_mode WHEN 'collect' THEN b.fee ELSE 0 END
UNION ALL
SELECT 'not the fee agreed', p.id, p.agreed, p.received - p.fee, p.fee FROM priced p WHERE p.fee <> p.agreed
UNION ALL
SELECT 'not the whole fee came back with the whole payment', p.id, p.received, sum(r.debit), sum(r.share)
FROM priced p JOIN refund r ON r.payment_id = p.id AND r.item_id IS NULL AND r.status NOT IN ('failed', 'rejected')
GROUP BY p.id, p.received, p.fee, p.total, p.fee_kept
HAVING sum(r.amount) = p.total
AND (sum(r.debit), sum(r.share)) <> (p.received, CASE WHEN p.fee_kept THEN 0 ELSE p.fee END)
UNION ALL
SELECT 'a kept fee went back', p.id, p.received, r.debit, r.share
FROM priced p JOIN refund r ON r.payment_id = p.id AND r.item_id IS NULL
WHERE p.fee_kept AND r.share <> 0 AND r.status NOT IN ('failed', 'rejected')
UNION ALL
SELECT 'a float', table_name || '.' || column_name, NULL, NULL, NULL FROM information_schema.columns
WHERE table_schema = 'public' AND data_type IN ('real', 'double precision', 'money')
"""

_L1 = """
WITH stored (id, revision) AS (SELECT id, revision FROM payment_order UNION ALL SELECT id, revision FROM attempt
                               UNION ALL SELECT id, revision FROM refund UNION ALL SELECT id, revision FROM settlement),
told (id, events) AS (SELECT object_id, count(*) FROM event WHERE object_id ~ '^(ord|att|ref|stl)_' GROUP BY object_id)
SELECT id, revision, coalesce(events, 0) AS events FROM stored FULL JOIN told USING (id)
WHERE coalesce(revision, -1) <> coalesce(events, 0)
"""

_L2 = """
SELECT n.account_id, n.notice_id, n.outcome FROM notice n
WHERE n.outcome <> ALL (CAST(:outcomes AS text[])) OR n.outcome IN ('confirmed', 'held') AND NOT EXISTS (
  SELECT FROM channel_payment p WHERE p.account_id = n.account_id AND p.evidence = 'notice:' || n.notice_id
  AND (p.unattributed IS NULL) = (n.outcome = 'confirmed'))
"""

# What waits behind an address that fails is late on purpose, as long as somebody goes on trying: a pause is ten minutes
# at most, and a lease one.
_L3 = f"""
SELECT 'waits to be fanned out' AS what, event_id AS about, NULL AS endpoint FROM outbox
WHERE created_at < now() - CAST(:lag AS interval)
UNION ALL
SELECT 'not sent', e.id, w.id FROM event e
JOIN webhook_endpoint w ON (w.merchant_id, w.mode) = (e.merchant_id, e.mode) AND w.enabled
AND coalesce(w.enabled_at, w.created_at) <= e.at
WHERE e.announced AND coalesce(w.url, e.notify_url) IS NOT NULL
AND (json_array_length(w.event_types) = 0 OR e.type IN (SELECT json_array_elements_text(w.event_types)))
AND NOT EXISTS (SELECT FROM outbox o WHERE o.event_id = e.id)
AND NOT EXISTS (SELECT FROM delivery d WHERE (d.event_id, d.endpoint_id) = (e.id, w.id))
UNION ALL
SELECT 'due and not tried', id, endpoint_id FROM delivery
WHERE {DELIVERY_DUE} AND (next_at IS NULL OR next_at < now() - CAST(:lag AS interval))
AND NOT EXISTS (SELECT FROM circuit c WHERE c.lane = delivery.lane
                AND c.failed_at > now() - CAST(:lag AS interval) - CAST(:pause AS interval))
UNION ALL
SELECT status || ' without a try', id, endpoint_id FROM delivery d WHERE status IN ('delivered', 'exhausted')
AND NOT EXISTS (SELECT FROM delivery_try t WHERE t.delivery_id = d.id
                AND (d.status = 'exhausted' OR t.status_code BETWEEN 200 AND 299))
"""  # noqa: S608

_L4 = f"""
SELECT 'order still pending' AS what, id, expires_at FROM payment_order
WHERE {ORDER_PENDING} AND expires_at < now() - CAST(:settling AS interval)
UNION ALL
SELECT 'attempt nobody asks about', id, expires_at FROM attempt
WHERE {ATTEMPT_LIVE} AND expires_at + CAST(:end AS interval) > now()
AND (next_at IS NULL OR next_at < now() - CAST(:settling AS interval))
UNION ALL
SELECT 'attempt without an end', id, expires_at FROM attempt
WHERE {ATTEMPT_LIVE} AND expires_at + CAST(:end AS interval) < now() - CAST(:settling AS interval)
UNION ALL
SELECT 'refund nobody asks about', id, next_at FROM refund
WHERE {REFUND_PURSUED} AND (next_at IS NULL OR next_at < now() - CAST(:settling AS interval))
"""  # noqa: S608

_L5 = """
SELECT 'published twice' AS what, object_id AS about, type AS detail FROM event
WHERE announced AND object_id !~ '^whe_' GROUP BY object_id, type HAVING count(*) > 1
UNION ALL
SELECT 'two deliveries', event_id, endpoint_id FROM delivery GROUP BY event_id, endpoint_id HAVING count(*) > 1
"""

_CHECKERS: Mapping[str, Statement] = {
    "M1": prepare(text(_M1)),
    "M2": prepare(text(_M2)),
    "M3": prepare(text(_M3)),
    "M4": prepare(text(_M4)),
    "M5": prepare(text(_M5)),
    "M6": prepare(text(_M6)),
    "M7": prepare(text(M7)),
    "M8": prepare(MAY_CHANGE),
    "M9": prepare(text(account_promises.M9)),
    "M10": prepare(text(_M10)),
    "M11": prepare(text(account_promises.M11)),
    "M12": prepare(text(account_promises.M12)),
    "M13": prepare(text(M13)),
    "L1": prepare(text(_L1)),
    "L2": prepare(text(_L2)),
    "L3": prepare(text(_L3)),
    "L4": prepare(text(_L4)),
    "L5": prepare(text(_L5)),
    "R3": prepare(text(R3)),
}


@dataclass(frozen=True, slots=True)
class SqlPromises:
    """All checkers in one REPEATABLE READ READ ONLY transaction.

    ``lag`` is how late the background work may be, ``settling`` how long after its expiry an order may stay open:
    a poll interval, a query's deadline and a retry.
    """

    engine: AsyncEngine
    lag: timedelta = timedelta(minutes=5)
    settling: timedelta = timedelta(minutes=10)

    async def broken(self) -> Sequence[Breach]:
        """Raises DatabaseUnavailable when there is no connection."""
        with connecting():
            pooled = await self.engine.raw_connection()
        connection = pooled.driver_connection
        assert isinstance(connection, asyncpg.Connection)
        try:
            with connecting():
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    await connection.execute(f"SET LOCAL statement_timeout = {int(_PATIENCE.total_seconds())}000")
                    return [breach for promise in PROMISES if (breach := await self._check(connection, promise)).rows]
        finally:
            pooled.close()

    async def _check(self, connection: "asyncpg.Connection[asyncpg.Record]", promise: str) -> Breach:
        checker = _CHECKERS[promise]
        arguments = checker.arguments(
            {
                "lag": self.lag,
                "settling": self.settling,
                "end": POLL_END,
                "pause": LONGEST_PAUSE + LEASE,
                "outcomes": list(Outcome),
                "tables": list(APPEND_ONLY),
            }
        )
        rows = await connection.fetch(
            f"SELECT * FROM ({checker.sql}) AS breach LIMIT {EXAMPLES}",  # noqa: S608 - words of our own
            *arguments,
            timeout=_PATIENCE.total_seconds(),
        )
        return Breach(promise, [dict(row) for row in rows])
