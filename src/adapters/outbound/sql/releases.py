"""Releases as rows: scheduled by the day, claimed when due, held back by standing holds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import Text, bindparam, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import Statement, inserting, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.channels import Mode
from domain.errors import NotFound
from domain.money import Money
from domain.releases import Hold, Release

_t, _day, _hold = tables.release, tables.release_day, tables.hold

_DAY_DUE = prepare(
    insert(_day)
    .values(account_id=bindparam("account_id"), day=bindparam("day"), next_at=bindparam("now"))
    .on_conflict_do_update(index_elements=["account_id", "day"], set_={"next_at": bindparam("now")})
)
_one_day = (
    select(_day.c.account_id, _day.c.day)
    .where(text(tables.RELEASE_WAITS), _day.c.next_at <= bindparam("now"))
    .order_by(_day.c.next_at, _day.c.account_id, _day.c.day)
    .limit(1)
    .with_for_update(skip_locked=True)
    .subquery()
)
_CLAIM_DAY = prepare(
    update(_day)
    .where(_day.c.account_id == _one_day.c.account_id, _day.c.day == _one_day.c.day)
    .values(next_at=bindparam("retry_at"))
    .returning(_day.c.account_id, _day.c.day)
)
_DAY_DONE = prepare(
    update(_day)
    .where(_day.c.account_id == bindparam("account_id"), _day.c.day == bindparam("day"))
    .values(next_at=None)
)
# Every payment of a day that an order counts: effective, or held first and attributed by a person.
_COUNTED = """
FROM channel_payment p LEFT JOIN suspense_item s ON s.payment_id = p.id AND s.status = 'attributed'
JOIN payment_order o ON o.id = coalesce(s.order_id, p.order_id)
WHERE p.account_id = $1 AND p.fund_mode = 'collect' AND (p.unattributed IS NULL OR s.id IS NOT NULL)
AND p.paid_at >= ($2::date)::timestamp AT TIME ZONE 'Asia/Shanghai'
AND p.paid_at < ($2::date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
AND NOT EXISTS (SELECT FROM release r WHERE r.payment_id = p.id)
"""
_MERCHANTS = Statement(
    f"SELECT DISTINCT o.merchant_id {_COUNTED} ORDER BY o.merchant_id",
    ("account_id", "day"),
    {},
)
_SCHEDULE = Statement(
    "INSERT INTO release (payment_id, order_id, merchant_id, mode, account_id, day, net, currency, next_at, released,"
    " times) SELECT p.id, o.id, o.merchant_id, p.mode, p.account_id, $2::date,"
    " p.received - coalesce(s.fee, p.fee), p.currency, due.next_at, 0, 0"
    + _COUNTED.replace(
        "WHERE",
        "JOIN json_to_recordset($3::json) AS due (merchant_id text, next_at timestamptz)"
        " ON due.merchant_id = o.merchant_id WHERE",
        1,
    )
    + " ON CONFLICT (payment_id) DO NOTHING RETURNING 1",
    ("account_id", "day", "dues"),
    {},
)
_MOVING = ["next_at", "released", "times", "released_at"]
_SAVE = prepare(
    update(_t)
    .where(_t.c.payment_id == bindparam("id"))
    .values({name: bindparam(name, type_=_t.c[name].type) for name in _MOVING})
)
_GET = prepare(select(_t).where(_t.c.payment_id == bindparam("id")))
_LOCK = prepare(select(_t).where(_t.c.payment_id == bindparam("id")).with_for_update(key_share=True))
_due = (
    select(_t.c.payment_id)
    .where(text(tables.RELEASE_WAITS), _t.c.next_at <= bindparam("now"))
    .order_by(_t.c.next_at, _t.c.payment_id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
    .subquery()
)
_CLAIM = prepare(
    update(_t).where(_t.c.payment_id == _due.c.payment_id).values(next_at=bindparam("retry_at")).returning(*_t.c)
)
_WAKE = prepare(
    update(_t)
    .where(
        or_(_t.c.merchant_id == bindparam("subject"), _t.c.order_id == bindparam("subject")),
        text(tables.RELEASE_WAITS),
    )
    .values(next_at=bindparam("now"))
)
_HOLD = ["id", "merchant_id", "subject", "reason", "placed_by", "placed_at", "lifted_by", "lifted_at"]
_ADD_HOLD = inserting("add_hold", _hold, _HOLD)
_LIFT = prepare(
    update(_hold)
    .where(_hold.c.id == bindparam("hold_id"))
    .values(lifted_by=bindparam("lifted_by"), lifted_at=bindparam("lifted_at"))
)
_STANDING = prepare(
    select(_hold)
    .where(_hold.c.subject == func.any(bindparam("subjects", type_=ARRAY(Text))), text(tables.HOLD_STANDS))
    .order_by(_hold.c.placed_at, _hold.c.id)
)
_LOCK_HOLD = prepare(select(_hold).where(_hold.c.id == bindparam("id")).with_for_update(key_share=True))
_OF_MERCHANT = prepare(
    select(_hold)
    .where(_hold.c.merchant_id == bindparam("merchant_id"))
    .order_by(_hold.c.placed_at.desc(), _hold.c.id.desc())
)


@dataclass(frozen=True, slots=True)
class SqlReleaseDays:
    tx: Transaction

    async def due(self, account_id: str, day: date, now: datetime) -> None:
        await self.tx.run(_DAY_DUE, account_id=account_id, day=day, now=now)

    async def claim(self, now: datetime, *, retry_at: datetime) -> tuple[str, date] | None:
        found = await self.tx.run(_CLAIM_DAY, now=now, retry_at=retry_at)
        return (found[0]["account_id"], found[0]["day"]) if found else None

    async def merchants(self, account_id: str, day: date) -> Sequence[str]:
        return [found["merchant_id"] for found in await self.tx.read(_MERCHANTS, account_id=account_id, day=day)]

    async def schedule(self, account_id: str, day: date, dues: Mapping[str, datetime]) -> int:
        rows = [{"merchant_id": merchant_id, "next_at": due} for merchant_id, due in dues.items()]
        text_ = msgspec.json.encode(rows).decode()
        return len(await self.tx.run(_SCHEDULE, account_id=account_id, day=day, dues=text_))

    async def done(self, account_id: str, day: date) -> None:
        await self.tx.run(_DAY_DONE, account_id=account_id, day=day)


@dataclass(frozen=True, slots=True)
class SqlReleases:
    tx: Transaction

    async def of_payment(self, payment_id: str) -> Release | None:
        found = await self.tx.read(_GET, id=payment_id)
        return _release_of(found[0]) if found else None

    async def lock(self, payment_id: str) -> Release | None:
        found = await self.tx.run(_LOCK, id=payment_id)
        return _release_of(found[0]) if found else None

    async def save(self, release: Release) -> None:
        await self.tx.run(
            _SAVE,
            id=release.payment_id,
            next_at=release.next_at,
            released=release.released,
            times=release.times,
            released_at=release.released_at,
        )

    async def claim_due(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[Release]:
        found = await self.tx.run(_CLAIM, now=now, retry_at=retry_at, limit=limit)
        return sorted((_release_of(row) for row in found), key=lambda release: release.payment_id)

    async def wake(self, subject: str, now: datetime) -> None:
        await self.tx.run(_WAKE, subject=subject, now=now)


@dataclass(frozen=True, slots=True)
class SqlHolds:
    tx: Transaction

    async def standing(self, subjects: Collection[str]) -> Sequence[Hold]:
        return [_hold_of(found) for found in await self.tx.read(_STANDING, subjects=list(subjects))]

    async def add(self, hold: Hold) -> None:
        await self.tx.write(_ADD_HOLD, [{name: getattr(hold, name) for name in _HOLD}])

    async def lock(self, hold_id: str) -> Hold:
        for found in await self.tx.run(_LOCK_HOLD, id=hold_id):
            return _hold_of(found)
        raise NotFound(f"no hold {hold_id}")

    async def save(self, hold: Hold) -> None:
        await self.tx.run(_LIFT, hold_id=hold.id, lifted_by=hold.lifted_by, lifted_at=hold.lifted_at)

    async def of_merchant(self, merchant_id: str) -> Sequence[Hold]:
        return [_hold_of(found) for found in await self.tx.read(_OF_MERCHANT, merchant_id=merchant_id)]


def _release_of(found: asyncpg.Record) -> Release:
    return Release(
        payment_id=found["payment_id"],
        order_id=found["order_id"],
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        account_id=found["account_id"],
        day=found["day"],
        net=Money(found["net"], found["currency"]),
        next_at=found["next_at"],
        released=found["released"],
        times=found["times"],
        released_at=found["released_at"],
    )


def _hold_of(found: asyncpg.Record) -> Hold:
    values: dict[str, Any] = {name: found[name] for name in _HOLD}
    return Hold(**values)
