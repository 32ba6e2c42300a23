"""Sessions of people and service tokens of machines: opaque, stored as digests, ended at any time."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from domain.permissions import Realm

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
# How long a second factor counts as fresh, for money and keys.
FRESH = timedelta(minutes=5)
# A session's last use is written down at most this often: a page of ten calls is one write.
SEEN_EVERY = timedelta(minutes=1)
# How long the row of a session that is over is kept, for who looks into a break-in. The audit keeps who signed in.
KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in. ``proved_at`` is when a second factor was shown last (or the password, by who has no other)."""

    id: str
    user_id: str
    digest: bytes = field(repr=False)
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    proved_at: datetime | None = None
    ended_at: datetime | None = None
    address: str | None = None
    agent: str | None = None

    def alive_at(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.expires_at and now < self.seen_at + IDLE

    def fresh_at(self, now: datetime) -> bool:
        return self.proved_at is not None and now < self.proved_at + FRESH

    def seen(self, now: datetime) -> Self:
        return replace(self, seen_at=now)

    def proved(self, now: datetime, digest: bytes) -> Self:
        """A fresh second factor, under a new token: the one before it is worth nothing from now on."""
        return replace(self, proved_at=now, seen_at=now, digest=digest)

    def ended(self, now: datetime) -> Self:
        return self if self.ended_at is not None else replace(self, ended_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceToken:
    """A machine's token. It can never more than the operator who made it can now: permissions that he loses, it loses,
    and when he is deactivated it opens nothing."""

    id: str
    name: str
    digest: bytes = field(repr=False)
    last4: str
    permissions: frozenset[str]
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    revoked_at: datetime | None = None

    def alive_at(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at

    def revoked(self, now: datetime) -> Self:
        return self if self.revoked_at is not None else replace(self, revoked_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A custom role: a name for some permissions of one realm. Built-in ones are in ``domain.permissions``."""

    name: str
    realm: Realm
    meaning: str
    permissions: frozenset[str]
    created_at: datetime
    retired_at: datetime | None = None
    revision: int = 0
