"""Fake repositories of who may do what, and of what was done."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.actors import AuditRecord
from domain.audit_chain import Entry, Link
from domain.errors import NotFound
from domain.permissions import Realm
from domain.proposals import Proposal, ProposalStatus
from domain.sessions import Role, ServiceToken, Session
from domain.users import User
from tests.fakes.rows import AuditRow, Tables, Tries
from tests.fakes.storage import R, Table, Transaction


class FakeAudit:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def add(self, record: AuditRecord) -> None:
        await self._transaction.statement("audit.add")
        kept = replace(record, actor=replace(record.actor, permissions=frozenset()))
        row = AuditRow(kept, self._transaction.xid, self._transaction.engine.next_row())
        await self._transaction.insert(self._tables.audit, row)

    async def about(self, object_id: str) -> Sequence[AuditRecord]:
        await self._transaction.statement("audit.about")
        rows = [row for row in self._transaction.rows(self._tables.audit) if row.record.object_id == object_id]
        return [row.record for row in sorted(rows, key=lambda row: row.row)]


class FakeUsers:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, user_id: str) -> User:
        await self._transaction.statement("users.get")
        return _there(self._transaction.get(self._tables.people, user_id), user_id)

    async def lock(self, user_id: str) -> User:
        await self._transaction.statement("users.lock")
        return await _locked(self._transaction, self._tables.people, user_id)

    async def with_login(self, realm: Realm, login: str) -> User | None:
        await self._transaction.statement("users.with_login")
        return self._transaction.find(self._tables.people, "uq_person_login", (realm, login))

    async def lock_holders(self, realm: Realm, merchant_id: str | None, role: str) -> Sequence[User]:
        await self._transaction.statement("users.lock_holders")
        ids = sorted(user.id for user in self._transaction.rows(self._tables.people) if user.realm is realm)
        locked = [await _locked(self._transaction, self._tables.people, id_) for id_ in ids if self._holds(id_, role)]
        return [user for user in locked if user.merchant_id == merchant_id and role in user.roles]

    def _holds(self, user_id: str, role: str) -> bool:
        user = self._transaction.get(self._tables.people, user_id)
        return user is not None and role in user.roles

    async def add(self, user: User) -> None:
        await self._transaction.statement("users.add")
        await self._transaction.insert(self._tables.people, user)

    async def save(self, user: User) -> None:
        await self._transaction.statement("users.save")
        await self._transaction.update(self._tables.people, user)


class FakeSessions:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def find(self, digest: bytes) -> Session | None:
        await self._transaction.statement("sessions.find")
        return self._transaction.find(self._tables.sessions, "uq_session_digest", digest)

    async def lock(self, session_id: str) -> Session:
        await self._transaction.statement("sessions.lock")
        return await _locked(self._transaction, self._tables.sessions, session_id)

    async def open_of(self, user_id: str) -> Sequence[Session]:
        await self._transaction.statement("sessions.open_of")
        return self._open(user_id)

    async def add(self, session: Session) -> None:
        await self._transaction.statement("sessions.add")
        await self._transaction.insert(self._tables.sessions, session)

    async def save(self, session: Session) -> None:
        await self._transaction.statement("sessions.save")
        await self._transaction.update(self._tables.sessions, session)

    async def seen(self, session_id: str, now: datetime) -> None:
        await self._transaction.statement("sessions.seen")
        session = await self._transaction.lock(self._tables.sessions, session_id)
        if session is not None:
            await self._transaction.update(self._tables.sessions, session.seen(now))

    async def end_all(self, user_id: str, now: datetime, *, but: str | None = None) -> int:
        await self._transaction.statement("sessions.end_all")
        ended = 0
        for each in self._open(user_id):
            session = await self._transaction.lock(self._tables.sessions, each.id)
            if session is not None and session.ended_at is None and session.id != but:
                await self._transaction.update(self._tables.sessions, session.ended(now))
                ended += 1
        return ended

    async def purge(self, before: datetime) -> int:
        await self._transaction.statement("sessions.purge")
        old = [row for row in self._transaction.rows(self._tables.sessions) if row.expires_at < before]
        for row in old:
            await self._transaction.delete(self._tables.sessions, row.id)
        return len(old)

    def _open(self, user_id: str) -> list[Session]:
        rows = self._transaction.rows(self._tables.sessions)
        theirs = [row for row in rows if row.user_id == user_id and row.ended_at is None]
        return sorted(theirs, key=lambda row: (row.created_at, row.id))


class FakeServiceTokens:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def find(self, digest: bytes) -> ServiceToken | None:
        await self._transaction.statement("service_tokens.find")
        return self._transaction.find(self._tables.service_tokens, "uq_service_token_digest", digest)

    async def get(self, token_id: str) -> ServiceToken:
        await self._transaction.statement("service_tokens.get")
        return _there(self._transaction.get(self._tables.service_tokens, token_id), token_id)

    async def lock(self, token_id: str) -> ServiceToken:
        await self._transaction.statement("service_tokens.lock")
        return await _locked(self._transaction, self._tables.service_tokens, token_id)

    async def all(self) -> Sequence[ServiceToken]:
        await self._transaction.statement("service_tokens.all")
        rows = self._transaction.rows(self._tables.service_tokens)
        return sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)

    async def add(self, token: ServiceToken) -> None:
        await self._transaction.statement("service_tokens.add")
        await self._transaction.insert(self._tables.service_tokens, token)

    async def save(self, token: ServiceToken) -> None:
        await self._transaction.statement("service_tokens.save")
        await self._transaction.update(self._tables.service_tokens, token)

    async def used(self, token_id: str, now: datetime) -> None:
        await self._transaction.statement("service_tokens.used")
        token = await self._transaction.lock(self._tables.service_tokens, token_id)
        if token is not None:
            await self._transaction.update(self._tables.service_tokens, replace(token, used_at=now))


class FakeRoles:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def all(self, realm: Realm) -> Sequence[Role]:
        await self._transaction.statement("roles.all")
        rows = [row for row in self._transaction.rows(self._tables.roles) if row.realm is realm]
        return sorted(rows, key=lambda row: row.name)

    async def lock(self, realm: Realm, name: str) -> Role:
        await self._transaction.statement("roles.lock")
        return await _locked(self._transaction, self._tables.roles, (realm, name))

    async def add(self, role: Role) -> None:
        await self._transaction.statement("roles.add")
        await self._transaction.insert(self._tables.roles, role)

    async def save(self, role: Role) -> None:
        await self._transaction.statement("roles.save")
        await self._transaction.update(self._tables.roles, role)


class FakeThrottles:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def hit(self, key: str, *, now: datetime, window: timedelta) -> int:
        await self._transaction.statement("throttles.hit")
        if await self._transaction.insert(self._tables.throttles, Tries(key, 1, now), ignoring="pk_throttle"):
            return 1
        standing = await self._transaction.lock(self._tables.throttles, key)
        if standing is None:
            await self._transaction.insert(self._tables.throttles, Tries(key, 1, now))
            return 1
        over = standing.since <= now - window
        row = Tries(key, 1, now) if over else replace(standing, tries=standing.tries + 1)
        await self._transaction.update(self._tables.throttles, row)
        return row.tries

    async def forget(self, key: str) -> None:
        await self._transaction.statement("throttles.forget")
        await self._transaction.delete(self._tables.throttles, key)

    async def purge(self, before: datetime) -> int:
        await self._transaction.statement("throttles.purge")
        old = sorted(row.key for row in self._transaction.rows(self._tables.throttles) if row.since < before)
        return sum([await self._transaction.delete(self._tables.throttles, key) for key in old])


class FakeProposals:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, proposal_id: str) -> Proposal:
        await self._transaction.statement("proposals.get")
        return _there(self._transaction.get(self._tables.proposals, proposal_id), proposal_id)

    async def lock(self, proposal_id: str) -> Proposal:
        await self._transaction.statement("proposals.lock")
        return await _locked(self._transaction, self._tables.proposals, proposal_id)

    async def add(self, proposal: Proposal) -> None:
        await self._transaction.statement("proposals.add")
        await self._transaction.insert(self._tables.proposals, proposal)

    async def save(self, proposal: Proposal) -> None:
        await self._transaction.statement("proposals.save")
        await self._transaction.update(self._tables.proposals, proposal)

    async def claim_expired(self, now: datetime, *, limit: int) -> Sequence[Proposal]:
        await self._transaction.statement("proposals.claim_expired")
        claimed: list[Proposal] = []
        for row in sorted(self._transaction.rows(self._tables.proposals), key=lambda row: (row.expires_at, row.id)):
            due = row.status is ProposalStatus.PROPOSED and row.expires_at <= now
            if due and len(claimed) < limit and self._transaction.take(self._tables.proposals, row.id):
                claimed.append(row)
        return claimed


async def _locked(transaction: Transaction, table: Table[R], pk: Hashable) -> R:
    row = await transaction.lock(table, pk)
    return _there(row, str(pk))


def _there(row: R | None, id_: str) -> R:
    if row is None:
        raise NotFound(f"no such thing: {id_}")
    return row


class FakeAuditChain:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def head(self) -> Link | None:
        await self._transaction.statement("chain.head")
        return max(self._transaction.rows(self._tables.links), key=lambda row: row.position, default=None)

    async def lock_head(self) -> Link | None:
        await self._transaction.statement("chain.lock_head")
        await self._transaction.engine.locks.acquire(self._transaction, ("audit chain",))
        return await self.head()

    async def unchained(self, *, limit: int) -> Sequence[Entry]:
        await self._transaction.statement("chain.unchained")
        horizon, end = self._transaction.engine.horizon(), self._end()
        rows = sorted((entry for entry in self._entries() if entry.place > end), key=lambda entry: entry.place)
        return [entry for entry in rows if entry.xid < horizon][:limit]

    async def add(self, links: Sequence[Link]) -> None:
        await self._transaction.statement("chain.add")
        for link in links:
            await self._transaction.insert(self._tables.links, link)

    async def after(self, position: int, *, limit: int) -> Sequence[tuple[Link, Entry | None]]:
        await self._transaction.statement("chain.after")
        entries = {entry.record.id: entry for entry in self._entries()}
        links = sorted(self._transaction.rows(self._tables.links), key=lambda row: row.position)
        return [(link, entries.get(link.record_id)) for link in links if link.position > position][:limit]

    async def strays(self, *, limit: int) -> Sequence[str]:
        await self._transaction.statement("chain.strays")
        chained, end = {row.record_id for row in self._transaction.rows(self._tables.links)}, self._end()
        strays = sorted((entry.n, entry.record.id) for entry in self._entries() if entry.place <= end)
        return [id_ for _, id_ in strays if id_ not in chained][:limit]

    async def pending(self) -> int:
        await self._transaction.statement("chain.pending")
        end = self._end()
        return sum(entry.place > end for entry in self._entries())

    def _entries(self) -> list[Entry]:
        rows = self._transaction.rows(self._tables.audit)
        return [Entry(record=row.record, xid=row.xid, n=row.row) for row in rows]

    def _end(self) -> tuple[int, int]:
        entries = {entry.record.id: entry for entry in self._entries()}
        links = sorted(self._transaction.rows(self._tables.links), key=lambda row: -row.position)
        return next((entries[link.record_id].place for link in links if link.record_id in entries), (0, 0))
