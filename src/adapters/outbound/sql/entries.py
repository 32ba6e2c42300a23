"""Account entries as rows: added, never changed."""

from dataclasses import dataclass

import asyncpg
from sqlalchemy import bindparam, select

from adapters.outbound.sql import tables
from adapters.outbound.sql.events import publish
from adapters.outbound.sql.statements import inserting, prepare
from adapters.outbound.sql.transaction import Transaction
from domain.account_entries import AccountEntry, EntryKind
from domain.channels import Mode
from domain.errors import NotFound
from domain.money import Money

_t = tables.account_entry
_ADD = inserting(
    "add_entry",
    _t,
    [
        "id", "kind", "merchant_id", "mode", "amount", "repaid", "currency", "reason", "bank_reference", "made_by",
        "created_at",
    ],
)  # fmt: skip
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
_REFERRING = prepare(select(_t).where(_t.c.mode == bindparam("mode"), _t.c.bank_reference == bindparam("reference")))


@dataclass(frozen=True, slots=True)
class SqlAccountEntries:
    tx: Transaction

    async def get(self, entry_id: str) -> AccountEntry:
        for found in await self.tx.read(_GET, id=entry_id):
            return _entry(found)
        raise NotFound("no such entry")

    async def referring(self, mode: Mode, reference: str) -> AccountEntry | None:
        for found in await self.tx.read(_REFERRING, mode=mode, reference=reference):
            return _entry(found)
        return None

    async def add(self, entry: AccountEntry) -> None:
        row = {
            "id": entry.id,
            "kind": entry.kind,
            "merchant_id": entry.merchant_id,
            "mode": entry.mode,
            "amount": entry.amount.minor,
            "repaid": entry.repaid.minor,
            "currency": entry.amount.currency,
            "reason": entry.reason,
            "bank_reference": entry.bank_reference,
            "made_by": entry.made_by,
            "created_at": entry.created_at,
        }
        await self.tx.write(_ADD, [row])
        await publish(self.tx, entry.events)


def _entry(found: asyncpg.Record) -> AccountEntry:
    return AccountEntry(
        id=found["id"],
        kind=EntryKind(found["kind"]),
        merchant_id=found["merchant_id"],
        mode=Mode(found["mode"]),
        amount=Money(found["amount"], found["currency"]),
        repaid=Money(found["repaid"], found["currency"]),
        reason=found["reason"],
        bank_reference=found["bank_reference"],
        made_by=found["made_by"],
        created_at=found["created_at"],
    )
