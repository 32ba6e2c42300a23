"""Passwords hashed with argon2id (RFC 9106) in threads, few at a time."""

import asyncio
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

from domain.errors import RateLimited

T = TypeVar("T")


class Argon2Passwords:
    """t=3, m=32 MiB, p=1: above OWASP's and ASVS 5.0's least (t=2, m=19 MiB), 0.07 s of one core here.

    ``at_once`` bounds memory and processors, ``waiting`` how long the last one in the queue waits; whoever comes after
    that is told to come again, so that a flood of sign-ins holds up nothing but sign-ins.
    """

    def __init__(self, *, at_once: int = 2, waiting: int = 20, time_cost: int = 3, memory_kib: int = 32 * 1024) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1, type=Type.ID)
        self._turn = asyncio.Semaphore(at_once)
        self._room = at_once + waiting
        self._nobodys = self._hasher.hash("the password of nobody")

    async def hashed(self, password: str) -> str:
        return await self._alone(lambda: self._hasher.hash(_prepared(password)))

    async def fits(self, password: str, hashed: str | None) -> bool:
        fits = await self._alone(lambda: self._verify(hashed or self._nobodys, _prepared(password)))
        return fits and hashed is not None

    def outdated(self, hashed: str) -> bool:
        try:
            return self._hasher.check_needs_rehash(hashed)
        except InvalidHashError:
            return False

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _alone(self, work: Callable[[], T]) -> T:
        if self._room == 0:
            raise RateLimited("too many sign-ins at once", code="rate_limited", retry_after_seconds=2)
        self._room -= 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._room += 1


def _prepared(password: str) -> str:
    """One form of each text (NFKC, as NIST SP 800-63B 3.1.1.2 advises), so that every keyboard's "é" is the same."""
    return unicodedata.normalize("NFKC", password)
