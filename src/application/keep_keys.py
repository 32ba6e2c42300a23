"""A merchant's API keys: make, list, roll, revoke."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.actors import Actor
from domain.channels import Mode
from domain.errors import Conflict, Forbidden, InvalidRequest
from domain.merchants import KEY_RANDOM, LONGEST_OVERLAP, ApiKey, Caller, Scopes, key_digest, make_key, within

MOST_LIVE = 20
LISTED = 100


def new_key(
    ids: Ids,
    pepper: bytes,
    merchant_id: str,
    mode: Mode,
    now: datetime,
    *,
    name: str = "",
    scopes: Scopes = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A fresh key and its text, which is nowhere else: whoever makes it shows it once."""
    text = make_key(mode, ids.token(KEY_RANDOM))
    key = ApiKey(
        id=ids.new("key"),
        merchant_id=merchant_id,
        mode=mode,
        digest=key_digest(text, pepper),
        last4=text[-4:],
        created_at=now,
        expires_at=expires_at,
        name=name,
        scopes=scopes,
    )
    return key, text


@dataclass(frozen=True, slots=True)
class KeepKeys:
    """What a merchant does with its keys, or ``by`` an operator for it. Another's key is NotFound. All is written down.

    Nobody gives away more than it has: a new key's scopes are within the caller's.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    key_pepper: bytes = field(repr=False)

    async def all(self, caller: Caller) -> Sequence[ApiKey]:
        """Newest first, the last hundred, dead ones among them."""
        async with self.unit_of_work() as uow:
            return await uow.keys.of_merchant(caller.merchant_id, caller.mode, limit=LISTED)

    async def make(
        self,
        caller: Caller,
        *,
        name: str = "",
        scopes: Scopes = None,
        expires_in: timedelta | None = None,
        by: Actor | None = None,
    ) -> tuple[ApiKey, str]:
        """The key and its text, to be shown once. Without ``scopes`` it may do what the caller may."""
        scopes = caller.scopes if scopes is None else scopes
        _check_limits(scopes, caller)
        now = self.clock.now()
        expires_at = now + expires_in if expires_in is not None else None
        key, text = new_key(
            self.ids, self.key_pepper, caller.merchant_id, caller.mode, now,
            name=name, scopes=scopes, expires_at=expires_at,
        )  # fmt: skip
        async with self.unit_of_work() as uow:
            await uow.merchants.get(caller.merchant_id)
            await self._check_room(uow, caller, now)
            await uow.keys.add(key)
            await self._record(uow, by or caller.actor, "api_key.created", key, now)
        return key, text

    async def roll(
        self, caller: Caller, key_id: str, *, overlap: timedelta, by: Actor | None = None
    ) -> tuple[ApiKey, str]:
        """Another key in its place, with the same name, scopes and life time; the old one lives for the overlap.

        Raises Conflict for a key that is dead already, InvalidRequest for an overlap beyond a week.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise InvalidRequest("an overlap is between nothing and a week", code="overlap_invalid")
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            old = caller.own(await uow.keys.lock(key_id))
            _check_limits(old.scopes, caller)
            fading = old.expiring(now, overlap)
            await self._check_room(uow, caller, now)
            life = old.expires_at - old.created_at if old.expires_at else None
            key, text = new_key(
                self.ids, self.key_pepper, old.merchant_id, old.mode, now,
                name=old.name, scopes=old.scopes, expires_at=now + life if life else None,
            )  # fmt: skip
            await uow.keys.add(key)
            await uow.keys.save(fading)
            await self._record(uow, by or caller.actor, "api_key.rolled", fading, now, heir=key.id)
        return key, text

    async def revoke(self, caller: Caller, key_id: str, *, by: Actor | None = None) -> ApiKey:
        """Dead within a second, for good. Repeating it changes nothing."""
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            key = caller.own(await uow.keys.lock(key_id))
            revoked = key.revoked(now)
            if revoked != key:
                await uow.keys.save(revoked)
                await self._record(uow, by or caller.actor, "api_key.revoked", revoked, now)
        return revoked

    async def _record(
        self, uow: UnitOfWork, actor: Actor, action: str, key: ApiKey, now: datetime, **more: str
    ) -> None:
        """What was done, without any part of a key."""
        shown = {name: value for name, value in key.snapshot().items() if name not in ("last4", "prefix", "object")}
        record = actor.did(
            action, key.id, id=self.ids.new("aud"), at=now, merchant_id=key.merchant_id, after=shown | more
        )
        await uow.audit.add(record)

    async def _check_room(self, uow: UnitOfWork, caller: Caller, now: datetime) -> None:
        standing = await uow.keys.of_merchant(caller.merchant_id, caller.mode, limit=LISTED)
        if sum(key.authenticates_at(now) for key in standing) >= MOST_LIVE:
            raise Conflict(f"a merchant has at most {MOST_LIVE} live keys a mode", code="too_many_keys")


def _check_limits(scopes: Scopes, caller: Caller) -> None:
    if not within(scopes, caller.scopes):
        raise Forbidden("this API key cannot give what it does not have", code="scope_missing", pointer="/scopes")
