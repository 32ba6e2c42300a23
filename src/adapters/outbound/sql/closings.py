"""Closed ledger days as rows, made and compared by sets: a day of a million transfers is one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg
from sqlalchemy import text

from adapters.outbound.sql.statements import Statement, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.closing import Closing, Content, Position

_ONE_AT_A_TIME = 0x636C6F7365  # "close": the advisory lock of those who close

# The transfers of a day (ports/closings.py). Two ranges, so that each finds its own index.
_OF_DAY = """t.xid < CAST(CAST(:cut AS text) AS xid8) AND (t.posting_date = CAST(:day AS date)
  OR t.posting_date < CAST(:day AS date) AND t.xid >= CAST(CAST(:before AS text) AS xid8))"""
_LINE = """CAST(jsonb_build_array(CAST(t.xid AS text), t.id, t.idem_key, t.fact, t.debit_account, t.credit_account,
  t.amount, t.currency, t.mode, t.about, t.channel_date, t.posting_date,
  to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')) AS text)"""
_MOVED = f"""
  SELECT id, CAST(sum(debit) AS bigint) AS debits, CAST(sum(credit) AS bigint) AS credits
  FROM (SELECT t.debit_account AS id, t.amount AS debit, 0 AS credit FROM transfer t WHERE {_OF_DAY}
        UNION ALL SELECT t.credit_account, 0, t.amount FROM transfer t WHERE {_OF_DAY}) AS leg
  GROUP BY id"""  # noqa: S608 - words of our own, here and below


def _said(words: str) -> Statement:
    return prepare(text(words))


_CLOSING = "SELECT day, CAST(cut AS text) AS cut, transfers, digest, closed_at FROM ledger_closing"
_LOCK = _said("SELECT pg_advisory_xact_lock(CAST(:key AS bigint))")
_LAST = _said(f"{_CLOSING} ORDER BY day DESC LIMIT 1")
_OF = _said(f"{_CLOSING} WHERE day = CAST(:day AS date)")
_AFTER = _said(f"{_CLOSING} WHERE day > CAST(:day AS date) ORDER BY day LIMIT CAST(:limit AS bigint)")
_FIRST = _said("SELECT posting_date FROM transfer ORDER BY id LIMIT 1")
_HORIZON = _said("SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS xid")
_CONTENT = _said(f"""
SELECT count(*) AS transfers,
       sha256(coalesce(string_agg(sha256(convert_to({_LINE}, 'UTF8')), '' ORDER BY t.xid, t.id), '')) AS digest
FROM transfer t WHERE {_OF_DAY}
""")  # noqa: S608
_ADD = _said("""
INSERT INTO ledger_closing (day, cut, transfers, digest, closed_at) VALUES (CAST(:day AS date),
  CAST(CAST(:cut AS text) AS xid8), CAST(:transfers AS bigint), CAST(:digest AS bytea), CAST(:closed_at AS timestamptz))
""")
_BEFORE = """LEFT JOIN LATERAL (
  SELECT c.closing FROM account_closing c WHERE c.account_id = moved.id AND c.day < CAST(:day AS date)
  ORDER BY c.day DESC LIMIT 1) AS earlier ON true"""
_ADD_FIGURES = _said(f"""
INSERT INTO account_closing (account_id, day, opening, debits, credits, closing)
SELECT moved.id, CAST(:day AS date), coalesce(earlier.closing, 0), debits, credits,
       coalesce(earlier.closing, 0) + credits - debits
FROM ({_MOVED}) AS moved {_BEFORE}
""")  # noqa: S608
_AMISS = _said(f"""
SELECT coalesce(a.kind || '/' || a.owner || '/' || a.mode, CAST(account_id AS text)) AS account
FROM (SELECT moved.id AS account_id, coalesce(earlier.closing, 0) AS opening, debits, credits
      FROM ({_MOVED}) AS moved {_BEFORE}) AS rows
FULL JOIN (SELECT * FROM account_closing WHERE day = CAST(:day AS date)) AS kept USING (account_id)
LEFT JOIN ledger_account a ON a.id = account_id
WHERE (rows.opening, rows.debits, rows.credits, rows.opening + rows.credits - rows.debits)
  IS DISTINCT FROM (kept.opening, kept.debits, kept.credits, kept.closing)
ORDER BY 1 LIMIT 20
""")  # noqa: S608
_TRIAL = _said("""
SELECT a.mode, a.currency, a.kind,
       CAST(sum(CASE WHEN last.day = CAST(:day AS date) THEN last.opening ELSE last.closing END) AS bigint) AS opening,
       CAST(sum(CASE WHEN last.day = CAST(:day AS date) THEN last.debits ELSE 0 END) AS bigint) AS debits,
       CAST(sum(CASE WHEN last.day = CAST(:day AS date) THEN last.credits ELSE 0 END) AS bigint) AS credits,
       CAST(sum(last.closing) AS bigint) AS closing
FROM ledger_account a CROSS JOIN LATERAL (
  SELECT c.* FROM account_closing c WHERE c.account_id = a.id AND c.day <= CAST(:day AS date)
  ORDER BY c.day DESC LIMIT 1) AS last
GROUP BY a.mode, a.currency, a.kind ORDER BY a.mode, a.currency, a.kind
""")


@dataclass(frozen=True, slots=True)
class SqlClosings:
    tx: Transaction

    async def lock(self) -> Closing | None:
        await self.tx.run(_LOCK, key=_ONE_AT_A_TIME)
        for found in await self.tx.read(_LAST):
            return _closing(found)
        return None

    async def of(self, day: date) -> Closing | None:
        for found in await self.tx.read(_OF, day=day):
            return _closing(found)
        return None

    async def after(self, day: date | None, *, limit: int) -> Sequence[Closing]:
        return [_closing(found) for found in await self.tx.read(_AFTER, day=day or date.min, limit=limit)]

    async def first_day(self) -> date | None:
        for found in await self.tx.read(_FIRST):
            day: date = found["posting_date"]
            return day
        return None

    async def horizon(self) -> int:
        (found,) = await self.tx.read(_HORIZON)
        return int(found["xid"])

    async def content(self, day: date, *, before: int, cut: int) -> Content:
        (found,) = await self.tx.read(_CONTENT, day=day, before=str(before), cut=str(cut))
        return Content(found["transfers"], found["digest"])

    async def add(self, closing: Closing, *, before: int) -> None:
        await self.tx.run(
            _ADD,
            day=closing.day,
            cut=str(closing.cut),
            transfers=closing.transfers,
            digest=closing.digest,
            closed_at=closing.closed_at,
        )
        await self.tx.run(_ADD_FIGURES, day=closing.day, before=str(before), cut=str(closing.cut))

    async def amiss(self, closing: Closing, *, before: int) -> Sequence[str]:
        found = await self.tx.read(_AMISS, day=closing.day, before=str(before), cut=str(closing.cut))
        return [f"{row['account']} did not move as it was closed" for row in found]

    async def trial(self, day: date) -> Sequence[Position]:
        return [Position(**row) for row in await self.tx.read(_TRIAL, day=day)]


def _closing(found: asyncpg.Record) -> Closing:
    return Closing(
        day=found["day"],
        cut=int(found["cut"]),
        transfers=found["transfers"],
        digest=found["digest"],
        closed_at=found["closed_at"],
    )
