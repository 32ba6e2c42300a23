"""Daily closing: a ledger day is over, what it moved stands fixed, and a digest of it is known outside the database.

Which transfers a day has follows from two things that never change: the day on which each was posted, and the
transaction that posted it. ``cut`` is the oldest transaction that still ran when the day was closed; what a later one
posts counts for the next open day, whatever day it was begun on (docs/decisions/0005-closed-days.md).
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

GENESIS = bytes(32)


@dataclass(frozen=True, slots=True)
class Content:
    """What a day's transfers come to: how many, and the SHA-256 over all of them in the order of their transactions."""

    transfers: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """One closed day. ``digest`` is over the day before's and everything of this one, so that each vouches for all
    before it."""

    day: date
    cut: int
    transfers: int
    digest: bytes
    closed_at: datetime

    @property
    def position(self) -> int:
        """The day as a number that people can read: 20261101."""
        return self.day.year * 10_000 + self.day.month * 100 + self.day.day


def digest_of(before: bytes, day: date, cut: int, content: Content) -> bytes:
    """SHA-256 over the digest before, day, cut and count as text, and the digest of the day's transfers."""
    text = f"|{day.isoformat()}|{cut}|{content.transfers}|"
    return hashlib.sha256(before + text.encode() + content.digest).digest()


@dataclass(frozen=True, slots=True)
class Position:
    """A line of the trial balance: what the accounts of one kind did on a day, and what they came to.

    Credits minus debits, in minor units: opening + credits − debits = closing.
    """

    mode: str
    currency: str
    kind: str
    opening: int
    debits: int
    credits: int
    closing: int
