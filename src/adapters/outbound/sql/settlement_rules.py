"""Settlement rules as rows, one a merchant that has its own."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import Text, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import prepare
from adapters.outbound.sql.transaction import Transaction
from domain.money import Money
from domain.settlement_rules import Cycle, SettlementRule
from domain.settlements import Rail, Source

_t = tables.settlement_rule
_COLUMNS = [
    "merchant_id", "cycle", "day", "minimum", "maximum", "fee", "currency", "risk_days", "rail", "source_owner",
    "source_fund", "next_at", "revision",
]  # fmt: skip
_MANY = prepare(select(_t).where(_t.c.merchant_id == func.any(bindparam("ids", type_=ARRAY(Text)))))
_LOCK = prepare(select(_t).where(_t.c.merchant_id == bindparam("id")).with_for_update(key_share=True))
_DUE = prepare(
    select(_t)
    .where(text(tables.RELEASE_WAITS), _t.c.next_at <= bindparam("now"))
    .order_by(_t.c.next_at, _t.c.merchant_id)
    .limit(1)
    .with_for_update(key_share=True, skip_locked=True)
)
_given = {name: bindparam(name, type_=_t.c[name].type) for name in _COLUMNS}
_SAVE = prepare(
    insert(_t)
    .values(_given)
    .on_conflict_do_update(
        index_elements=["merchant_id"], set_={name: value for name, value in _given.items() if name != "merchant_id"}
    )
)


@dataclass(frozen=True, slots=True)
class SqlSettlementRules:
    tx: Transaction

    async def of(self, merchant_id: str) -> SettlementRule:
        return (await self.many([merchant_id]))[merchant_id]

    async def many(self, merchant_ids: Collection[str]) -> Mapping[str, SettlementRule]:
        found = {row["merchant_id"]: _rule_of(row) for row in await self.tx.read(_MANY, ids=list(merchant_ids))}
        return {id_: found.get(id_) or SettlementRule(merchant_id=id_) for id_ in merchant_ids}

    async def lock(self, merchant_id: str) -> SettlementRule:
        found = await self.tx.run(_LOCK, id=merchant_id)
        return _rule_of(found[0]) if found else SettlementRule(merchant_id=merchant_id)

    async def claim_due(self, now: datetime) -> SettlementRule | None:
        found = await self.tx.run(_DUE, now=now)
        return _rule_of(found[0]) if found else None

    async def save(self, rule: SettlementRule) -> None:
        values: dict[str, Any] = {
            "merchant_id": rule.merchant_id,
            "cycle": rule.cycle,
            "day": rule.day,
            "minimum": rule.minimum.minor,
            "maximum": rule.maximum.minor if rule.maximum else None,
            "fee": rule.fee.minor,
            "currency": rule.minimum.currency,
            "risk_days": rule.risk_days,
            "rail": rule.source.rail,
            "source_owner": rule.source.owner,
            "source_fund": rule.source.fund,
            "next_at": rule.next_at,
            "revision": rule.revision,
        }
        await self.tx.run(_SAVE, **values)


def _rule_of(found: asyncpg.Record) -> SettlementRule:
    currency = found["currency"]
    return SettlementRule(
        merchant_id=found["merchant_id"],
        cycle=Cycle(found["cycle"]),
        day=found["day"],
        minimum=Money(found["minimum"], currency),
        maximum=Money(found["maximum"], currency) if found["maximum"] is not None else None,
        fee=Money(found["fee"], currency),
        risk_days=found["risk_days"],
        source=Source(Rail(found["rail"]), found["source_owner"], found["source_fund"]),
        next_at=found["next_at"],
        revision=found["revision"],
    )
