"""What went wrong with channel accounts of late, as rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import prepare
from adapters.outbound.sql.transaction import Transaction
from domain.channels import Method
from domain.routing import Health

_t = tables.account_health
_this = (_t.c.account_id == bindparam("account_id"), _t.c.method == bindparam("method"))
_ADD = prepare(
    insert(_t)
    .values({c.name: bindparam(c.name) for c in _t.c})
    .on_conflict_do_nothing(index_elements=["account_id", "method"])
)
_LOCK = prepare(select(_t).where(*_this).with_for_update())
_MOVING = ("since", "failures", "pauses", "paused_until", "reason")
_SAVE = prepare(update(_t).values({name: bindparam(name) for name in _MOVING}).where(*_this))
_TRY = prepare(
    update(_t)
    .values(paused_until=bindparam("until"))
    .where(*_this, _t.c.paused_until <= bindparam("now"))
    .returning(_t.c.account_id)
)
_RECOVERED = prepare(update(_t).values(failures=0, pauses=0, paused_until=None).where(*_this, _t.c.failures > 0))
# What is wrong with one account, in a row of that account.
OF_ACCOUNT = (
    select(func.json_agg(func.row_to_json(_t.table_valued())))
    .where(_t.c.account_id == tables.channel_account.c.id, _t.c.failures > 0)
    .scalar_subquery()
    .label("health")
)


@dataclass(frozen=True, slots=True)
class SqlAccountHealth:
    tx: Transaction

    async def lock(self, account_id: str, method: Method, now: datetime) -> Health:
        await self.tx.run(_ADD, **_row(Health(account_id=account_id, method=method, since=now)))
        (found,) = await self.tx.run(_LOCK, account_id=account_id, method=method)
        return _health(dict(found))

    async def save(self, health: Health) -> None:
        await self.tx.run(_SAVE, **_row(health))

    async def try_again(self, health: Health, now: datetime) -> bool:
        until = health.tried(now).paused_until
        return bool(await self.tx.run(_TRY, account_id=health.account_id, method=health.method, now=now, until=until))

    async def recovered(self, account_id: str, method: Method) -> None:
        await self.tx.run(_RECOVERED, account_id=account_id, method=method)


def health_of(found: Mapping[str, Any]) -> Health:
    """A row as JSON says it: times are text."""
    times = {n: found[n] and datetime.fromisoformat(found[n]) for n in ("since", "paused_until")}
    return _health({**found, **times})


def _health(found: Mapping[str, Any]) -> Health:
    return Health(**{**found, "method": Method(found["method"])})


def _row(health: Health) -> dict[str, Any]:
    return {name: getattr(health, name) for name in ("account_id", "method", *_MOVING)}
