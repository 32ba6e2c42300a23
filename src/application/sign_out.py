"""A person's own sessions: see them, end them, and prove once more who is sitting there."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from application.authenticate_person import Signed
from application.limit_tries import CODES, LimitTries
from application.ports.people import Passwords
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.second_factor import SecondFactor
from application.sign_in import Opened
from domain.errors import NotFound, Unauthenticated
from domain.sessions import Session
from domain.tokens import RANDOM, SESSION, make_token, token_digest
from domain.users import User


@dataclass(frozen=True, slots=True)
class KeepSessions:
    """Everything here is about who calls, and nobody else."""

    unit_of_work: UnitOfWorkFactory
    limit: LimitTries
    passwords: Passwords
    second_factor: SecondFactor
    clock: Clock
    ids: Ids
    pepper: bytes = field(repr=False)
    totp_required: bool = True

    async def open(self, signed: Signed) -> Sequence[Session]:
        """Those that still open something, oldest first."""
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            return [each for each in await uow.sessions.open_of(signed.actor.id) if each.alive_at(now)]

    async def me(self, signed: Signed) -> User:
        async with self.unit_of_work() as uow:
            return await uow.users.get(signed.actor.id)

    async def end(self, signed: Signed, session_id: str) -> None:
        """Sign out. Ending an ended one is the same again; another's is NotFound."""
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            session = await uow.sessions.lock(session_id)
            if session.user_id != signed.actor.id:
                raise NotFound("no such session")
            if session.ended_at is None:
                await uow.sessions.save(session.ended(now))
                await uow.audit.add(signed.actor.did("session.ended", session_id, id=self.ids.new("aud"), at=now))

    async def end_all(self, signed: Signed) -> int:
        """Sign out everywhere, here too."""
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            ended = await uow.sessions.end_all(signed.actor.id, now)
            await uow.audit.add(
                signed.actor.did(
                    "user.signed_out_everywhere",
                    signed.actor.id,
                    id=self.ids.new("aud"),
                    at=now,
                    after={"ended": ended},
                )
            )
        return ended

    async def prove(self, signed: Signed, code: str | None, password: str | None) -> Opened:
        """Step-up: a fresh code, under a new token; the one before ends. Who has no authenticator shows the password,
        where that is enough. Raises Unauthenticated, RateLimited."""
        assert signed.session is not None
        await self.limit((CODES, signed.actor.id))
        user = await self.me(signed)
        if user.authenticator is None:
            fits = await self.passwords.fits(password or "", user.password_hash)
            if self.totp_required or not fits:
                raise Unauthenticated("this password is not right", code="sign_in_failed")
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            locked = await uow.users.lock(user.id)
            if locked.password_hash != user.password_hash or not locked.active:
                raise Unauthenticated("this session is not valid", code="session_invalid")
            if locked.authenticator is not None:
                locked = self.second_factor.accepted(locked, code or "", now)
                await uow.users.save(locked)
            session = await uow.sessions.lock(signed.session.id)
            if not session.alive_at(now):
                raise Unauthenticated("this session is not valid", code="session_invalid")
            token = make_token(SESSION, self.ids.token(RANDOM))
            session = session.proved(now, token_digest(token, self.pepper))
            await uow.sessions.save(session)
            await uow.audit.add(signed.actor.did("session.proved", session.id, id=self.ids.new("aud"), at=now))
        await self.limit.forget((CODES, user.id))
        duties = locked.duties(totp_required=self.totp_required)
        return Opened(token=token, session=session, user=locked, duties=duties)
