"""The second factor: codes of an authenticator and recovery codes, each worth something once."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from application.ports.people import Totp
from application.ports.world import Ids, Vault, totp_context
from domain.errors import Unauthenticated
from domain.users import RECOVERY_CODES, User


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """Codes are checked against the user as locked by the caller, so that two at once cannot both use one."""

    totp: Totp
    vault: Vault
    ids: Ids
    pepper: bytes = field(repr=False)

    def accepted(self, user: User, code: str, now: datetime) -> User:
        """The user who has used this code. Raises Unauthenticated("totp_invalid"), whatever is wrong with it."""
        if user.authenticator is None:
            raise Unauthenticated("this code is not valid", code="totp_invalid")
        if not (code.isascii() and code.isdigit()):
            return user.used_recovery(self._digest(user.id, code))
        step = self.totp.step(self._open(user.id, user.authenticator.sealed), code, now)
        if step is None:
            raise Unauthenticated("this code is not valid", code="totp_invalid")
        return user.used_code(step)

    def begin(self, user: User) -> tuple[User, str]:
        """A new authenticator to set up, and its secret as text."""
        secret = self.totp.new_secret()
        return user.enrol(self.vault.seal(totp_context(user.id), secret.encode())), secret

    def confirmed(self, user: User, code: str, now: datetime) -> tuple[User, Sequence[str]]:
        """The new authenticator in force, since it shows the right code, and its recovery codes. Raises
        Unauthenticated("totp_invalid")."""
        step = None
        if user.enrolling is not None:
            step = self.totp.step(self._open(user.id, user.enrolling.sealed), code, now)
        if step is None:
            raise Unauthenticated("this code is not valid", code="totp_invalid")
        codes = self.new_codes()
        return user.enrolled(step, [self._digest(user.id, each) for each in codes]), codes

    def renewed(self, user: User) -> tuple[User, Sequence[str]]:
        """New recovery codes; those before are worth nothing."""
        codes = self.new_codes()
        return user.with_recovery([self._digest(user.id, each) for each in codes]), codes

    def new_codes(self) -> Sequence[str]:
        return [_grouped(self.ids.token(32)) for _ in range(RECOVERY_CODES)]

    def uri(self, user: User, secret: str) -> str:
        return self.totp.uri(secret, user.login)

    def _open(self, user_id: str, sealed: bytes) -> str:
        return self.vault.open(totp_context(user_id), sealed).decode()

    def _digest(self, user_id: str, code: str) -> bytes:
        plain = code.replace("-", "").replace(" ", "").lower()
        return hmac.digest(self.pepper, f"{user_id}|{plain}".encode(), "sha256")


def _grouped(random: str) -> str:
    """80 bits as people can copy them: four groups of lower case letters and digits, without 0, 1, 8 and 9."""
    text = base64.b32encode(hashlib.sha256(random.encode()).digest()[:10]).decode().lower()
    return "-".join(text[n : n + 4] for n in range(0, 16, 4))
