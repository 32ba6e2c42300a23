"""Fake repositories of what is configured: merchants, keys, channel accounts, webhook endpoints."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar

from domain.channels import Access, ChannelAccount, Credential, Method, Mode
from domain.codes import StaticCode
from domain.errors import NotFound
from domain.merchants import ApiKey, Merchant
from domain.notifications import Endpoint
from domain.routing import Health, Serving
from tests.fakes.rows import Tables, publish
from tests.fakes.storage import Transaction


class FakeMerchants:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, merchant_id: str) -> Merchant:
        await self._transaction.statement("merchants.get")
        merchant = self._transaction.get(self._tables.merchants, merchant_id)
        if merchant is None:
            raise NotFound(f"no merchant {merchant_id}")
        return merchant

    async def add(self, merchant: Merchant) -> None:
        await self._transaction.statement("merchants.add")
        await self._transaction.insert(self._tables.merchants, merchant)

    async def lock(self, merchant_id: str) -> Merchant:
        await self._transaction.statement("merchants.lock")
        merchant = await self._transaction.lock(self._tables.merchants, merchant_id)
        if merchant is None:
            raise NotFound(f"no merchant {merchant_id}")
        return merchant

    async def save(self, merchant: Merchant) -> None:
        await self._transaction.statement("merchants.save")
        await self._transaction.update(self._tables.merchants, merchant)

    async def page(self, *, before: str | None, limit: int) -> Sequence[Merchant]:
        await self._transaction.statement("merchants.page")
        return newest(self._transaction.rows(self._tables.merchants), before, limit)


class FakeApiKeys:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def add(self, key: ApiKey) -> None:
        await self._transaction.statement("keys.add")
        await self._transaction.insert(self._tables.api_keys, key)

    async def find(self, digest: bytes) -> ApiKey | None:
        await self._transaction.statement("keys.find")
        return self._transaction.find(self._tables.api_keys, "uq_api_key_digest", digest)

    async def lock(self, key_id: str) -> ApiKey:
        await self._transaction.statement("keys.lock")
        key = await self._transaction.lock(self._tables.api_keys, key_id)
        if key is None:
            raise NotFound(f"no API key {key_id}")
        return key

    async def of_merchant(self, merchant_id: str, mode: Mode, *, limit: int) -> Sequence[ApiKey]:
        await self._transaction.statement("keys.of_merchant")
        theirs = [
            key
            for key in self._transaction.rows(self._tables.api_keys)
            if (key.merchant_id, key.mode) == (merchant_id, mode)
        ]
        return sorted(theirs, key=lambda key: (key.created_at, key.id), reverse=True)[:limit]

    async def save(self, key: ApiKey) -> None:
        await self._transaction.statement("keys.save")
        standing = self._transaction.get(self._tables.api_keys, key.id)
        last_used_at = standing.last_used_at if standing else None
        await self._transaction.update(self._tables.api_keys, replace(key, last_used_at=last_used_at))

    async def used(self, key_id: str, now: datetime) -> None:
        await self._transaction.statement("keys.used")
        if not self._transaction.take(self._tables.api_keys, key_id):
            return
        key = self._transaction.get(self._tables.api_keys, key_id)
        if key is not None and key.use_is_news(now):
            await self._transaction.update(self._tables.api_keys, replace(key, last_used_at=now))


class FakeAccounts:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def access(self, account_id: str) -> Access:
        await self._transaction.statement("accounts.access")
        account = self._transaction.get(self._tables.accounts, account_id)
        if account is None:
            raise NotFound(f"no channel account {account_id}")
        return self._access(account)

    async def serving(self, merchant_id: str, mode: Mode) -> Sequence[Serving]:
        await self._transaction.statement("accounts.serving")
        usable = [
            account
            for account in self._transaction.rows(self._tables.accounts)
            if account.enabled and account.mode == mode and account.merchant_id in (merchant_id, None)
        ]
        usable.sort(key=lambda account: (account.merchant_id is None, -account.priority, account.id))
        ill = [each for each in self._transaction.rows(self._tables.health) if each.failures]
        return [
            Serving(self._access(account), tuple(each for each in ill if each.account_id == account.id))
            for account in usable
        ]

    async def lock(self, account_id: str) -> ChannelAccount:
        await self._transaction.statement("accounts.lock")
        account = await self._transaction.lock(self._tables.accounts, account_id)
        if account is None:
            raise NotFound(f"no channel account {account_id}")
        return account

    async def save(self, account: ChannelAccount) -> None:
        await self._transaction.statement("accounts.save")
        await self._transaction.update(self._tables.accounts, account)

    async def page(self, *, before: str | None, limit: int, merchant_id: str | None = None) -> Sequence[Access]:
        await self._transaction.statement("accounts.page")
        rows = (
            account
            for account in self._transaction.rows(self._tables.accounts)
            if merchant_id is None or account.merchant_id == merchant_id
        )
        return [self._access(account) for account in newest(rows, before, limit)]

    async def add(self, account: ChannelAccount) -> None:
        await self._transaction.statement("accounts.add")
        await self._transaction.insert(self._tables.accounts, account)

    async def add_credential(self, credential: Credential) -> None:
        await self._transaction.statement("accounts.add_credential")
        await self._transaction.insert(self._tables.credentials, credential)

    def _access(self, account: ChannelAccount) -> Access:
        credential = self._transaction.get(self._tables.credentials, account.credential_id)
        assert credential is not None, "a foreign key stands here"
        return Access(account, credential)


class FakeCredentials:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, credential_id: str) -> Credential:
        await self._transaction.statement("credentials.get")
        return _there(self._transaction.get(self._tables.credentials, credential_id), credential_id)

    async def lock(self, credential_id: str) -> Credential:
        await self._transaction.statement("credentials.lock")
        credential = await self._transaction.lock(self._tables.credentials, credential_id)
        return _there(credential, credential_id)

    async def save(self, credential: Credential) -> None:
        await self._transaction.statement("credentials.save")
        await self._transaction.update(self._tables.credentials, credential)

    async def accounts(self, credential_id: str) -> Sequence[ChannelAccount]:
        await self._transaction.statement("credentials.accounts")
        rows = self._transaction.rows(self._tables.accounts)
        return sorted((row for row in rows if row.credential_id == credential_id), key=lambda row: row.id)


class FakeHealth:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def lock(self, account_id: str, method: Method, now: datetime) -> Health:
        await self._transaction.statement("health.lock")
        fresh = Health(account_id=account_id, method=method, since=now)
        await self._transaction.insert(self._tables.health, fresh, ignoring="pk_account_health")
        health = await self._transaction.lock(self._tables.health, (account_id, method))
        assert health is not None
        return health

    async def save(self, health: Health) -> None:
        await self._transaction.statement("health.save")
        await self._transaction.update(self._tables.health, health)

    async def try_again(self, health: Health, now: datetime) -> bool:
        await self._transaction.statement("health.try_again")
        row = await self._transaction.lock(self._tables.health, (health.account_id, health.method))
        if row is None or row.paused_until is None or row.paused_until > now:
            return False
        await self._transaction.update(self._tables.health, row.tried(now))
        return True

    async def recovered(self, account_id: str, method: Method) -> None:
        await self._transaction.statement("health.recovered")
        health = self._transaction.get(self._tables.health, (account_id, method))
        if health is not None:
            await self._transaction.update(
                self._tables.health, replace(health, failures=0, pauses=0, paused_until=None)
            )


class FakeCodes:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, code_id: str) -> StaticCode:
        await self._transaction.statement("codes.get")
        return _the_code(self._transaction.get(self._tables.codes, code_id))

    async def by_token(self, token: str) -> StaticCode:
        await self._transaction.statement("codes.by_token")
        return _the_code(self._transaction.find(self._tables.codes, "uq_static_code_token", token))

    async def of_merchant(self, merchant_id: str, mode: Mode) -> Sequence[StaticCode]:
        await self._transaction.statement("codes.of_merchant")
        codes = self._transaction.rows(self._tables.codes)
        theirs = [code for code in codes if (code.merchant_id, code.mode) == (merchant_id, mode)]
        return sorted(theirs, key=lambda code: (code.created_at, code.id))

    async def add(self, code: StaticCode) -> None:
        await self._transaction.statement("codes.add")
        await self._transaction.insert(self._tables.codes, code)

    async def save(self, code: StaticCode) -> None:
        await self._transaction.statement("codes.save")
        await self._transaction.update(self._tables.codes, code)


def _the_code(code: StaticCode | None) -> StaticCode:
    if code is None:
        raise NotFound("no such code")
    return code


class FakeEndpoints:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, endpoint_id: str) -> Endpoint:
        await self._transaction.statement("endpoints.get")
        endpoint = self._transaction.get(self._tables.endpoints, endpoint_id)
        if endpoint is None:
            raise NotFound(f"no webhook endpoint {endpoint_id}")
        return endpoint

    async def lock(self, endpoint_id: str) -> Endpoint:
        await self._transaction.statement("endpoints.lock")
        endpoint = await self._transaction.lock(self._tables.endpoints, endpoint_id)
        if endpoint is None:
            raise NotFound(f"no webhook endpoint {endpoint_id}")
        return endpoint

    async def many(self, endpoint_ids: Collection[str]) -> Mapping[str, Endpoint]:
        await self._transaction.statement("endpoints.many")
        found = [self._transaction.get(self._tables.endpoints, id_) for id_ in sorted(endpoint_ids)]
        return {endpoint.id: endpoint for endpoint in found if endpoint is not None}

    async def of_merchant(self, merchant_id: str, mode: Mode) -> Sequence[Endpoint]:
        await self._transaction.statement("endpoints.of_merchant")
        theirs = [
            endpoint
            for endpoint in self._transaction.rows(self._tables.endpoints)
            if (endpoint.merchant_id, endpoint.mode) == (merchant_id, mode)
        ]
        return sorted(theirs, key=lambda endpoint: (endpoint.created_at, endpoint.id))

    async def add(self, endpoint: Endpoint) -> None:
        await self._transaction.statement("endpoints.add")
        await self._transaction.insert(self._tables.endpoints, endpoint)

    async def save(self, endpoint: Endpoint) -> None:
        await self._transaction.statement("endpoints.save")
        await self._transaction.update(self._tables.endpoints, replace(endpoint, events=()))
        await publish(self._tables, self._transaction, endpoint.events)


class HasId(Protocol):
    @property
    def id(self) -> str: ...


HasIdT = TypeVar("HasIdT", bound=HasId)


def newest(rows: Iterable[HasIdT], before: str | None, limit: int) -> list[HasIdT]:
    """A page of rows whose ids grow with time."""
    older = (row for row in rows if before is None or row.id < before)
    return sorted(older, key=lambda row: row.id, reverse=True)[:limit]


def _there(credential: Credential | None, credential_id: str) -> Credential:
    if credential is None:
        raise NotFound(f"no credential {credential_id}")
    return credential
