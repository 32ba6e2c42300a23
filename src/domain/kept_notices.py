"""Channel notices as they came: kept, so that after a fix of ours one can be read again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from domain.channels import Channel

KEPT = timedelta(days=7)
# Anybody can send us anything: of one address no more than these, and of one no more than this is written to disk.
KEPT_AN_HOUR = 100
MOST_BODY = 16_384
_MOST_HEADERS, _MOST_VALUE = 40, 1_000
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptNotice:
    """What came at the address of an account, and when: all that it takes to verify it as of then."""

    account_id: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedNotice(KeptNotice):
    """One that we did not believe, and why: kept for a week. ``body`` is cut off after MOST_BODY bytes: then it cannot
    be read again."""

    id: str
    channel: Channel
    reason: str

    @classmethod
    def of(
        cls,
        channel: Channel,
        account_id: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        id: str,
        reason: str,
        now: datetime,
    ) -> Self:
        """Without what could be a secret of the caller's, and no more of it than is worth keeping."""
        kept = [(name, value[:_MOST_VALUE]) for name, value in sorted(headers.items()) if name not in _SECRET]
        return cls(
            id=id,
            account_id=account_id,
            channel=channel,
            reason=reason,
            headers={name: value.replace("\0", "") for name, value in kept[:_MOST_HEADERS]},
            body=body[:MOST_BODY],
            received_at=now,
        )
