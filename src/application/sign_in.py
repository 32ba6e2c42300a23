"""Signing in: a password, then a second factor, and a session that stands for both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from application.limit_tries import (
    ACCOUNT,
    ACCOUNT_AT_ADDRESS,
    CODES,
    NOTED,
    NOTED_OF_NOBODY,
    LimitTries,
    of_sign_in,
)
from application.ports.people import Passwords
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from application.second_factor import SecondFactor
from domain.actors import Actor, ActorKind, Origin
from domain.errors import InvalidRequest, RateLimited, Unauthenticated
from domain.permissions import BUILT_IN, Realm, permissions_of
from domain.sessions import LONGEST, Session
from domain.tokens import RANDOM, SESSION, make_token, token_digest
from domain.users import Duty, User, clean_login

KINDS = {Realm.PLATFORM: ActorKind.OPERATOR, Realm.MERCHANT: ActorKind.MERCHANT_USER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session, and the token that only this moment can show."""

    token: str = field(repr=False)
    session: Session
    user: User
    duties: tuple[Duty, ...]


@dataclass(frozen=True, slots=True)
class SignIn:
    """Open a session. One answer, in about one time, for every way in which login and password do not fit.

    Raises Unauthenticated: "sign_in_failed"; "totp_required" when the password is right and a code is missing;
    "totp_invalid". RateLimited when there were too many tries.

    What is refused is audited (``sign_in.refused``), so many times an hour for each user and for all who do not exist
    together: nobody fills the audit. Neither the password nor what was typed as the login of nobody is kept; people
    type the one for the other.
    """

    unit_of_work: UnitOfWorkFactory
    limit: LimitTries
    passwords: Passwords
    second_factor: SecondFactor
    clock: Clock
    ids: Ids
    pepper: bytes = field(repr=False)
    totp_required: bool = True

    async def __call__(self, realm: Realm, login: str, password: str, code: str | None, origin: Origin) -> Opened:
        try:
            login = clean_login(login)
        except InvalidRequest:
            login = ""  # nobody's
        tries = of_sign_in(realm, login, origin.address)
        await self.limit(*tries)
        async with self.unit_of_work() as uow:
            user = await uow.users.with_login(realm, login)
        try:
            opened = await self._entered(user, password, code, origin)
        except Unauthenticated as refusal:
            if refusal.code != "totp_required":
                await self._note(realm, user, refusal.code, origin)
            raise
        slips = [each for each in tries if each[0] in (ACCOUNT, ACCOUNT_AT_ADDRESS)]
        await self.limit.forget(*slips, (CODES, opened.user.id))
        return opened

    async def _entered(self, user: User | None, password: str, code: str | None, origin: Origin) -> Opened:
        fits = await self.passwords.fits(password, user.password_hash if user else None)
        if user is None or not fits or not user.may_enter_at(self.clock.now()):
            raise Unauthenticated("login or password are not right", code="sign_in_failed")
        if user.authenticator is not None:
            if code is None:
                raise Unauthenticated("a code of your authenticator is needed", code="totp_required")
            await self.limit((CODES, user.id))
        hashed = await self.passwords.hashed(password) if self.passwords.outdated(user.password_hash) else None
        return await self._open(user, code, hashed, origin)

    async def _note(self, realm: Realm, user: User | None, why: str, origin: Origin) -> None:
        try:
            await self.limit((NOTED, user.id) if user else (NOTED_OF_NOBODY, realm))
        except RateLimited:
            return
        somebody = Actor(
            kind=KINDS[realm], id="unknown", name="unknown", address=origin.address, request_id=origin.request_id
        )
        record = somebody.did(
            "sign_in.refused",
            user.id if user else "unknown",
            id=self.ids.new("aud"),
            at=self.clock.now(),
            merchant_id=user.merchant_id if user else None,
            after={"reason": why},
        )
        async with self.unit_of_work() as uow:
            await uow.audit.add(record)

    async def _open(self, proven: User, code: str | None, hashed: str | None, origin: Origin) -> Opened:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            user = await uow.users.lock(proven.id)
            if user.password_hash != proven.password_hash or not user.may_enter_at(now):
                raise Unauthenticated("login or password are not right", code="sign_in_failed")
            changed = user
            if user.authenticator is not None:
                changed = self.second_factor.accepted(changed, code or "", now)
            if hashed is not None:
                changed = changed.with_password(hashed, first_until=user.first_password_until)
            if changed != user:
                await uow.users.save(changed)
            proved = user.authenticator is not None or not self.totp_required
            token, session = self._session(changed, proved, now, origin)
            await uow.sessions.add(session)
            actor = await actor_of(uow, changed, origin)
            await uow.audit.add(actor.did("session.opened", session.id, id=self.ids.new("aud"), at=now))
        duties = changed.duties(totp_required=self.totp_required)
        return Opened(token=token, session=session, user=changed, duties=duties)

    def _session(self, user: User, proved: bool, now: datetime, origin: Origin) -> tuple[str, Session]:
        token = make_token(SESSION, self.ids.token(RANDOM))
        return token, Session(
            id=self.ids.new("ses"),
            user_id=user.id,
            digest=token_digest(token, self.pepper),
            created_at=now,
            seen_at=now,
            expires_at=now + LONGEST,
            proved_at=now if proved else None,
            address=origin.address,
            agent=(origin.agent or "")[:200] or None,
        )


async def actor_of(uow: UnitOfWork, user: User, origin: Origin) -> Actor:
    """This person as an actor, with what the roles allow at this moment."""
    custom = await custom_roles(uow, user.realm, user.roles)
    return Actor(
        kind=KINDS[user.realm],
        id=user.id,
        name=user.name,
        roles=tuple(sorted(user.roles)),
        permissions=permissions_of(user.realm, user.roles, custom),
        merchant_id=user.merchant_id,
        address=origin.address,
        request_id=origin.request_id,
    )


async def custom_roles(uow: UnitOfWork, realm: Realm, roles: frozenset[str]) -> Mapping[str, frozenset[str]]:
    """The permissions of the custom roles in force, if any of these roles is one."""
    if roles <= BUILT_IN[realm].keys():
        return {}
    return {role.name: role.permissions for role in await uow.roles.all(realm) if role.retired_at is None}
