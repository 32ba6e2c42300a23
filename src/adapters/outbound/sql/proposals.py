"""Proposals as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlalchemy import bindparam, select, text

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import Row, inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.errors import NotFound
from domain.proposals import Proposal, ProposalStatus

_t = tables.proposal
_GET = prepare(select(_t).where(_t.c.id == bindparam("id")))
_LOCK = prepare(select(_t).where(_t.c.id == bindparam("id")).with_for_update(key_share=True))
_CLAIM = prepare(
    select(_t)
    .where(text(tables.PROPOSAL_OPEN), _t.c.expires_at <= bindparam("now"))
    .order_by(_t.c.expires_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True, key_share=True)
)
_ADD = inserting("add_proposal", _t, [column.name for column in _t.columns])
_MUTABLE = ["status", "decided_by", "decided_by_name", "decided_at", "reason", "result", "revision"]
_SAVE = updating("save_proposal", _t, _MUTABLE, revision=True)


@dataclass(frozen=True, slots=True)
class SqlProposals:
    tx: Transaction

    async def get(self, proposal_id: str) -> Proposal:
        for found in await self.tx.read(_GET, id=proposal_id):
            return proposal_of(found)
        raise NotFound(f"no proposal {proposal_id}")

    async def lock(self, proposal_id: str) -> Proposal:
        for found in await self.tx.run(_LOCK, id=proposal_id):
            return proposal_of(found)
        raise NotFound(f"no proposal {proposal_id}")

    async def add(self, proposal: Proposal) -> None:
        await self.tx.write(_ADD, [_row(proposal)])

    async def save(self, proposal: Proposal) -> None:
        row = _row(proposal)
        await self.tx.write(_SAVE, [{name: row[name] for name in ("id", *_MUTABLE)}], short=stale)

    async def claim_expired(self, now: datetime, *, limit: int) -> Sequence[Proposal]:
        return [proposal_of(found) for found in await self.tx.run(_CLAIM, now=now, limit=limit)]


def proposal_of(found: asyncpg.Record) -> Proposal:
    return Proposal(**(dict(found) | {"status": ProposalStatus(found["status"])}))


def _row(proposal: Proposal) -> Row:
    return {column.name: getattr(proposal, column.name) for column in _t.columns}
