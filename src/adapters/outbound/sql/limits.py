"""Limits of merchants as rows, and the amount that each day has taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, and_, bindparam, case, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import Write, given, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.attempts import COUNTING, Attempt
from domain.channels import Method, Mode
from domain.limits import Limit

_l, _d, _a = tables.method_limit, tables.daily_amount, tables.attempt
_OF_MERCHANT = prepare(
    select(_l)
    .where(_l.c.merchant_id == bindparam("merchant_id"), func.num_nulls(_l.c.single, _l.c.daily) < 2)
    .order_by(_l.c.method)
)
_limit = insert(_l).values({c.name: bindparam(c.name) for c in _l.c})
_SET = prepare(
    _limit.on_conflict_do_update(
        index_elements=["merchant_id", "method"],
        set_={"single": _limit.excluded.single, "daily": _limit.excluded.daily},
    )
)
_amount = insert(_d).values({c.name: bindparam(c.name) for c in _d.c})
_RESERVE = prepare(
    _amount.on_conflict_do_update(
        index_elements=["merchant_id", "mode", "method", "day"],
        set_={"amount": _d.c.amount + _amount.excluded.amount},
        where=_d.c.amount + _amount.excluded.amount <= bindparam("most"),
    ).returning(_d.c.amount)
)
_TAKEN = prepare(
    select(_d).where(
        _d.c.merchant_id == bindparam("merchant_id"), _d.c.mode == bindparam("mode"), _d.c.day == bindparam("day")
    )
)
# Travels with the update of the attempt, in one statement: what it reads is the status before.
_moved = given(_a, ["id", "status"], joined=True)


def _counting(status: ColumnElement[str]) -> ColumnElement[bool]:
    return status.in_([literal_column(f"'{counting}'") for counting in sorted(COUNTING)])


_FOLLOW = Write(
    "follow_daily_amount",
    _d.name,
    prepare(
        update(_d)
        .values(amount=_d.c.amount + case((_counting(_moved["status"]), _a.c.amount), else_=-_a.c.amount))
        .where(
            _a.c.id == _moved["id"],
            and_(
                _d.c.merchant_id == _a.c.merchant_id,
                _d.c.mode == _a.c.mode,
                _d.c.method == _a.c.method,
                _d.c.day == _a.c.counted_on,
            ),
            _counting(_a.c.status) != _counting(_moved["status"]),
        )
    ),
)


async def follow(tx: Transaction, attempt: Attempt) -> None:
    """Keep the day's amount in step with an attempt that is being saved."""
    if attempt.counted_on is not None:
        await tx.write(_FOLLOW, [{"id": attempt.id, "status": attempt.status}])


@dataclass(frozen=True, slots=True)
class SqlLimits:
    tx: Transaction

    async def of_merchant(self, merchant_id: str) -> Sequence[Limit]:
        return [
            Limit(Method(found["method"]), found["single"], found["daily"])
            for found in await self.tx.read(_OF_MERCHANT, merchant_id=merchant_id)
        ]

    async def set(self, merchant_id: str, limit: Limit) -> None:
        await self.tx.run(_SET, merchant_id=merchant_id, method=limit.method, single=limit.single, daily=limit.daily)

    async def reserve(self, attempt: Attempt, most: int) -> bool:
        if attempt.amount.minor > most:
            return False
        taken = await self.tx.run(
            _RESERVE,
            merchant_id=attempt.merchant_id,
            mode=attempt.mode,
            method=attempt.method,
            day=attempt.counted_on,
            amount=attempt.amount.minor,
            most=most,
        )
        return bool(taken)

    async def taken(self, merchant_id: str, mode: Mode, day: date) -> Mapping[Method, int]:
        rows = await self.tx.read(_TAKEN, merchant_id=merchant_id, mode=mode, day=day)
        return {Method(found["method"]): found["amount"] for found in rows}
