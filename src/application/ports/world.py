"""The rest of the world: time, identity, secrets, the courier, wake-ups."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.events import Event
from domain.notifications import Answer


class Clock(Protocol):
    """The database's clock: decisions about due and expired are made by it, not by each machine's own."""

    def now(self) -> datetime: ...


class Ids(Protocol):
    """New identities and random secrets."""

    def new(self, prefix: str) -> str:
        """``prefix_`` + a 26-character ULID; later ids sort after earlier ones, to the millisecond."""
        ...

    def token(self, length: int) -> str:
        """``length`` random base62 characters from the system's secure source."""
        ...


class Vault(Protocol):
    """Envelope encryption. ``context`` names table, row and column and is bound to the ciphertext: text moved to
    another place does not open. ``open`` raises ValueError for anything that was not sealed for this context."""

    def seal(self, context: str, plaintext: bytes) -> bytes: ...
    def open(self, context: str, sealed: bytes) -> bytes: ...


class Courier(Protocol):
    """Posts a signed notification. Never raises for what a merchant's server does; the Answer says it."""

    async def deliver(self, url: str, event: Event, secrets: Sequence[bytes], *, now: datetime) -> Answer: ...


class Hints(Protocol):
    """Wake-ups. Losing any or all of them loses nothing: every sweep finds what is due (DESIGN 3.8)."""

    async def work(self, job: str) -> None:
        """There is something for this job now. Returns at once, never raises."""
        ...

    async def order_changed(self, order_id: str) -> None:
        """For the cashier's live status. Returns at once, never raises."""
        ...


class Pace(Protocol):
    """How often something happens, counted over all processes in windows that follow one another. Where the counter
    cannot be reached everything passes: it is there to keep order, and nothing that must hold rests on it."""

    async def take(self, key: str, *, most: int, seconds: int) -> int:
        """Count one more. 0 when that makes at most ``most`` in this window, else the seconds until the next one.

        Returns soon, never raises.
        """
        ...


def credential_context(credential_id: str) -> str:
    """The Vault context of a credential's sealed part."""
    return f"credential|{credential_id}|sealed"


def endpoint_context(endpoint_id: str) -> str:
    """The Vault context of an endpoint's signing secret."""
    return f"webhook_endpoint|{endpoint_id}|sealed"


def account_context(account_id: str) -> str:
    """The Vault context of a channel account's own sealed part."""
    return f"channel_account|{account_id}|sealed"


def totp_context(user_id: str) -> str:
    """The Vault context of a person's authenticator."""
    return f"person|{user_id}|totp_sealed"


def payee_context(merchant_id: str) -> str:
    """The Vault context of the number of a merchant's bank account."""
    return f"merchant|{merchant_id}|payee"


def card_context(refund_id: str) -> str:
    """The Vault context of the card that an abnormal refund goes to."""
    return f"refund|{refund_id}|card"


def applyment_context(applyment_id: str) -> str:
    """The Vault context of an application's form, until the channel has it."""
    return f"applyment|{applyment_id}|form"
