"""Idempotency keys: one call, one effect, one answer, however often the merchant repeats it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.channels import Mode

# A call that has not answered for this long is taken for dead; the next repetition runs it again. Every call behind
# a key is idempotent by its own natural key too, so running it again is safe.
RUNNING = timedelta(seconds=60)
KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A merchant's key with what it was first used for. ``fingerprint`` is a digest of operation and body."""

    merchant_id: str
    mode: Mode
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotentCall:
    """The stored row: still running until ``locked_until``, or answered with a status and the exact body."""

    key: IdempotencyKey
    locked_until: datetime
    status: int | None = None
    body: bytes | None = None
