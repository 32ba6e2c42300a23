"""How often one may try: counted before the try, in rows, so that no number of processes or of tries at once helps."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from domain.errors import RateLimited
from domain.permissions import Realm

PURGE_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries of one ``of`` in one ``window``."""

    of: str
    most: int
    window: timedelta


# One address cannot go through an account's passwords, nor many accounts; and many addresses cannot go through one
# account's. Who only wants to lock somebody out needs many addresses, and locks him out for a quarter of an hour.
ACCOUNT_AT_ADDRESS = Limit("account at address", 5, timedelta(minutes=15))
ACCOUNT = Limit("account", 40, timedelta(minutes=15))
ADDRESS = Limit("address", 60, timedelta(minutes=15))
# Three codes of a million are right at a time: ten tries an hour find one of them once in four years.
CODES = Limit("codes", 10, timedelta(hours=1))
# How many refused sign-ins of one user are audited, and of all whom we do not know.
NOTED = Limit("noted", 20, timedelta(hours=1))
NOTED_OF_NOBODY = Limit("noted of nobody", 100, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class LimitTries:
    """Counts a try against each limit. Raises RateLimited("too_many_attempts") when one of them is used up."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *tries: tuple[Limit, str]) -> None:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            # In one order, so that two who count the same things never wait for each other.
            counts = {
                limit.of: await uow.throttles.hit(_key(limit, about), now=now, window=limit.window)
                for limit, about in sorted(tries, key=lambda each: _key(*each))
            }
        over = [limit for limit, _ in tries if counts[limit.of] > limit.most]
        if over:
            wait = max(int(limit.window.total_seconds()) for limit in over)
            raise RateLimited("too many attempts; wait a while", code="too_many_attempts", retry_after_seconds=wait)

    async def forget(self, *tries: tuple[Limit, str]) -> None:
        """After a success: what went before was a slip."""
        async with self.unit_of_work() as uow:
            for key in sorted(_key(*each) for each in tries):
                await uow.throttles.forget(key)


@dataclass(frozen=True, slots=True)
class PurgeTries:
    """Forget counters nobody needs any more."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            return await uow.throttles.purge(self.clock.now() - PURGE_AFTER)


def of_sign_in(realm: Realm, login: str, address: str | None) -> Sequence[tuple[Limit, str]]:
    """What a try to sign in counts against. Users who do not exist are counted like those who do."""
    account, network = f"{realm}|{login}", network_of(address)
    return ((ACCOUNT_AT_ADDRESS, f"{account}|{network}"), (ACCOUNT, account), (ADDRESS, network))


def network_of(address: str | None) -> str:
    """The address; of IPv6 the /64, which is one subscriber's. ``unknown`` where there is none."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(IPv6Address(int(found) >> 64 << 64))
    return str(found)


def _key(limit: Limit, about: str) -> str:
    """Of one length, whatever was typed as a login."""
    return f"{limit.of}|{hashlib.sha256(about.encode()).hexdigest()}"
