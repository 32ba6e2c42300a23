"""Channel accounts and credentials as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import Text, bindparam, or_, select

from adapters.outbound.sql import tables
from adapters.outbound.sql.account_health import OF_ACCOUNT, health_of
from adapters.outbound.sql.statements import inserting, prepare, updating
from adapters.outbound.sql.transaction import Records, Transaction, stale
from domain.channels import Access, Channel, ChannelAccount, Credential, EarlierMaterial, Method, Mode
from domain.errors import NotFound
from domain.money import Rate
from domain.routing import Serving

_a, _c = tables.channel_account, tables.credential
_ACCOUNT = ["credential_id", "methods", "sub_app_id", "sealed", "cost_ppm", "cost_rates", "priority", "enabled"]
_CREDENTIAL = [
    "app_id", "merchant_id", "provider", "public", "sealed", "version", "fingerprints",
    "previous_public", "previous_sealed", "previous_until",
]  # fmt: skip
_its_credential = [_c.c[name].label(f"credential_{name}") for name in ["channel", "mode", *_CREDENTIAL]]
_access = select(_a, *_its_credential).join(_c, _c.c.id == _a.c.credential_id)
_ACCESS = prepare(_access.where(_a.c.id == bindparam("id")))
_SERVING = prepare(
    _access.add_columns(OF_ACCOUNT)
    .where(
        _a.c.enabled,
        _a.c.mode == bindparam("mode"),
        or_(_a.c.merchant_id == bindparam("merchant_id"), _a.c.merchant_id.is_(None)),
    )
    .order_by(_a.c.merchant_id.is_(None), _a.c.priority.desc(), _a.c.id)
)
_before, _owner = bindparam("before", type_=Text), bindparam("merchant_id", type_=Text)
_PAGE = prepare(
    _access.where(or_(_before.is_(None), _a.c.id < _before), or_(_owner.is_(None), _a.c.merchant_id == _owner))
    .order_by(_a.c.id.desc())
    .limit(bindparam("limit"))
)
_LOCK = prepare(select(_a).where(_a.c.id == bindparam("id")).with_for_update(key_share=True))
_ADD = inserting("add_account", _a, ["id", "channel", "mode", "payee", "merchant_id", *_ACCOUNT])
_SAVE = updating("save_account", _a, _ACCOUNT)
_ADD_CREDENTIAL = inserting("add_credential", _c, ["id", "channel", "mode", *_CREDENTIAL])
_SAVE_CREDENTIAL = updating("save_credential", _c, _CREDENTIAL)
_credential = select(*(_c.c[name].label(f"credential_{name}") for name in ["id", "channel", "mode", *_CREDENTIAL]))
_CREDENTIAL_GET = prepare(_credential.where(_c.c.id == bindparam("id")))
_CREDENTIAL_LOCK = prepare(_credential.where(_c.c.id == bindparam("id")).with_for_update(key_share=True))
_CREDENTIALS_ACCOUNTS = prepare(select(_a).where(_a.c.credential_id == bindparam("id")).order_by(_a.c.id))


@dataclass(frozen=True, slots=True)
class SqlAccounts:
    tx: Transaction

    async def access(self, account_id: str) -> Access:
        for found in await self.tx.read(_ACCESS, id=account_id):
            return _access_of(found)
        raise NotFound(f"no channel account {account_id}")

    async def serving(self, merchant_id: str, mode: Mode) -> Sequence[Serving]:
        return [
            Serving(_access_of(found), tuple(map(health_of, found["health"] or ())))
            for found in await self.tx.read(_SERVING, merchant_id=merchant_id, mode=mode)
        ]

    async def lock(self, account_id: str) -> ChannelAccount:
        for found in await self.tx.run(_LOCK, id=account_id):
            return _account_of(found)
        raise NotFound(f"no channel account {account_id}")

    async def add(self, account: ChannelAccount) -> None:
        identity = {
            "channel": account.channel,
            "mode": account.mode,
            "payee": account.payee,
            "merchant_id": account.merchant_id,
        }
        await self.tx.write(_ADD, [_account(account) | identity])

    async def save(self, account: ChannelAccount) -> None:
        await self.tx.write(_SAVE, [_account(account)], short=stale)

    async def page(self, *, before: str | None, limit: int, merchant_id: str | None = None) -> Sequence[Access]:
        found = await self.tx.read(_PAGE, before=before, limit=limit, merchant_id=merchant_id)
        return [_access_of(row) for row in found]

    async def add_credential(self, credential: Credential) -> None:
        row = _credential_row(credential) | {"channel": credential.channel, "mode": credential.mode}
        await self.tx.write(_ADD_CREDENTIAL, [row])


@dataclass(frozen=True, slots=True)
class SqlCredentials:
    tx: Transaction

    async def get(self, credential_id: str) -> Credential:
        return _one(await self.tx.read(_CREDENTIAL_GET, id=credential_id), credential_id)

    async def lock(self, credential_id: str) -> Credential:
        return _one(await self.tx.run(_CREDENTIAL_LOCK, id=credential_id), credential_id)

    async def save(self, credential: Credential) -> None:
        await self.tx.write(_SAVE_CREDENTIAL, [_credential_row(credential)], short=stale)

    async def accounts(self, credential_id: str) -> Sequence[ChannelAccount]:
        return [_account_of(found) for found in await self.tx.read(_CREDENTIALS_ACCOUNTS, id=credential_id)]


def _account(account: ChannelAccount) -> dict[str, Any]:
    return {
        "id": account.id,
        "credential_id": account.credential_id,
        "methods": sorted(account.methods),
        "sub_app_id": account.sub_app_id,
        "sealed": account.sealed,
        "cost_ppm": account.cost_rate.ppm,
        "cost_rates": {method: rate.ppm for method, rate in sorted(account.cost_rates.items())},
        "priority": account.priority,
        "enabled": account.enabled,
    }


def _credential_row(credential: Credential) -> dict[str, Any]:
    earlier = credential.previous
    return {
        "id": credential.id,
        "app_id": credential.app_id,
        "merchant_id": credential.merchant_id,
        "provider": credential.provider,
        "public": dict(credential.public),
        "sealed": credential.sealed,
        "version": credential.version,
        "fingerprints": dict(credential.fingerprints),
        "previous_public": dict(earlier.public) if earlier else None,
        "previous_sealed": earlier.sealed if earlier else None,
        "previous_until": earlier.until if earlier else None,
    }


def _access_of(found: asyncpg.Record) -> Access:
    return Access(_account_of(found), _credential_of(found))


def _account_of(found: asyncpg.Record) -> ChannelAccount:
    return ChannelAccount(
        id=found["id"],
        channel=Channel(found["channel"]),
        mode=Mode(found["mode"]),
        credential_id=found["credential_id"],
        payee=found["payee"],
        methods=frozenset(map(Method, found["methods"])),
        merchant_id=found["merchant_id"],
        sub_app_id=found["sub_app_id"],
        sealed=found["sealed"],
        cost_rate=Rate(found["cost_ppm"]),
        cost_rates={Method(method): Rate(ppm) for method, ppm in found["cost_rates"].items()},
        priority=found["priority"],
        enabled=found["enabled"],
    )


def _credential_of(found: asyncpg.Record) -> Credential:
    earlier = None
    if found["credential_previous_until"] is not None:
        earlier = EarlierMaterial(
            public=found["credential_previous_public"],
            sealed=found["credential_previous_sealed"],
            until=found["credential_previous_until"],
        )
    return Credential(
        id=found["credential_id"],
        channel=Channel(found["credential_channel"]),
        mode=Mode(found["credential_mode"]),
        app_id=found["credential_app_id"],
        merchant_id=found["credential_merchant_id"],
        provider=found["credential_provider"],
        public=found["credential_public"],
        sealed=found["credential_sealed"],
        version=found["credential_version"],
        fingerprints=found["credential_fingerprints"],
        previous=earlier,
    )


def _one(found: Records, credential_id: str) -> Credential:
    if not found:
        raise NotFound(f"no credential {credential_id}")
    return _credential_of(found[0])
