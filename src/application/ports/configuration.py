"""The repositories of what is configured: merchants, their keys, prices and limits; channel accounts, how we sign for
them, and their health. The rules of ``application.ports.storage`` hold here."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from domain.attempts import Attempt
from domain.channels import Access, ChannelAccount, Credential, Method, Mode
from domain.limits import Limit
from domain.merchants import ApiKey, Merchant
from domain.products import Binding, Pricing, Product, ProductVersion, RateOverride, Standing
from domain.routing import Health, Serving


class Merchants(Protocol):
    """Configuration: read without locks on the payments' path, locked where a person changes it. ``get`` and ``lock``
    raise NotFound."""

    async def get(self, merchant_id: str) -> Merchant: ...
    async def lock(self, merchant_id: str) -> Merchant: ...
    async def add(self, merchant: Merchant) -> None: ...
    async def save(self, merchant: Merchant) -> None: ...
    async def page(self, *, before: str | None, limit: int) -> Sequence[Merchant]:
        """Newest first; ``before`` is the id of the last one seen."""
        ...


class ApiKeys(Protocol):
    """``lock`` raises NotFound."""

    async def add(self, key: ApiKey) -> None: ...
    async def find(self, digest: bytes) -> ApiKey | None: ...
    async def lock(self, key_id: str) -> ApiKey: ...
    async def of_merchant(self, merchant_id: str, mode: Mode, *, limit: int) -> Sequence[ApiKey]:
        """Newest first, dead ones among them."""
        ...

    async def save(self, key: ApiKey) -> None:
        """Its name, expiry and revocation, of a key that was locked. When it was used, ``used`` alone writes."""
        ...

    async def used(self, key_id: str, now: datetime) -> None:
        """Write this use down, unless one within USE_GRAIN is written or somebody else is at it. Waits for nobody."""
        ...


class Products(Protocol):
    """``get`` and ``lock`` raise NotFound. Versions are only ever added, under the product's lock."""

    async def get(self, product_id: str) -> Product: ...
    async def lock(self, product_id: str) -> Product: ...
    async def add(self, product: Product) -> None: ...
    async def save(self, product: Product) -> None: ...
    async def page(self, *, before: str | None, limit: int) -> Sequence[Product]: ...
    async def add_version(self, version: ProductVersion) -> None: ...
    async def versions(self, product_id: str) -> Sequence[ProductVersion]:
        """All of them, in the order of ``n``."""
        ...


class Pricings(Protocol):
    """What was agreed with each merchant. Rows are only ever added, with ids that grow."""

    async def of_merchant(self, merchant_id: str) -> Pricing: ...
    async def bind(self, binding: Binding) -> None: ...
    async def override(self, override: RateOverride) -> None: ...
    async def standing(self, merchant_id: str, at: datetime) -> Standing:
        """The merchant, with ``Pricing.plans(at)`` and its limits, in one statement. Raises NotFound."""
        ...


class Limits(Protocol):
    """What merchants may take, and what they have taken of a day's amount."""

    async def of_merchant(self, merchant_id: str) -> Sequence[Limit]:
        """By method."""
        ...

    async def set(self, merchant_id: str, limit: Limit) -> None:
        """In place of the one that stood for this method. One that limits nothing takes it away."""
        ...

    async def reserve(self, attempt: Attempt, most: int) -> bool:
        """Add a new attempt's amount to its day (``counted_on``) unless the day would exceed ``most``.

        One statement: any number of attempts at once never exceed it together.
        """
        ...

    async def taken(self, merchant_id: str, mode: Mode, day: date) -> Mapping[Method, int]:
        """What counts so far, by method, of those that a daily limit has counted."""
        ...


class Accounts(Protocol):
    """Channel accounts. ``access`` and ``lock`` raise NotFound; a disabled account is still returned."""

    async def access(self, account_id: str) -> Access: ...
    async def serving(self, merchant_id: str, mode: Mode) -> Sequence[Serving]:
        """Enabled accounts this merchant may use: its own, then the platform's, each by descending priority."""
        ...

    async def lock(self, account_id: str) -> ChannelAccount: ...
    async def add(self, account: ChannelAccount) -> None: ...
    async def save(self, account: ChannelAccount) -> None: ...
    async def page(self, *, before: str | None, limit: int, merchant_id: str | None = None) -> Sequence[Access]:
        """Newest first; with ``merchant_id`` those that it owns."""
        ...

    async def add_credential(self, credential: Credential) -> None: ...


class Credentials(Protocol):
    """``get`` and ``lock`` raise NotFound."""

    async def get(self, credential_id: str) -> Credential: ...
    async def lock(self, credential_id: str) -> Credential: ...
    async def save(self, credential: Credential) -> None: ...
    async def accounts(self, credential_id: str) -> Sequence[ChannelAccount]:
        """Those that use it, oldest first."""
        ...


class AccountHealth(Protocol):
    """What goes wrong with accounts, by account and method. Nothing is written while all is well."""

    async def lock(self, account_id: str, method: Method, now: datetime) -> Health:
        """What is known, locked; a fresh one where nothing is."""
        ...

    async def save(self, health: Health) -> None: ...
    async def try_again(self, health: Health, now: datetime) -> bool:
        """Take the trial of an account whose pause is over: True for one caller, who stores ``health.tried(now)``."""
        ...

    async def recovered(self, account_id: str, method: Method) -> None:
        """All is well again: it is as if nothing had been."""
        ...
