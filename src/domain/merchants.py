"""Merchants, their API keys, and the format of a key."""

import hmac
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, Self, TypeVar

from domain.actors import Actor, ActorKind
from domain.channels import FundMode, Mode
from domain.errors import Conflict, Forbidden, NotFound, Unauthenticated
from domain.networks import among
from domain.payouts import PayeeKind
from domain.times import rfc3339
from domain.tokens import CHECK, RANDOM, checksum, make_token

KEY_RANDOM, KEY_CHECK = RANDOM, CHECK
# A use is written down when the last one written is older than this: coarse, so that it costs nothing.
USE_GRAIN = timedelta(minutes=1)
LONGEST_OVERLAP = timedelta(days=7)


class Owned(Protocol):
    """Anything that belongs to one merchant in one mode."""

    @property
    def merchant_id(self) -> str: ...
    @property
    def mode(self) -> Mode: ...


OwnedT = TypeVar("OwnedT", bound=Owned)


class LatePayment(StrEnum):
    """What happens to money that arrives after its order was closed."""

    REFUND = "refund"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Whom to call at a merchant, and about what."""

    name: str
    role: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankAccount:
    """Where a merchant's payouts go. ``sealed`` is the number as a Vault's ciphertext, ``last4`` its end, to show.

    With another ``kind`` than a bank's it is an account at a channel; ``holder`` is its owner's real name.
    """

    holder: str
    bank: str
    sealed: bytes = field(repr=False)
    last4: str
    changed_at: datetime
    kind: PayeeKind = PayeeKind.BANK

    def snapshot(self) -> dict[str, Any]:
        """The account as it may be shown."""
        return {
            "kind": str(self.kind),
            "holder": self.holder,
            "bank": self.bank,
            "number": f"****{self.last4}",
            "changed_at": rfc3339(self.changed_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchant:
    """Who collects. Suspended (not ``active``), it starts nothing new; money in flight still comes to its end.

    ``short_name`` is what payers see. ``fund_modes`` are those it may use: a merchant for whom the platform may not
    hold money is never routed to the platform's accounts. ``networks`` are the addresses its API keys work from, none
    for any; ``orders_per_minute`` how many orders it may place, None for any number.
    """

    id: str
    name: str
    created_at: datetime
    short_name: str = ""
    contacts: tuple[Contact, ...] = ()
    late_payment: LatePayment = LatePayment.REFUND
    fund_modes: frozenset[FundMode] = frozenset(FundMode)
    networks: tuple[str, ...] = ()
    orders_per_minute: int | None = None
    payee: BankAccount | None = None
    active: bool = True

    @property
    def shown_name(self) -> str:
        return self.short_name or self.name

    def snapshot(self) -> dict[str, Any]:
        """The merchant as operators see it, in the API and in the audit."""
        return {
            "id": self.id,
            "object": "merchant",
            "name": self.name,
            "short_name": self.short_name,
            "active": self.active,
            "contacts": [asdict(contact) for contact in self.contacts],
            "late_payment": str(self.late_payment),
            "fund_modes": sorted(map(str, self.fund_modes)),
            "networks": list(self.networks),
            "orders_per_minute": self.orders_per_minute,
            "payee": self.payee.snapshot() if self.payee else None,
            "created_at": rfc3339(self.created_at),
        }

    def must_be_active(self) -> None:
        """Raises Forbidden for one that is suspended."""
        if not self.active:
            raise Forbidden("this merchant is suspended", code="merchant_suspended")

    def admits(self, address: str | None) -> bool:
        """Whether its API keys may be used from this address. Networks are compared as numbers, never as text."""
        return not self.networks or among(address, self.networks)

    def suspended(self) -> Self:
        if not self.active:
            raise Conflict("this merchant is suspended already", code="merchant_suspended")
        return replace(self, active=False)

    def reactivated(self) -> Self:
        if self.active:
            raise Conflict("this merchant is active", code="merchant_active")
        return replace(self, active=True)


class Scope(StrEnum):
    """What a key may be used for. Each route of the merchant API names the one that it needs."""

    ORDERS_READ = "orders.read"
    ORDERS_WRITE = "orders.write"
    REFUNDS_READ = "refunds.read"
    REFUNDS_WRITE = "refunds.write"
    SETTLEMENTS_WRITE = "settlements.write"
    SHARES_READ = "shares.read"  # profit sharing (分账): receivers, shares and what came back
    SHARES_WRITE = "shares.write"
    BALANCE_READ = "balance.read"  # balances, transfers, settlements, statements
    EVENTS_READ = "events.read"  # events and what became of their deliveries
    WEBHOOKS_READ = "webhooks.read"
    WEBHOOKS_WRITE = "webhooks.write"
    KEYS_READ = "keys.read"
    KEYS_WRITE = "keys.write"


Scopes = frozenset[Scope] | None
"""What a key may do; None for everything, scopes of later versions included."""


def within(scopes: Scopes, limits: Scopes) -> bool:
    """Whether the first allow nothing that the second do not."""
    return limits is None or (scopes is not None and scopes <= limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A bearer key of a merchant. Only ``digest`` (HMAC-SHA256 with the platform's pepper) is ever stored.

    ``last_used_at`` is coarse: at most USE_GRAIN behind the truth.
    """

    id: str
    merchant_id: str
    mode: Mode
    digest: bytes = field(repr=False)
    last4: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    name: str = ""
    scopes: Scopes = None
    last_used_at: datetime | None = None

    def authenticates_at(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def use_is_news(self, now: datetime) -> bool:
        """Whether a use at this moment is to be written down."""
        return self.last_used_at is None or now - self.last_used_at >= USE_GRAIN

    def expiring(self, now: datetime, overlap: timedelta) -> Self:
        """Replaced by another key: good for the overlap, or for what is left of it. Raises Conflict for a dead one."""
        if not self.authenticates_at(now):
            raise Conflict("this key is revoked or has expired", code="key_not_live")
        end = now + min(overlap, LONGEST_OVERLAP)
        return replace(self, expires_at=min(end, self.expires_at) if self.expires_at else end)

    def revoked(self, now: datetime) -> Self:
        """Never good again. Harmless when it is revoked already."""
        return self if self.revoked_at else replace(self, revoked_at=now)

    def snapshot(self) -> dict[str, Any]:
        """The key as its merchant sees it: never the key itself."""
        return {
            "id": self.id,
            "object": "api_key",
            "mode": str(self.mode),
            "name": self.name,
            "prefix": f"pty_sk_{self.mode}_",
            "last4": self.last4,
            "scopes": None if self.scopes is None else sorted(self.scopes),
            "created_at": rfc3339(self.created_at),
            "last_used_at": rfc3339(self.last_used_at) if self.last_used_at else None,
            "expires_at": rfc3339(self.expires_at) if self.expires_at else None,
            "revoked_at": rfc3339(self.revoked_at) if self.revoked_at else None,
        }


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the merchant API, as its key says. It sees what is its own, in its own mode, and nothing else."""

    merchant_id: str
    mode: Mode
    scopes: Scopes = None
    key_id: str = ""

    @property
    def actor(self) -> Actor:
        """Whose hand it is, for the audit."""
        return Actor(kind=ActorKind.MERCHANT_KEY, id=self.key_id, name="API key", merchant_id=self.merchant_id)

    def may(self, scope: Scope) -> None:
        """Raises Forbidden("scope_missing") if its key does not allow this."""
        if not within(frozenset({scope}), self.scopes):
            raise Forbidden(f"this API key lacks the scope {scope}", code="scope_missing")

    def own(self, thing: OwnedT) -> OwnedT:
        """The thing, if it is the caller's. Raises NotFound otherwise, as if there were none."""
        if (thing.merchant_id, thing.mode) != (self.merchant_id, self.mode):
            raise NotFound("no such object")
        return thing


def make_key(mode: Mode, random_part: str) -> str:
    """``pty_sk_test_`` or ``pty_sk_live_`` + 37 random base62 digits + a CRC32 that lets scanners recognise a leak."""
    return make_token(f"pty_sk_{mode}_", random_part)


def key_digest(key: str, pepper: bytes) -> bytes:
    """What is stored of a key. Raises Unauthenticated for text that is no key at all, before any database is asked."""
    if (
        not key.isascii()
        or not key.startswith(("pty_sk_test_", "pty_sk_live_"))
        or len(key) != 12 + KEY_RANDOM + KEY_CHECK
    ):
        raise Unauthenticated("this is not an API key", code="api_key_invalid")
    if checksum(key[:-KEY_CHECK]) != key[-KEY_CHECK:]:
        raise Unauthenticated("this API key is mistyped: its check characters do not fit", code="api_key_invalid")
    return hmac.digest(pepper, key.encode(), "sha256")
