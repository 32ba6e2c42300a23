"""Maker-checker: an action that one person proposes and another decides. One mechanism for every such action."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from domain.actors import Actor
from domain.errors import Conflict, Forbidden
from domain.states import Table, step

# How long a proposal can be decided: over a weekend, not over a holiday.
OPEN_FOR = timedelta(hours=72)


class ProposalStatus(StrEnum):
    PROPOSED = "proposed"
    EXECUTED = "executed"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


PROPOSAL_TRANSITIONS: Table[ProposalStatus] = {
    ProposalStatus.PROPOSED: frozenset(
        {ProposalStatus.EXECUTED, ProposalStatus.REJECTED, ProposalStatus.WITHDRAWN, ProposalStatus.EXPIRED}
    ),
    ProposalStatus.EXECUTED: frozenset(),
    ProposalStatus.REJECTED: frozenset(),
    ProposalStatus.WITHDRAWN: frozenset(),
    ProposalStatus.EXPIRED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What shall be done, and by whom it was proposed and decided. Approving is executing: both or neither happen.

    ``action`` names the executor and ``payload`` is all that it needs: JSON, no secret, since those who decide read
    it. ``summary`` says it to them in a sentence. ``permission`` is what they have to hold.
    """

    id: str
    action: str
    payload: Mapping[str, Any]
    summary: str
    permission: str
    merchant_id: str | None
    made_by: str
    made_by_name: str
    maker: str = field(repr=False)
    created_at: datetime
    expires_at: datetime
    status: ProposalStatus = ProposalStatus.PROPOSED
    decided_by: str | None = None
    decided_by_name: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 0

    @classmethod
    def make(
        cls,
        actor: Actor,
        *,
        id: str,
        action: str,
        payload: Mapping[str, Any],
        summary: str,
        permission: str,
        merchant_id: str | None,
        now: datetime,
    ) -> Self:
        return cls(
            id=id,
            action=action,
            payload=payload,
            summary=summary,
            permission=permission,
            merchant_id=merchant_id,
            made_by=actor.id,
            made_by_name=actor.name,
            maker=actor.person,
            created_at=now,
            expires_at=now + OPEN_FOR,
        )

    def executed(self, actor: Actor, result: Mapping[str, Any], now: datetime) -> Self:
        """``result`` is what the executor answered. Raises as ``open_to`` does."""
        self.open_to(actor, now)
        return self._decided(ProposalStatus.EXECUTED, actor, now, result=result)

    def rejected(self, actor: Actor, reason: str, now: datetime) -> Self:
        self.open_to(actor, now)
        return self._decided(ProposalStatus.REJECTED, actor, now, reason=reason)

    def withdrawn(self, actor: Actor, now: datetime) -> Self:
        """By its maker alone. Raises Forbidden, or Conflict when it is decided or expired."""
        if actor.person != self.maker:
            raise Forbidden("only its maker can withdraw a proposal", code="forbidden")
        self._undecided(now)
        return self._decided(ProposalStatus.WITHDRAWN, actor, now)

    def expired(self, now: datetime) -> Self:
        assert now >= self.expires_at
        status = step("proposal", PROPOSAL_TRANSITIONS, self.status, ProposalStatus.EXPIRED)
        return replace(self, status=status, decided_at=now, revision=self.revision + 1)

    def open_to(self, actor: Actor, now: datetime) -> None:
        """Raises Forbidden for its maker and for who lacks its permission, Conflict when it is decided or expired."""
        if actor.person == self.maker:
            raise Forbidden("a proposal is decided by another than its maker", code="not_on_yourself")
        actor.require(self.permission)
        self._undecided(now)

    def _undecided(self, now: datetime) -> None:
        if self.status is ProposalStatus.EXPIRED or (self.status is ProposalStatus.PROPOSED and now >= self.expires_at):
            raise Conflict("this proposal has expired", code="proposal_expired")
        if self.status is not ProposalStatus.PROPOSED:
            raise Conflict(f"this proposal is {self.status}", code="proposal_decided")

    def _decided(self, status: ProposalStatus, actor: Actor, now: datetime, **rest: Any) -> Self:
        return replace(
            self,
            status=step("proposal", PROPOSAL_TRANSITIONS, self.status, status),
            decided_by=actor.id,
            decided_by_name=actor.name,
            decided_at=now,
            revision=self.revision + 1,
            **rest,
        )
