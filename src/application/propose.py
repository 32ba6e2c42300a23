"""Maker-checker: propose an action, decide what another has proposed, and let the undecided run out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.actors import SYSTEM, Actor
from domain.permissions import Realm, known
from domain.proposals import Proposal

# Does what was proposed, inside the unit of work that decides, with the proposal's row locked; whatever it raises
# undoes the decision too. Its answer is kept with the proposal and shown: JSON, no secret. Calls no channel.
Execute = Callable[[UnitOfWork, Proposal, Actor], Awaitable[Mapping[str, Any]]]
Executors = Mapping[str, Execute]
# Undoes what was set aside when it was proposed, in the unit of work in which it is rejected, withdrawn or runs out.
Decline = Callable[[UnitOfWork, Proposal], Awaitable[None]]
Decliners = Mapping[str, Decline]

EXPIRED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Propose:
    """Ask for an action that needs a second person. ``permission`` is what that person has to hold."""

    unit_of_work: UnitOfWorkFactory
    executors: Executors
    clock: Clock
    ids: Ids

    async def __call__(
        self,
        actor: Actor,
        action: str,
        payload: Mapping[str, Any],
        *,
        summary: str,
        permission: str,
        merchant_id: str | None = None,
    ) -> Proposal:
        async with self.unit_of_work() as uow:
            return await self.within(
                uow, actor, action, payload, summary=summary, permission=permission, merchant_id=merchant_id
            )

    async def within(
        self,
        uow: UnitOfWork,
        actor: Actor,
        action: str,
        payload: Mapping[str, Any],
        *,
        summary: str,
        permission: str,
        merchant_id: str | None = None,
    ) -> Proposal:
        """The same as a part of a larger unit of work."""
        assert action in self.executors, f"nobody executes {action}: register it in the container"
        assert known(Realm.PLATFORM, permission), f"there is no permission {permission}"
        now = self.clock.now()
        proposal = Proposal.make(
            actor,
            id=self.ids.new("prp"),
            action=action,
            payload=payload,
            summary=summary,
            permission=permission,
            merchant_id=merchant_id,
            now=now,
        )
        await uow.proposals.add(proposal)
        await uow.audit.add(
            actor.did(
                "proposal.made",
                proposal.id,
                id=self.ids.new("aud"),
                at=now,
                merchant_id=merchant_id,
                after={"action": action, "payload": payload, "summary": summary},
            )
        )
        return proposal


@dataclass(frozen=True, slots=True)
class DecideProposal:
    """Approve and execute, reject, or withdraw: once, whoever comes second raises Conflict.

    Raises Forbidden for the maker's own and for who lacks the permission that it names, Conflict when it is decided
    or expired, and on ``approve`` whatever its executor raises: then nothing has happened and it stays open.
    """

    unit_of_work: UnitOfWorkFactory
    executors: Executors
    clock: Clock
    ids: Ids
    decliners: Decliners = field(default_factory=dict)

    async def get(self, proposal_id: str) -> Proposal:
        async with self.unit_of_work() as uow:
            return await uow.proposals.get(proposal_id)

    async def approve(self, actor: Actor, proposal_id: str) -> Proposal:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            proposal = await uow.proposals.lock(proposal_id)
            proposal.open_to(actor, now)
            result = await self.executors[proposal.action](uow, proposal, actor)
            decided = proposal.executed(actor, result, now)
            await self._save(uow, actor, proposal, decided, "proposal.executed")
        return decided

    async def reject(self, actor: Actor, proposal_id: str, reason: str) -> Proposal:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            proposal = await uow.proposals.lock(proposal_id)
            decided = proposal.rejected(actor, reason, now)
            await _decline(self.decliners, uow, decided)
            await self._save(uow, actor, proposal, decided, "proposal.rejected")
        return decided

    async def withdraw(self, actor: Actor, proposal_id: str) -> Proposal:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            proposal = await uow.proposals.lock(proposal_id)
            decided = proposal.withdrawn(actor, now)
            await _decline(self.decliners, uow, decided)
            await self._save(uow, actor, proposal, decided, "proposal.withdrawn")
        return decided

    async def _save(self, uow: UnitOfWork, actor: Actor, before: Proposal, after: Proposal, action: str) -> None:
        assert after.decided_at is not None
        await uow.proposals.save(after)
        await uow.audit.add(
            actor.did(
                action,
                after.id,
                id=self.ids.new("aud"),
                at=after.decided_at,
                merchant_id=after.merchant_id,
                before={"status": str(before.status)},
                after={
                    "status": str(after.status),
                    "action": after.action,
                    "reason": after.reason,
                    "result": dict(after.result),
                },
            )
        )


@dataclass(frozen=True, slots=True)
class ExpireProposals:
    """What nobody decided in time is over."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    decliners: Decliners = field(default_factory=dict)

    async def __call__(self) -> int:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            due = await uow.proposals.claim_expired(now, limit=EXPIRED_AT_ONCE)
            for proposal in due:
                await uow.proposals.save(proposal.expired(now))
                await _decline(self.decliners, uow, proposal)
                await uow.audit.add(
                    SYSTEM.did(
                        "proposal.expired",
                        proposal.id,
                        id=self.ids.new("aud"),
                        at=now,
                        merchant_id=proposal.merchant_id,
                    )
                )
        return len(due)


async def _decline(decliners: Decliners, uow: UnitOfWork, proposal: Proposal) -> None:
    decline = decliners.get(proposal.action)
    if decline is not None:
        await decline(uow, proposal)
