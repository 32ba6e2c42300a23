"""Reports of payments on PostgreSQL: one statement for each way to group, set by set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import text

from adapters.outbound.sql.statements import Statement, prepare
from adapters.outbound.sql.transaction import reading
from adapters.outbound.sql.unit_of_work import SqlDatabase
from application.ports.reports import By, Wanted
from domain.errors import InvalidRequest
from domain.refunds import DEBITED

_FIGURES = ("payments", "gross", "refunds", "refunded", "fees", "cost")
_DEBITED = ", ".join(f"'{status}'" for status in sorted(DEBITED))


def _within(at: str) -> str:
    first = "CAST(CAST(:first AS date) AS timestamp) AT TIME ZONE 'Asia/Shanghai'"
    end = "CAST(CAST(:last AS date) + 1 AS timestamp) AT TIME ZONE 'Asia/Shanghai'"
    return f"{at} >= {first} AND {at} < {end}"


def _stands(refund: str) -> str:
    return f"{refund}.status IN ({_DEBITED}) AND {refund}.item_id IS NULL"


def _of_day(at: str) -> str:
    return f"CAST({at} AT TIME ZONE 'Asia/Shanghai' AS date)"


# Rounded half up, as domain.money.Rate; nothing where the merchant's own channel account bears it.
_COST = """CASE p.fund_mode WHEN 'collect' THEN (2 * p.received * coalesce(a.cost_ppm, 0) + 1000000) / 2000000
           ELSE 0 END"""


def _returned(refunded: str) -> str:
    """What has come back of a payment's cost after so much was refunded: of the running total, as fee shares are."""
    return f"coalesce(div(2 * CAST(f.cost AS numeric) * ({refunded}) + f.received, nullif(2 * f.received, 0)), 0)"


# By account first: each has an index of its payments and one of its refunds by time.
_FACTS = f"""
WITH paid AS (
  SELECT p.id, {_of_day("p.paid_at")} AS day, coalesce(o.merchant_id, p.merchant_id) AS merchant_id, c.channel,
         a.method, p.currency, p.received, p.fee + coalesce(s.fee, 0) AS fee, {_COST} AS cost
  FROM channel_account c
  JOIN channel_payment p ON p.account_id = c.id AND {_within("p.paid_at")}
  LEFT JOIN attempt a ON a.id = p.attempt_id
  LEFT JOIN suspense_item s ON s.payment_id = p.id AND s.status = 'attributed'
  LEFT JOIN payment_order o ON o.id = s.order_id
  WHERE c.mode = :mode AND (CAST(:channel AS text) IS NULL OR c.channel = :channel)
  AND (p.unattributed IS NULL OR s.id IS NOT NULL)
), given_back AS (
  SELECT {_of_day("r.accepted_at")} AS day, r.merchant_id, f.channel, f.method, r.currency, r.debit, r.share,
         {_returned("before.debit + r.debit")} - {_returned("before.debit")} AS cost
  FROM channel_account c
  JOIN refund r ON r.account_id = c.id AND {_within("r.accepted_at")} AND {_stands("r")}
  CROSS JOIN LATERAL (
    SELECT c.channel, a.method, p.received, {_COST} AS cost
    FROM channel_payment p LEFT JOIN attempt a ON a.id = p.attempt_id WHERE p.id = r.payment_id
  ) AS f
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(b.debit), 0) AS debit FROM refund b
    WHERE b.payment_id = r.payment_id AND {_stands("b")} AND (b.accepted_at, b.id) < (r.accepted_at, r.id)
  ) AS before
  WHERE c.mode = :mode AND (CAST(:channel AS text) IS NULL OR c.channel = :channel)
), facts AS (
  SELECT day, merchant_id, channel, method, currency, 1 AS payments, received AS gross, 0 AS refunds, 0 AS refunded,
         fee AS fees, cost FROM paid
  UNION ALL
  SELECT day, merchant_id, channel, method, currency, 0, 0, 1, debit, -share, -cost FROM given_back
)
"""  # noqa: S608 - words of our own


@lru_cache(maxsize=16)
def _statement(by: tuple[By, ...]) -> Statement:
    keys = [*by, "currency"]
    order = [key if key == By.DAY else f'{key} COLLATE "C"' for key in keys]
    sums = ", ".join(f"CAST(sum({name}) AS bigint) AS {name}" for name in _FIGURES)
    return prepare(
        text(f"""{_FACTS} SELECT {", ".join(keys)}, {sums} FROM facts
WHERE CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id
GROUP BY {", ".join(keys)} ORDER BY {", ".join(order)} LIMIT CAST(:most AS bigint) + 1""")  # noqa: S608
    )


@dataclass(frozen=True, slots=True)
class SqlReports:
    database: SqlDatabase

    async def payments(self, wanted: Wanted) -> Sequence[Mapping[str, Any]]:
        async with reading(self.database.engine) as tx:
            found = await tx.read(
                _statement(wanted.by),
                mode=wanted.mode,
                first=wanted.first,
                last=wanted.last,
                merchant_id=wanted.merchant_id,
                channel=wanted.channel,
                most=wanted.most,
            )
        if len(found) > wanted.most:
            raise InvalidRequest(f"a report has at most {wanted.most} rows", code="report_too_large")
        return [_row(dict(row)) for row in found]


def _row(found: dict[str, Any]) -> Mapping[str, Any]:
    day = {"day": str(found["day"])} if "day" in found else {}
    return found | day | {"margin": found["fees"] - found["cost"]}
