"""Whose session or service token is this, and what may they do now?"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock
from application.sign_in import actor_of
from domain.actors import Actor, ActorKind, Origin
from domain.errors import Unauthenticated
from domain.permissions import Realm
from domain.sessions import SEEN_EVERY, Session
from domain.tokens import SERVICE, token_digest
from domain.users import Duty


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Who calls. ``session`` is None for a service token, which never is ``fresh``: a machine has no second factor."""

    actor: Actor
    session: Session | None = None
    fresh: bool = False
    duties: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthenticatePerson:
    """Turn a token into who it stands for. Nothing is remembered between calls: what is ended, revoked or taken away
    is so for the next call. One answer for unknown, ended, idle and expired: Unauthenticated("session_invalid")."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    pepper: bytes = field(repr=False)
    totp_required: bool = True

    async def __call__(self, realm: Realm, token: str, origin: Origin) -> Signed:
        digest, now = token_digest(token, self.pepper), self.clock.now()
        async with self.unit_of_work() as uow:
            if not token.startswith(SERVICE):
                signed = await self._person(uow, realm, digest, now, origin)
            elif realm is Realm.PLATFORM:
                signed = await self._machine(uow, digest, now, origin)
            else:
                signed = None
        if signed is None:
            raise Unauthenticated("this session or token is not valid", code="session_invalid")
        return signed

    async def _person(
        self, uow: UnitOfWork, realm: Realm, digest: bytes, now: datetime, origin: Origin
    ) -> Signed | None:
        session = await uow.sessions.find(digest)
        if session is None or not session.alive_at(now):
            return None
        user = await uow.users.get(session.user_id)
        if user.realm is not realm or not user.active:
            return None
        actor = await actor_of(uow, user, origin)
        if now >= session.seen_at + SEEN_EVERY:
            await uow.sessions.seen(session.id, now)
        duties = user.duties(totp_required=self.totp_required)
        return Signed(actor=actor, session=session, fresh=session.fresh_at(now), duties=duties)

    async def _machine(self, uow: UnitOfWork, digest: bytes, now: datetime, origin: Origin) -> Signed | None:
        token = await uow.service_tokens.find(digest)
        if token is None or not token.alive_at(now):
            return None
        maker = await uow.users.get(token.created_by)
        if not maker.active:
            return None
        behind = await actor_of(uow, maker, origin)
        if token.used_at is None or now >= token.used_at + SEEN_EVERY:
            await uow.service_tokens.used(token.id, now)
        return Signed(
            actor=replace(
                behind,
                kind=ActorKind.SERVICE,
                id=token.id,
                name=token.name,
                roles=(),
                permissions=token.permissions & behind.permissions,
                behind=maker.id,
            )
        )
