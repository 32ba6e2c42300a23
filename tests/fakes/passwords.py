"""Passwords and one-time passwords that cost no time."""

import hashlib
import random
from datetime import datetime

STRENGTH = "plain2"


class FakePasswords:
    """``hashed`` with another ``strength`` is outdated."""

    def __init__(self, strength: str = STRENGTH) -> None:
        self.strength = strength

    async def hashed(self, password: str) -> str:
        return f"{self.strength}${_digest(password)}"

    async def fits(self, password: str, hashed: str | None) -> bool:
        return hashed is not None and hashed.partition("$")[2] == _digest(password)

    def outdated(self, hashed: str) -> bool:
        return hashed.partition("$")[0] != self.strength


class FakeTotp:
    """Codes that follow from secret and time, as in the real one, and secrets from a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def new_secret(self) -> str:
        return "".join(self._random.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(32))

    def uri(self, secret: str, account: str) -> str:
        return f"otpauth://totp/Pitaya:{account}?secret={secret}&issuer=Pitaya"

    def step(self, secret: str, code: str, at: datetime) -> int | None:
        now = int(at.timestamp()) // 30
        return max((step for step in (now - 1, now, now + 1) if _code(secret, step) == code), default=None)

    def code(self, secret: str, at: datetime) -> str:
        """What an authenticator would show."""
        return _code(secret, int(at.timestamp()) // 30)


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _code(secret: str, step: int) -> str:
    digest = hashlib.sha256(f"{secret}|{step}".encode()).digest()
    return f"{int.from_bytes(digest[:4], 'big') % 1_000_000:06}"
