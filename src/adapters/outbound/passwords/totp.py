"""One-time passwords by time (RFC 6238) on pyotp."""

import hmac
from datetime import datetime

import pyotp

STEP_SECONDS = 30


class PyotpTotp:
    """``issuer`` is the name beside the code in an authenticator."""

    def __init__(self, issuer: str = "Pitaya") -> None:
        self._issuer = issuer

    def new_secret(self) -> str:
        return pyotp.random_base32(32)

    def uri(self, secret: str, account: str) -> str:
        return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=self._issuer)

    def step(self, secret: str, code: str, at: datetime) -> int | None:
        if not (len(code) == 6 and code.isascii() and code.isdigit()):
            return None
        now, codes = int(at.timestamp()) // STEP_SECONDS, pyotp.HOTP(secret)
        # All three are compared, each in constant time; the latest counts, so that it cannot be used again as another.
        fitting = [step for step in (now - 1, now, now + 1) if hmac.compare_digest(codes.at(step), code)]
        return max(fitting, default=None)
