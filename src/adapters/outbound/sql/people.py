"""People, their sessions and roles, and machines' tokens as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import Text, bindparam, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB

from adapters.outbound.sql import tables
from adapters.outbound.sql.statements import Row, Write, given, inserting, prepare, updating
from adapters.outbound.sql.transaction import Transaction, stale
from domain.errors import NotFound
from domain.permissions import Realm
from domain.sessions import Role, ServiceToken, Session
from domain.users import Authenticator, User, UserStatus

_p, _s, _st, _r = tables.person, tables.session, tables.service_token, tables.custom_role

_GET_USER = prepare(select(_p).where(_p.c.id == bindparam("id")))
_LOCK_USER = prepare(select(_p).where(_p.c.id == bindparam("id")).with_for_update(key_share=True))
_WITH_LOGIN = prepare(select(_p).where(_p.c.realm == bindparam("realm"), _p.c.login == bindparam("login")))
_LOCK_HOLDERS = prepare(
    select(_p)
    .where(
        _p.c.realm == bindparam("realm"),
        _p.c.merchant_id.is_not_distinct_from(bindparam("merchant_id", type_=Text)),
        cast(_p.c.roles, JSONB).op("?")(bindparam("role", type_=Text)),
    )
    .order_by(_p.c.id)
    .with_for_update(key_share=True)
)
_ADD_USER = inserting("add_person", _p, [column.name for column in _p.columns])
_MUTABLE = [
    "name", "roles", "password_hash", "first_password_until", "totp_sealed", "totp_used_step", "enrolling_sealed",
    "recovery", "status", "revision",
]  # fmt: skip
_SAVE_USER = updating("save_person", _p, _MUTABLE, revision=True)


@dataclass(frozen=True, slots=True)
class SqlUsers:
    tx: Transaction

    async def get(self, user_id: str) -> User:
        for found in await self.tx.read(_GET_USER, id=user_id):
            return user_of(found)
        raise NotFound(f"no user {user_id}")

    async def lock(self, user_id: str) -> User:
        for found in await self.tx.run(_LOCK_USER, id=user_id):
            return user_of(found)
        raise NotFound(f"no user {user_id}")

    async def with_login(self, realm: Realm, login: str) -> User | None:
        for found in await self.tx.read(_WITH_LOGIN, realm=realm, login=login):
            return user_of(found)
        return None

    async def lock_holders(self, realm: Realm, merchant_id: str | None, role: str) -> Sequence[User]:
        found = await self.tx.run(_LOCK_HOLDERS, realm=realm, merchant_id=merchant_id, role=role)
        return [user_of(row) for row in found]

    async def add(self, user: User) -> None:
        await self.tx.write(_ADD_USER, [_user_row(user)])

    async def save(self, user: User) -> None:
        row = _user_row(user)
        await self.tx.write(_SAVE_USER, [{name: row[name] for name in ("id", *_MUTABLE)}], short=stale)


def user_of(found: asyncpg.Record) -> User:
    sealed, enrolling = found["totp_sealed"], found["enrolling_sealed"]
    return User(
        id=found["id"],
        realm=Realm(found["realm"]),
        login=found["login"],
        name=found["name"],
        roles=frozenset(found["roles"]),
        password_hash=found["password_hash"],
        created_at=found["created_at"],
        merchant_id=found["merchant_id"],
        first_password_until=found["first_password_until"],
        authenticator=None if sealed is None else Authenticator(sealed=sealed, used_step=found["totp_used_step"]),
        enrolling=None if enrolling is None else Authenticator(sealed=enrolling),
        recovery=tuple(bytes.fromhex(digest) for digest in found["recovery"]),
        status=UserStatus(found["status"]),
        revision=found["revision"],
    )


def _user_row(user: User) -> Row:
    return {
        "id": user.id,
        "realm": user.realm,
        "login": user.login,
        "name": user.name,
        "roles": sorted(user.roles),
        "password_hash": user.password_hash,
        "created_at": user.created_at,
        "merchant_id": user.merchant_id,
        "first_password_until": user.first_password_until,
        "totp_sealed": user.authenticator.sealed if user.authenticator else None,
        "totp_used_step": user.authenticator.used_step if user.authenticator else 0,
        "enrolling_sealed": user.enrolling.sealed if user.enrolling else None,
        "recovery": [digest.hex() for digest in user.recovery],
        "status": user.status,
        "revision": user.revision,
    }


_FIND_SESSION = prepare(select(_s).where(_s.c.digest == bindparam("digest")))
_LOCK_SESSION = prepare(select(_s).where(_s.c.id == bindparam("id")).with_for_update(key_share=True))
_OPEN_OF = prepare(
    select(_s).where(_s.c.user_id == bindparam("user_id"), _s.c.ended_at.is_(None)).order_by(_s.c.created_at, _s.c.id)
)
_ADD_SESSION = inserting("add_session", _s, [column.name for column in _s.columns])
_SAVE_SESSION = updating("save_session", _s, ["digest", "seen_at", "proved_at", "ended_at"])
_SEEN = updating("seen_session", _s, ["seen_at"])
_end_all = (
    update(_s)
    .values(ended_at=bindparam("now", type_=_s.c.ended_at.type, required=True))
    .where(
        _s.c.user_id == bindparam("user_id"),
        _s.c.ended_at.is_(None),
        _s.c.id.is_distinct_from(bindparam("but", type_=Text)),
    )
    .returning(_s.c.id)
)
_END_ALL = prepare(_end_all)
_PURGED_AT_ONCE = 10_000
_old = select(_s.c.id).where(_s.c.expires_at < bindparam("before")).order_by(_s.c.expires_at).limit(_PURGED_AT_ONCE)
_purged = delete(_s).where(_s.c.id.in_(_old)).returning(_s.c.id).cte("purged")
_PURGE_SESSIONS = prepare(select(func.count().label("rows")).select_from(_purged))


@dataclass(frozen=True, slots=True)
class SqlSessions:
    tx: Transaction

    async def find(self, digest: bytes) -> Session | None:
        for found in await self.tx.read(_FIND_SESSION, digest=digest):
            return session_of(found)
        return None

    async def lock(self, session_id: str) -> Session:
        for found in await self.tx.run(_LOCK_SESSION, id=session_id):
            return session_of(found)
        raise NotFound(f"no session {session_id}")

    async def open_of(self, user_id: str) -> Sequence[Session]:
        return [session_of(found) for found in await self.tx.read(_OPEN_OF, user_id=user_id)]

    async def add(self, session: Session) -> None:
        await self.tx.write(_ADD_SESSION, [_session_row(session)])

    async def save(self, session: Session) -> None:
        row = _session_row(session)
        changed = {name: row[name] for name in ("id", "digest", "seen_at", "proved_at", "ended_at")}
        await self.tx.write(_SAVE_SESSION, [changed], short=stale)

    async def seen(self, session_id: str, now: datetime) -> None:
        await self.tx.write(_SEEN, [{"id": session_id, "seen_at": now}])

    async def end_all(self, user_id: str, now: datetime, *, but: str | None = None) -> int:
        return len(await self.tx.run(_END_ALL, user_id=user_id, now=now, but=but))

    async def purge(self, before: datetime) -> int:
        (found,) = await self.tx.run(_PURGE_SESSIONS, before=before)
        return int(found["rows"])


def session_of(found: asyncpg.Record) -> Session:
    return Session(**dict(found))


def _session_row(session: Session) -> Row:
    return {column.name: getattr(session, column.name) for column in _s.columns}


_FIND_TOKEN = prepare(select(_st).where(_st.c.digest == bindparam("digest")))
_GET_TOKEN = prepare(select(_st).where(_st.c.id == bindparam("id")))
_LOCK_TOKEN = prepare(select(_st).where(_st.c.id == bindparam("id")).with_for_update(key_share=True))
_ALL_TOKENS = prepare(select(_st).order_by(_st.c.created_at.desc(), _st.c.id.desc()).limit(1_000))
_ADD_TOKEN = inserting("add_service_token", _st, [column.name for column in _st.columns])
_SAVE_TOKEN = updating("save_service_token", _st, ["revoked_at"])
_USED = updating("used_service_token", _st, ["used_at"])


@dataclass(frozen=True, slots=True)
class SqlServiceTokens:
    tx: Transaction

    async def find(self, digest: bytes) -> ServiceToken | None:
        for found in await self.tx.read(_FIND_TOKEN, digest=digest):
            return _token_of(found)
        return None

    async def get(self, token_id: str) -> ServiceToken:
        for found in await self.tx.read(_GET_TOKEN, id=token_id):
            return _token_of(found)
        raise NotFound(f"no service token {token_id}")

    async def lock(self, token_id: str) -> ServiceToken:
        for found in await self.tx.run(_LOCK_TOKEN, id=token_id):
            return _token_of(found)
        raise NotFound(f"no service token {token_id}")

    async def all(self) -> Sequence[ServiceToken]:
        return [_token_of(found) for found in await self.tx.read(_ALL_TOKENS)]

    async def add(self, token: ServiceToken) -> None:
        row = {column.name: getattr(token, column.name) for column in _st.columns}
        await self.tx.write(_ADD_TOKEN, [row | {"permissions": sorted(token.permissions)}])

    async def save(self, token: ServiceToken) -> None:
        await self.tx.write(_SAVE_TOKEN, [{"id": token.id, "revoked_at": token.revoked_at}], short=stale)

    async def used(self, token_id: str, now: datetime) -> None:
        await self.tx.write(_USED, [{"id": token_id, "used_at": now}])


def _token_of(found: asyncpg.Record) -> ServiceToken:
    return ServiceToken(**(dict(found) | {"permissions": frozenset(found["permissions"])}))


_ALL_ROLES = prepare(select(_r).where(_r.c.realm == bindparam("realm")).order_by(func.convert_to(_r.c.name, "UTF8")))
_LOCK_ROLE = prepare(
    select(_r).where(_r.c.realm == bindparam("realm"), _r.c.name == bindparam("name")).with_for_update(key_share=True)
)
_ADD_ROLE = inserting("add_role", _r, [column.name for column in _r.columns])
_saved = given(_r, ["realm", "name", "meaning", "permissions", "retired_at", "revision"], joined=True)
_SAVE_ROLE = Write(
    "save_role",
    _r.name,
    prepare(
        update(_r)
        .values({name: _saved[name] for name in ("meaning", "permissions", "retired_at", "revision")})
        .where(_r.c.realm == _saved["realm"], _r.c.name == _saved["name"])
    ),
)


@dataclass(frozen=True, slots=True)
class SqlRoles:
    tx: Transaction

    async def all(self, realm: Realm) -> Sequence[Role]:
        return [_role_of(found) for found in await self.tx.read(_ALL_ROLES, realm=realm)]

    async def lock(self, realm: Realm, name: str) -> Role:
        for found in await self.tx.run(_LOCK_ROLE, realm=realm, name=name):
            return _role_of(found)
        raise NotFound(f"no role {name}")

    async def add(self, role: Role) -> None:
        await self.tx.write(_ADD_ROLE, [_role_row(role)], key="name")

    async def save(self, role: Role) -> None:
        row = _role_row(role)
        del row["created_at"]
        await self.tx.write(_SAVE_ROLE, [row], key="name")


def _role_of(found: asyncpg.Record) -> Role:
    return Role(**(dict(found) | {"realm": Realm(found["realm"]), "permissions": frozenset(found["permissions"])}))


def _role_row(role: Role) -> dict[str, Any]:
    row = {column.name: getattr(role, column.name) for column in _r.columns}
    return row | {"permissions": sorted(role.permissions)}
