"""The audit chain: made in the background, its end exported to outside the database, and looked through."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from application.ports.people import AuditRoots
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from domain.audit_chain import GENESIS, Link, Root, chained, digest_of
from domain.times import shanghai_day

CHAINED_AT_ONCE = 500
LOOKED_AT_ONCE = 1_000
MOST_FINDINGS = 100


@dataclass(frozen=True, slots=True)
class ChainAudit:
    """Link records to the chain's end, in the order of their transactions, once no earlier one can appear any more.

    One at a time; whoever comes meanwhile waits, and finds less to do.
    """

    unit_of_work: UnitOfWorkFactory

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            head = await uow.chain.lock_head()
            links = chained(head, await uow.chain.unchained(limit=CHAINED_AT_ONCE))
            await uow.chain.add(links)
        return len(links)


@dataclass(frozen=True, slots=True)
class ExportAuditRoot:
    """Once a day of Shanghai, if anything was chained since: the chain's end, to where the database's owner cannot
    write. Whoever rewrites the chain afterwards would have to rewrite that as well."""

    unit_of_work: UnitOfWorkFactory
    roots: AuditRoots
    clock: Clock

    async def __call__(self) -> int:
        now = self.clock.now()
        exported = await self.roots.read()
        last = exported[-1] if exported else None
        if last is not None and shanghai_day(last.at) >= shanghai_day(now):
            return 0
        async with self.unit_of_work() as uow:
            head = await uow.chain.head()
        if head is None or (last is not None and head.position <= last.position):
            return 0
        await self.roots.append(Root(at=now, position=head.position, digest=head.digest))
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and what is wrong: empty ``findings`` mean that nothing before ``last_root`` was edited,
    removed or inserted since it was exported."""

    chained: int
    pending: int
    roots: int
    last_root: Root | None
    findings: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class VerifyAudit:
    """Walk the chain from its first link, and compare it with every exported root."""

    unit_of_work: UnitOfWorkFactory
    roots: AuditRoots

    async def __call__(self) -> Verified:
        findings: list[str] = []
        exported = await exported_roots(self.roots, findings)
        position, last = 0, GENESIS
        while True:
            async with self.unit_of_work() as uow:
                looked = await uow.chain.after(position, limit=LOOKED_AT_ONCE)
            for link, entry in looked:
                if link.position != position + 1:
                    findings.append(f"links {position + 1} to {link.position - 1} are missing: removed")
                elif entry is None:
                    findings.append(f"link {link.position}: its record {link.record_id} is missing: removed")
                elif digest_of(last, entry) != link.digest:
                    findings.append(
                        f"link {link.position}: its record {link.record_id} is not what was chained: edited"
                    )
                findings += _compared(link, exported)
                position, last = link.position, link.digest
            if len(looked) < LOOKED_AT_ONCE or len(findings) > MOST_FINDINGS:
                break
        if exported and max(exported) > position:
            findings.append(f"the chain ends at {position}, and an exported root stands at {max(exported)}: removed")
        async with self.unit_of_work() as uow:
            strays, pending = await uow.chain.strays(limit=MOST_FINDINGS), await uow.chain.pending()
        findings += [
            f"record {record_id} stands before the chain's end and is not in it: inserted" for record_id in strays
        ]
        return Verified(
            chained=position,
            pending=pending,
            roots=len(exported),
            last_root=exported[max(exported)] if exported else None,
            findings=findings[:MOST_FINDINGS],
        )


async def exported_roots(roots: AuditRoots, findings: list[str]) -> dict[int, Root]:
    """By position. What is wrong with the export itself is one of the ``findings``, and nothing of it is believed."""
    try:
        return {root.position: root for root in await roots.read()}
    except ValueError as broken:
        findings.append(str(broken))
        return {}


def _compared(link: Link, exported: dict[int, Root]) -> list[str]:
    root = exported.get(link.position)
    if root is None or root.digest == link.digest:
        return []
    return [f"link {link.position} is not what was exported at {root.at.isoformat()}: rewritten up to there"]
