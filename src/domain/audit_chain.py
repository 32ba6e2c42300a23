"""The chain over the audit records: each link's digest covers its record and the link before, so all before it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.actors import AuditRecord

GENESIS = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record and its place in the order of transactions: (xid, n)."""

    record: AuditRecord
    xid: int
    n: int

    @property
    def place(self) -> tuple[int, int]:
        return self.xid, self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """``position`` counts from 1, without gaps."""

    position: int
    record_id: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What the chain's end was at some time, as it was exported to outside the database."""

    at: datetime
    position: int
    digest: bytes


def chained(head: Link | None, entries: Sequence[Entry]) -> Sequence[Link]:
    """The links that follow the head, one for each entry, in their order."""
    links: list[Link] = []
    position, digest = (head.position, head.digest) if head else (0, GENESIS)
    for entry in entries:
        position, digest = position + 1, digest_of(digest, entry)
        links.append(Link(position=position, record_id=entry.record.id, digest=digest))
    return links


def digest_of(previous: bytes, entry: Entry) -> bytes:
    """SHA-256 over the digest before and every stored field, as JSON with sorted keys and no spaces in UTF-8."""
    text = json.dumps(_fields(entry), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(previous + text.encode()).digest()


def _fields(entry: Entry) -> dict[str, Any]:
    record, actor = entry.record, entry.record.actor
    return {
        "id": record.id,
        "at": record.at.isoformat(),
        "actor": [str(actor.kind), actor.id, actor.name, list(actor.roles), actor.merchant_id, actor.behind],
        "from": [actor.address, actor.request_id],
        "action": record.action,
        "object": [record.object_id, record.merchant_id],
        "before": dict(record.before),
        "after": dict(record.after),
        "place": [entry.xid, entry.n],
    }
