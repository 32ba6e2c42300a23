"""A person's own password and authenticator."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.authenticate_person import Signed
from application.limit_tries import CODES, LimitTries
from application.ports.people import Passwords
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.second_factor import SecondFactor
from domain.errors import InvalidRequest, Unauthenticated
from domain.users import User, check_password


@dataclass(frozen=True, slots=True)
class KeepOwnAccess:
    """Everything here is about who calls, and asks for the password again where a stolen session would be enough."""

    unit_of_work: UnitOfWorkFactory
    limit: LimitTries
    passwords: Passwords
    second_factor: SecondFactor
    clock: Clock
    ids: Ids

    async def change_password(self, signed: Signed, current: str, new: str) -> User:
        """Other sessions end. Raises Unauthenticated("sign_in_failed"), InvalidRequest("password_unsuitable")."""
        user = await self._proven(signed, current)
        check_password(new, (user.login, user.name))
        if new == current:
            raise InvalidRequest("choose another password", code="password_unsuitable", pointer="/password")
        hashed = await self.passwords.hashed(new)
        async with self.unit_of_work() as uow:
            changed = (await self._locked(uow, user)).with_password(hashed)
            await uow.users.save(changed)
            await self._end_others(uow, signed)
            await self._did(uow, signed, "user.password_changed")
        return changed

    async def begin_totp(self, signed: Signed, password: str) -> tuple[str, str]:
        """A new secret and its ``otpauth://`` address, shown this once. In force after ``confirm_totp``."""
        user = await self._proven(signed, password)
        async with self.unit_of_work() as uow:
            enrolling, secret = self.second_factor.begin(await self._locked(uow, user))
            await uow.users.save(enrolling)
            await self._did(uow, signed, "user.totp_begun")
        return secret, self.second_factor.uri(enrolling, secret)

    async def confirm_totp(self, signed: Signed, code: str) -> Sequence[str]:
        """The authenticator is in force, and other sessions end. Returns the recovery codes, shown this once. Raises
        Unauthenticated("totp_invalid")."""
        await self.limit((CODES, signed.actor.id))
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            enrolled, codes = self.second_factor.confirmed(await uow.users.lock(signed.actor.id), code, now)
            await uow.users.save(enrolled)
            await self._end_others(uow, signed)
            await self._did(uow, signed, "user.totp_enrolled")
        await self.limit.forget((CODES, signed.actor.id))
        return codes

    async def renew_recovery(self, signed: Signed) -> Sequence[str]:
        """New recovery codes, shown this once; those before are worth nothing."""
        async with self.unit_of_work() as uow:
            user = await uow.users.lock(signed.actor.id)
            if user.authenticator is None:
                raise InvalidRequest("set up an authenticator first", code="totp_enrolment_required")
            renewed, codes = self.second_factor.renewed(user)
            await uow.users.save(renewed)
            await self._did(uow, signed, "user.recovery_codes_renewed")
        return codes

    async def _proven(self, signed: Signed, password: str) -> User:
        await self.limit((CODES, signed.actor.id))
        async with self.unit_of_work() as uow:
            user = await uow.users.get(signed.actor.id)
        if not await self.passwords.fits(password, user.password_hash):
            raise Unauthenticated("this password is not right", code="sign_in_failed")
        await self.limit.forget((CODES, signed.actor.id))
        return user

    async def _locked(self, uow: UnitOfWork, proven: User) -> User:
        user = await uow.users.lock(proven.id)
        if user.password_hash != proven.password_hash or not user.active:
            raise Unauthenticated("this session is not valid", code="session_invalid")
        return user

    async def _end_others(self, uow: UnitOfWork, signed: Signed) -> None:
        assert signed.session is not None
        await uow.sessions.end_all(signed.actor.id, self.clock.now(), but=signed.session.id)

    async def _did(self, uow: UnitOfWork, signed: Signed, action: str) -> None:
        record = signed.actor.did(action, signed.actor.id, id=self.ids.new("aud"), at=self.clock.now())
        await uow.audit.add(record)
