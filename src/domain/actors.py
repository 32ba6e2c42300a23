"""Who does something, and the record of what was done: every change that a person can make names its actor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.errors import Forbidden, NotFound


class ActorKind(StrEnum):
    OPERATOR = "operator"
    SERVICE = "service"
    MERCHANT_USER = "merchant_user"
    MERCHANT_KEY = "merchant_key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call comes from: the client's network address, what it calls itself, and the request's id."""

    address: str | None = None
    agent: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who calls, as the edge made sure. ``permissions`` are what he may do now; ``roles`` are told in the audit.

    ``merchant_id`` is set for those who act for one merchant. ``behind`` is the operator who answers for a service
    token: what the token did, he did.
    """

    kind: ActorKind
    id: str
    name: str
    roles: tuple[str, ...] = ()
    permissions: frozenset[str] = field(default=frozenset(), repr=False)
    merchant_id: str | None = None
    behind: str | None = None
    address: str | None = None
    request_id: str | None = None

    def holds(self, permission: str) -> bool:
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """Raises Forbidden without it. For what depends on the object; what a route needs is said beside the route."""
        if not self.holds(permission):
            raise Forbidden(f"this needs the permission {permission}", code="permission_missing")

    def within(self, merchant_id: str) -> None:
        """Raises NotFound, as if there were none, when the actor acts for another merchant than this one."""
        if self.merchant_id is not None and self.merchant_id != merchant_id:
            raise NotFound("no such object")

    @property
    def person(self) -> str:
        """Whose hand it is, for "not by its maker": a service token's is the operator's behind it."""
        return self.behind or self.id

    def did(
        self,
        action: str,
        object_id: str,
        *,
        id: str,
        at: datetime,
        merchant_id: str | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> "AuditRecord":
        """The record of it. ``action`` is the object's type and what happened: ``merchant.suspended``.

        ``before`` and ``after`` are small maps of JSON values with what changed; never a secret, nor a part of one.
        """
        return AuditRecord(
            id=id,
            at=at,
            actor=self,
            action=action,
            object_id=object_id,
            merchant_id=merchant_id or self.merchant_id,
            before=before or {},
            after=after or {},
        )


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Of two snapshots of one object, the fields that differ: what ``did`` wants as before and after."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names if before}, {name: after.get(name) for name in names}


# What runs by itself, and the command line before there is anybody to sign in.
SYSTEM = Actor(kind=ActorKind.SYSTEM, id="system", name="system")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One thing that somebody did, written in the unit of work that changed it. Append-only, chained by digests."""

    id: str
    at: datetime
    actor: Actor
    action: str
    object_id: str
    merchant_id: str | None = None
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)

    @property
    def object_type(self) -> str:
        return self.action.partition(".")[0]
