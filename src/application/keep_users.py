"""People who can sign in: create them, set their roles, let them in and out, give them a new first password."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from application.ports.people import Passwords
from application.ports.storage import AlreadyExists, UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.sign_in import custom_roles
from domain.actors import Actor, ActorKind
from domain.errors import Conflict, Forbidden, InvalidRequest, NotFound
from domain.permissions import BUILT_IN, Realm, everything, permissions_of
from domain.users import FIRST_PASSWORD, User, UserStatus, clean_login

PREFIXES = {Realm.PLATFORM: "opr", Realm.MERCHANT: "usr"}


@dataclass(frozen=True, slots=True)
class People:
    """Whose people: the platform's, or one merchant's."""

    realm: Realm
    merchant_id: str | None = None


@dataclass(frozen=True, slots=True)
class KeepUsers:
    """What one person does to others, and never to himself.

    Nobody gives what he does not hold, nor lays hands on who may more than he does: a new password for an administrator
    would be the administrator's power. The last who holds everything stays. Operators may do to a merchant's users
    whatever their own permissions say. A user of others is NotFound.
    """

    unit_of_work: UnitOfWorkFactory
    passwords: Passwords
    clock: Clock
    ids: Ids

    async def get(self, people: People, user_id: str) -> User:
        async with self.unit_of_work() as uow:
            return _of(people, await uow.users.get(user_id))

    async def find(self, people: People, login: str) -> User:
        async with self.unit_of_work() as uow:
            user = await uow.users.with_login(people.realm, clean_login(login))
        if user is None:
            raise NotFound("no such user")
        return _of(people, user)

    async def create(
        self, actor: Actor, people: People, login: str, name: str, roles: frozenset[str]
    ) -> tuple[User, str]:
        """The user, and the first password, which only this moment can show. Raises Conflict("login_taken")."""
        password, hashed = await self._first_password()
        now = self.clock.now()
        user = User(
            id=self.ids.new(PREFIXES[people.realm]),
            realm=people.realm,
            login=clean_login(login),
            name=name,
            roles=roles,
            password_hash=hashed,
            created_at=now,
            merchant_id=people.merchant_id,
            first_password_until=now + FIRST_PASSWORD,
        )
        try:
            async with self.unit_of_work() as uow:
                if people.merchant_id is not None:
                    await uow.merchants.get(people.merchant_id)
                await self._may_give(uow, actor, people, roles)
                await uow.users.add(user)
                await self._did(
                    uow, actor, "user.created", user, before={}, after={"login": user.login, **_shown(user)}
                )
        except AlreadyExists:
            raise Conflict("this login name is taken", code="login_taken", pointer="/login") from None
        return user, password

    async def edit(
        self, actor: Actor, people: People, user_id: str, *, name: str | None, roles: frozenset[str] | None
    ) -> User:
        """What is None stays."""
        async with self.unit_of_work() as uow:
            losing = roles is not None and everything(people.realm) not in roles
            user = await self._another(uow, actor, people, user_id, losing=losing)
            changed = user
            if name is not None and name != user.name:
                changed = changed.renamed(name)
            if roles is not None and roles != user.roles:
                await self._may_give(uow, actor, people, roles - user.roles)
                changed = changed.given(roles)
            if changed != user:
                await uow.users.save(changed)
                await self._did(uow, actor, "user.edited", user, before=_shown(user), after=_shown(changed))
        return changed

    async def deactivate(self, actor: Actor, people: People, user_id: str) -> User:
        """No way in any more, and out of every session at once."""
        async with self.unit_of_work() as uow:
            user = await self._another(uow, actor, people, user_id, losing=True)
            if not user.active:
                return user
            changed = user.turned(UserStatus.DEACTIVATED)
            await uow.users.save(changed)
            await uow.sessions.end_all(user_id, self.clock.now())
            await self._did(uow, actor, "user.deactivated", user, before=_shown(user), after=_shown(changed))
        return changed

    async def reactivate(self, actor: Actor, people: People, user_id: str) -> User:
        async with self.unit_of_work() as uow:
            user = await self._another(uow, actor, people, user_id, losing=False)
            if user.active:
                return user
            changed = user.turned(UserStatus.ACTIVE)
            await uow.users.save(changed)
            await self._did(uow, actor, "user.reactivated", user, before=_shown(user), after=_shown(changed))
        return changed

    async def reset(self, actor: Actor, people: People, user_id: str, *, totp: bool) -> tuple[User, str]:
        """A new first password, which only this moment can show; with ``totp`` without the authenticator, too. Out of
        every session at once."""
        password, hashed = await self._first_password()
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            user = await self._another(uow, actor, people, user_id, losing=False)
            changed = user.with_password(hashed, first_until=now + FIRST_PASSWORD)
            changed = changed.without_authenticator() if totp else changed
            await uow.users.save(changed)
            await uow.sessions.end_all(user_id, now)
            await self._did(uow, actor, "user.reset", user, before={}, after={"authenticator_removed": totp})
        return changed, password

    async def _first_password(self) -> tuple[str, str]:
        random = self.ids.token(16)
        password = "-".join(random[n : n + 4] for n in range(0, 16, 4))
        return password, await self.passwords.hashed(password)

    async def _another(self, uow: UnitOfWork, actor: Actor, people: People, user_id: str, *, losing: bool) -> User:
        """The user, locked, whom this actor may touch; with ``losing`` not the last one who holds everything."""
        holders = []
        if losing:
            holders = [*await uow.users.lock_holders(people.realm, people.merchant_id, everything(people.realm))]
        user = _of(people, await uow.users.lock(user_id))
        if actor.person == user.id:
            raise Forbidden("nobody does this to himself", code="not_on_yourself")
        if _same_realm(actor, people):
            custom = await custom_roles(uow, people.realm, user.roles)
            _within(actor, permissions_of(people.realm, user.roles, custom))
            if losing and user.active and {each.id for each in holders if each.active} == {user.id}:
                raise Conflict("the last one who holds everything stays", code="last_administrator")
        return user

    async def _may_give(self, uow: UnitOfWork, actor: Actor, people: People, roles: frozenset[str]) -> None:
        """Raises InvalidRequest for roles that there are not, Forbidden for more than the actor holds."""
        custom: dict[str, frozenset[str]] = {}
        for role in sorted(roles - BUILT_IN[people.realm].keys()):
            try:
                found = await uow.roles.lock(people.realm, role)  # so that it is not retired at this moment
            except NotFound:
                found = None
            if found is None or found.retired_at is not None:
                raise InvalidRequest(f"there is no role {role}", code="role_unknown", pointer="/roles")
            custom[role] = found.permissions
        if _same_realm(actor, people):
            _within(actor, permissions_of(people.realm, roles, custom))

    async def _did(
        self,
        uow: UnitOfWork,
        actor: Actor,
        action: str,
        user: User,
        *,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
    ) -> None:
        record = actor.did(
            action,
            user.id,
            id=self.ids.new("aud"),
            at=self.clock.now(),
            merchant_id=user.merchant_id,
            before=before,
            after=after,
        )
        await uow.audit.add(record)


def _of(people: People, user: User) -> User:
    if (user.realm, user.merchant_id) != (people.realm, people.merchant_id):
        raise NotFound("no such user")
    return user


def _same_realm(actor: Actor, people: People) -> bool:
    """Operators stand above merchants' people, the system above all; otherwise one measures with one's own."""
    if actor.kind is ActorKind.SYSTEM:
        return False
    return (actor.kind is ActorKind.MERCHANT_USER) is (people.realm is Realm.MERCHANT)


def _within(actor: Actor, permissions: frozenset[str]) -> None:
    if not permissions <= actor.permissions:
        raise Forbidden("this is more than you hold yourself", code="beyond_your_permissions")


def _shown(user: User) -> dict[str, Any]:
    return {"name": user.name, "roles": sorted(user.roles), "status": str(user.status)}
