"""Who may do what, and what was done: repositories under the rules of ``application.ports.storage``, and the two
capabilities that a sign-in needs.

Locks: proposal → person → session → service token → role; all but the proposal come after everything about money.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from domain.actors import AuditRecord
from domain.audit_chain import Entry, Link, Root
from domain.permissions import Realm
from domain.proposals import Proposal
from domain.sessions import Role, ServiceToken, Session
from domain.users import User


class Audit(Protocol):
    """Append-only: the application can add and read, nobody can change (docs/operators.md)."""

    async def add(self, record: AuditRecord) -> None:
        """In the same unit of work as the change that it tells of."""
        ...

    async def about(self, object_id: str) -> Sequence[AuditRecord]:
        """What was done to one object, oldest first. Permissions are not kept: the actors come back without."""
        ...


class Users(Protocol):
    """``get`` and ``lock`` raise NotFound; ``add`` may raise AlreadyExists("uq_person_login")."""

    async def get(self, user_id: str) -> User: ...
    async def lock(self, user_id: str) -> User: ...
    async def with_login(self, realm: Realm, login: str) -> User | None: ...
    async def lock_holders(self, realm: Realm, merchant_id: str | None, role: str) -> Sequence[User]:
        """Those who hold the role, active or not, locked in the order of their ids. Who would take the last one away
        locks them first, so that two who take each other away do so one after the other."""
        ...

    async def add(self, user: User) -> None: ...
    async def save(self, user: User) -> None: ...


class Sessions(Protocol):
    """``lock`` raises NotFound."""

    async def find(self, digest: bytes) -> Session | None: ...
    async def lock(self, session_id: str) -> Session: ...
    async def open_of(self, user_id: str) -> Sequence[Session]:
        """Those not ended, oldest first; some may have run out."""
        ...

    async def add(self, session: Session) -> None: ...
    async def save(self, session: Session) -> None: ...
    async def seen(self, session_id: str, now: datetime) -> None:
        """Writes the last use alone: a session that somebody ends at this moment stays ended."""
        ...

    async def end_all(self, user_id: str, now: datetime, *, but: str | None = None) -> int:
        """End every open session of this user, save one. Returns how many."""
        ...

    async def purge(self, before: datetime) -> int:
        """Forget those that ran out (``expires_at``) before, some thousand at a time. Returns how many."""
        ...


class ServiceTokens(Protocol):
    """``get`` and ``lock`` raise NotFound."""

    async def find(self, digest: bytes) -> ServiceToken | None: ...
    async def get(self, token_id: str) -> ServiceToken: ...
    async def lock(self, token_id: str) -> ServiceToken: ...
    async def all(self) -> Sequence[ServiceToken]:
        """Newest first."""
        ...

    async def add(self, token: ServiceToken) -> None: ...
    async def save(self, token: ServiceToken) -> None: ...
    async def used(self, token_id: str, now: datetime) -> None: ...


class Roles(Protocol):
    """Custom roles, retired ones too. ``lock`` raises NotFound; ``add`` may raise AlreadyExists("pk_custom_role")."""

    async def all(self, realm: Realm) -> Sequence[Role]:
        """By name."""
        ...

    async def lock(self, realm: Realm, name: str) -> Role: ...
    async def add(self, role: Role) -> None: ...
    async def save(self, role: Role) -> None: ...


class Throttles(Protocol):
    """Counters of tries, by a key of the caller's making."""

    async def hit(self, key: str, *, now: datetime, window: timedelta) -> int:
        """Count one try and say how many there were in this window, which began with its first one. Two at once are
        counted as two."""
        ...

    async def forget(self, key: str) -> None: ...
    async def purge(self, before: datetime) -> int:
        """Forget windows that began before, some thousand at a time. Returns how many."""
        ...


class Proposals(Protocol):
    """``get`` and ``lock`` raise NotFound."""

    async def get(self, proposal_id: str) -> Proposal: ...
    async def lock(self, proposal_id: str) -> Proposal: ...
    async def add(self, proposal: Proposal) -> None: ...
    async def save(self, proposal: Proposal) -> None: ...
    async def claim_expired(self, now: datetime, *, limit: int) -> Sequence[Proposal]:
        """Undecided ones past ``expires_at``, locked; rows locked by others are skipped."""
        ...


class Passwords(Protocol):
    """Slow on purpose: each call takes a tenth of a second of a processor. Not called inside a unit of work.

    So many run at once and so many may wait; beyond, RateLimited is raised at once.
    """

    async def hashed(self, password: str) -> str: ...
    async def fits(self, password: str, hashed: str | None) -> bool:
        """Whether it is the one. With None it takes as long, and the answer is no: for users who do not exist."""
        ...

    def outdated(self, hashed: str) -> bool:
        """Whether it was made with weaker parameters than today's: then hash the password anew at the next sign-in."""
        ...


class Totp(Protocol):
    """Time-based one-time passwords (RFC 6238): SHA-1, 30 seconds, six digits, as every authenticator reads them."""

    def new_secret(self) -> str:
        """160 random bits in base 32."""
        ...

    def uri(self, secret: str, account: str) -> str:
        """``otpauth://totp/…`` for a QR code."""
        ...

    def step(self, secret: str, code: str, at: datetime) -> int | None:
        """The 30 second step whose code this is, if it is now or one to either side; None for any other text."""
        ...


class AuditChain(Protocol):
    """The links over the audit records (domain/audit_chain.py). Append-only, like the records."""

    async def head(self) -> Link | None: ...
    async def lock_head(self) -> Link | None:
        """The last link. Until this unit of work ends, whoever else locks it waits, also while there is none yet."""
        ...

    async def unchained(self, *, limit: int) -> Sequence[Entry]:
        """Records behind the last chained one by (xid, n), oldest first, and only of transactions below which none is
        still running: no record can appear before one of these any more."""
        ...

    async def add(self, links: Sequence[Link]) -> None: ...
    async def after(self, position: int, *, limit: int) -> Sequence[tuple[Link, Entry | None]]:
        """Links behind this position with their records, as they are now; None where there is none any more."""
        ...

    async def strays(self, *, limit: int) -> Sequence[str]:
        """Ids of records that stand before the last chained one and are not in the chain."""
        ...

    async def pending(self) -> int:
        """How many records are still to be chained."""
        ...


class AuditRoots(Protocol):
    """Exported roots, outside the database."""

    async def read(self) -> Sequence[Root]:
        """Oldest first. Raises ValueError, with what is wrong, when what was exported has been tampered with."""
        ...

    async def append(self, root: Root) -> None:
        """Durable when it returns."""
        ...
