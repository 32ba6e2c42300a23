"""Custom roles of operators: names for permissions that their maker holds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from application.ports.storage import AlreadyExists, UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.actors import Actor
from domain.errors import Conflict, Forbidden, InvalidRequest
from domain.permissions import BUILT_IN, PERMISSIONS, Realm
from domain.sessions import Role

_NAME = re.compile(r"[a-z][a-z0-9_-]{1,39}")
REALM = Realm.PLATFORM


@dataclass(frozen=True, slots=True)
class KeepRoles:
    """Nobody puts into a role what he does not hold, nor changes a role that he has himself."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def all(self) -> Sequence[Role]:
        """Those in force, by name."""
        async with self.unit_of_work() as uow:
            return [role for role in await uow.roles.all(REALM) if role.retired_at is None]

    async def create(self, actor: Actor, name: str, meaning: str, permissions: frozenset[str]) -> Role:
        """Raises InvalidRequest, Forbidden, Conflict("role_taken"): also for the name of one that was retired."""
        if not _NAME.fullmatch(name):
            raise InvalidRequest("a role's name is a-z, 0-9, _ and -", code="value_invalid", pointer="/name")
        _may_hold(actor, permissions)
        role = Role(name=name, realm=REALM, meaning=meaning, permissions=permissions, created_at=self.clock.now())
        try:
            async with self.unit_of_work() as uow:
                if name in BUILT_IN[REALM]:
                    raise Conflict("a built-in role has this name", code="role_taken", pointer="/name")
                await uow.roles.add(role)
                await self._did(uow, actor, "role.created", None, role)
        except AlreadyExists:
            raise Conflict("there is a role of this name", code="role_taken", pointer="/name") from None
        return role

    async def edit(self, actor: Actor, name: str, meaning: str | None, permissions: frozenset[str] | None) -> Role:
        """What is None stays."""
        async with self.unit_of_work() as uow:
            role = await self._others(uow, actor, name)
            changed = role
            if meaning is not None:
                changed = replace(changed, meaning=meaning)
            if permissions is not None:
                _may_hold(actor, permissions | (role.permissions & PERMISSIONS[REALM].keys()))
                changed = replace(changed, permissions=permissions)
            if changed != role:
                changed = replace(changed, revision=role.revision + 1)
                await uow.roles.save(changed)
                await self._did(uow, actor, "role.edited", role, changed)
        return changed

    async def retire(self, actor: Actor, name: str) -> Role:
        """Nobody gets it any more. Raises Conflict("role_in_use") while somebody has it, active or not."""
        async with self.unit_of_work() as uow:
            role = await self._others(uow, actor, name)
            if await uow.users.lock_holders(REALM, None, name):
                raise Conflict("somebody holds this role", code="role_in_use")
            changed = replace(role, retired_at=self.clock.now(), revision=role.revision + 1)
            await uow.roles.save(changed)
            await self._did(uow, actor, "role.retired", role, changed)
        return changed

    async def _others(self, uow: UnitOfWork, actor: Actor, name: str) -> Role:
        if name in BUILT_IN[REALM]:
            raise Conflict("a built-in role cannot be changed", code="role_built_in")
        if name in actor.roles:
            raise Forbidden("you hold this role yourself", code="not_on_yourself")
        role = await uow.roles.lock(REALM, name)
        if role.retired_at is not None:
            raise Conflict("this role is retired", code="conflict")
        return role

    async def _did(self, uow: UnitOfWork, actor: Actor, action: str, before: Role | None, after: Role) -> None:
        record = actor.did(
            action, after.name, id=self.ids.new("aud"), at=self.clock.now(), before=_shown(before), after=_shown(after)
        )
        await uow.audit.add(record)


def _may_hold(actor: Actor, permissions: frozenset[str]) -> None:
    unknown = permissions - PERMISSIONS[REALM].keys()
    if unknown:
        raise InvalidRequest(
            f"there is no permission {min(unknown)}", code="permission_unknown", pointer="/permissions"
        )
    if not permissions <= actor.permissions:
        raise Forbidden("this is more than you hold yourself", code="beyond_your_permissions")


def _shown(role: Role | None) -> dict[str, object]:
    if role is None:
        return {}
    return {"meaning": role.meaning, "permissions": sorted(role.permissions), "retired": role.retired_at is not None}
