"""Whose key is this, and what may it do?"""

from contextlib import suppress
from dataclasses import dataclass, field

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from application.recent import Recent
from domain.errors import DatabaseUnavailable, Forbidden, OutcomeUnknown, Unauthenticated
from domain.merchants import ApiKey, Caller, Merchant, key_digest


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Turn a bearer key into its merchant, mode and scopes. One answer for unknown, expired and revoked keys.

    A key just read is believed for a second without asking again, and its merchant's allow-list with it; its expiry is
    looked at each time. ``address`` is where the call came from, as the edge made sure: Forbidden for one that the
    merchant's allow-list does not hold, none among them.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    key_pepper: bytes = field(repr=False)
    recent: Recent[bytes, tuple[ApiKey, Merchant]] = field(
        default_factory=Recent, init=False, repr=False, compare=False
    )

    async def __call__(self, key: str, address: str | None = None) -> Caller:
        now = self.clock.now()
        found = await self.recent.get(key_digest(key, self.key_pepper), now, self._read)
        if found is None or not found[0].authenticates_at(now):
            raise Unauthenticated("this API key is not valid", code="api_key_invalid")
        known, merchant = found
        if not merchant.admits(address):
            raise Forbidden("this key may not be used from this address", code="address_not_allowed")
        return Caller(known.merchant_id, known.mode, known.scopes, known.id)

    async def _read(self, digest: bytes) -> tuple[ApiKey, Merchant] | None:
        async with self.unit_of_work() as uow:
            key = await uow.keys.find(digest)
            if key is None:
                return None
            merchant = await uow.merchants.get(key.merchant_id)
        now = self.clock.now()
        if key.authenticates_at(now) and key.use_is_news(now):
            # Once a minute a key, in a unit of its own. That it was used is not worth failing the call for.
            with suppress(DatabaseUnavailable, OutcomeUnknown):
                async with self.unit_of_work() as uow:
                    await uow.keys.used(key.id, now)
        return key, merchant
