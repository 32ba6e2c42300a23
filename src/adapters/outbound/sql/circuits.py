"""Circuits as rows: one for each address that fails, none for the others."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Text, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import Write, given, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.circuits import Circuit

_t = tables.circuit
_COLUMNS = ["lane", "endpoint_id", "failing_since", "failed_at", "failures", "pauses", "paused_until"]
_LOCK = prepare(
    select(_t).where(_t.c.lane == bindparam("lanes", type_=ARRAY(Text)).any_()).order_by(_t.c.lane).with_for_update()
)
_rows = given(_t, _COLUMNS)
_put = insert(_t).from_select(_COLUMNS, select(*_rows.values()), include_defaults=False)
_SAVE = Write(
    "save_circuit",
    "circuit",
    prepare(
        _put.on_conflict_do_update(
            index_elements=["lane"], set_={name: _put.excluded[name] for name in _COLUMNS if name != "lane"}
        )
    ),
)
# In one statement with other writes. Whoever is locked by others is left out: nobody waits, nobody deadlocks.
_closing = given(_t, ["lane"], joined=True)
_free = select(_t.c.lane).where(_t.c.lane == _closing["lane"]).with_for_update(of=_t, skip_locked=True).correlate(None)
_CLOSE = Write("close_circuit", "circuit", prepare(_t.delete().where(_t.c.lane.in_(_free))))


@dataclass(frozen=True, slots=True)
class SqlCircuits:
    tx: Transaction

    async def lock(self, lanes: Collection[str]) -> dict[str, Circuit]:
        return {found["lane"]: Circuit(**dict(found)) for found in await self.tx.run(_LOCK, lanes=sorted(lanes))}

    async def save(self, circuits: Sequence[Circuit]) -> None:
        rows = [
            {name: getattr(circuit, name) for name in _COLUMNS}
            for circuit in sorted(circuits, key=lambda each: each.lane)
        ]
        await self.tx.write(_SAVE, rows, key="lane")

    async def close(self, lanes: Collection[str]) -> None:
        if lanes:
            await self.tx.write(_CLOSE, [{"lane": lane} for lane in sorted(lanes)], key="lane")
