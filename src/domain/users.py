"""People who sign in: the platform's operators and the merchants' users, their roles, passwords and authenticators."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Self

from domain.errors import Conflict, InvalidRequest, Unauthenticated
from domain.permissions import Realm
from domain.states import Table, step

MIN_PASSWORD = 12
MAX_PASSWORD = 128  # characters; a longer one only costs time
RECOVERY_CODES = 10
# How long a password that somebody else has chosen opens the door to choosing one's own.
FIRST_PASSWORD = timedelta(hours=72)

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}")


class UserStatus(StrEnum):
    ACTIVE = "active"
    DEACTIVATED = "deactivated"


USER_TRANSITIONS: Table[UserStatus] = {
    UserStatus.ACTIVE: frozenset({UserStatus.DEACTIVATED}),
    UserStatus.DEACTIVATED: frozenset({UserStatus.ACTIVE}),
}


class Duty(StrEnum):
    """What somebody has to do before anything else is open."""

    CHANGE_PASSWORD = "change_password"  # noqa: S105 - a duty's name
    ENROL_TOTP = "enrol_totp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """A TOTP secret (RFC 6238), sealed. ``used_step`` is the last 30 second step whose code was accepted: no code
    works twice, nor one from before it."""

    sealed: bytes = field(repr=False)
    used_step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Unique by (realm, login). ``merchant_id`` is set in the merchants' realm alone.

    ``first_password_until`` is set while the password is one that somebody else has chosen: it has to be changed, and
    is worth nothing afterwards. ``enrolling`` is an authenticator that has not shown its first code yet. ``recovery``
    are digests of the recovery codes that are left.
    """

    id: str
    realm: Realm
    login: str
    name: str
    roles: frozenset[str]
    password_hash: str = field(repr=False)
    created_at: datetime
    merchant_id: str | None = None
    first_password_until: datetime | None = None
    authenticator: Authenticator | None = None
    enrolling: Authenticator | None = None
    recovery: tuple[bytes, ...] = field(default=(), repr=False)
    status: UserStatus = UserStatus.ACTIVE
    revision: int = 0

    @property
    def active(self) -> bool:
        return self.status is UserStatus.ACTIVE

    def duties(self, *, totp_required: bool) -> tuple[Duty, ...]:
        """In the order in which they are to be done."""
        first = (Duty.CHANGE_PASSWORD,) if self.first_password_until is not None else ()
        return (*first, Duty.ENROL_TOTP) if totp_required and self.authenticator is None else first

    def may_enter_at(self, now: datetime) -> bool:
        """Whether the right password opens a session."""
        return self.active and (self.first_password_until is None or now < self.first_password_until)

    def renamed(self, name: str) -> Self:
        return self._next(name=name)

    def given(self, roles: frozenset[str]) -> Self:
        return self._next(roles=roles)

    def turned(self, status: UserStatus) -> Self:
        return self._next(status=step("user", USER_TRANSITIONS, self.status, status))

    def with_password(self, hashed: str, *, first_until: datetime | None = None) -> Self:
        """``first_until`` when somebody else has chosen it."""
        return self._next(password_hash=hashed, first_password_until=first_until)

    def enrol(self, sealed: bytes) -> Self:
        """A new secret, not yet in force. Raises Conflict when one is: it has to be reset first."""
        if self.authenticator is not None:
            raise Conflict("an authenticator is set up; have it reset first", code="totp_enrolled")
        return self._next(enrolling=Authenticator(sealed=sealed))

    def enrolled(self, totp_step: int, recovery: Sequence[bytes]) -> Self:
        """The new authenticator has shown a code of ``totp_step``."""
        assert self.enrolling is not None
        authenticator = replace(self.enrolling, used_step=totp_step)
        return self._next(authenticator=authenticator, enrolling=None, recovery=tuple(recovery))

    def without_authenticator(self) -> Self:
        return self._next(authenticator=None, enrolling=None, recovery=())

    def with_recovery(self, recovery: Sequence[bytes]) -> Self:
        return self._next(recovery=tuple(recovery))

    def used_code(self, totp_step: int) -> Self:
        """Raises Unauthenticated for a code that was used before, or one older than that."""
        assert self.authenticator is not None
        if totp_step <= self.authenticator.used_step:
            raise Unauthenticated("this code is not valid", code="totp_invalid")
        return self._next(authenticator=replace(self.authenticator, used_step=totp_step))

    def used_recovery(self, digest: bytes) -> Self:
        """Each recovery code once. Raises Unauthenticated for one that is not left."""
        left = tuple(each for each in self.recovery if not hmac.compare_digest(each, digest))
        if len(left) == len(self.recovery):
            raise Unauthenticated("this code is not valid", code="totp_invalid")
        return self._next(recovery=left)

    def _next(self, **changes: object) -> Self:
        return replace(self, revision=self.revision + 1, **changes)  # type: ignore[arg-type]


def clean_login(text: str) -> str:
    """As it is compared: lower case. Raises InvalidRequest."""
    login = text.strip().lower()
    if not _LOGIN.fullmatch(login):
        raise InvalidRequest(
            "a login name has 2 to 64 of a-z, 0-9 and . _ @ + -, and begins with a letter or digit",
            code="login_invalid",
            pointer="/login",
        )
    return login


def check_password(password: str, user_names: Sequence[str]) -> None:
    """Length, and not what everybody guesses first: the person's own names. No rules of composition (NIST SP 800-63B,
    ASVS 5.0 6.2). Raises InvalidRequest, whose text does not repeat the password."""
    plain = password.casefold()
    why = None
    if len(password) < MIN_PASSWORD:
        why = f"a password has at least {MIN_PASSWORD} characters"
    elif len(password) > MAX_PASSWORD:
        why = f"a password has at most {MAX_PASSWORD} characters"
    elif any(_gives_away(plain, name.casefold()) for name in user_names):
        why = "a password is not made of your own name"
    elif len(set(plain)) < 5 or _is_a_run(plain):
        why = "this password is too easy to guess"
    if why is not None:
        raise InvalidRequest(why, code="password_unsuitable", pointer="/password")


def _gives_away(password: str, name: str) -> bool:
    """Whether the name is most of the password."""
    return len(name) >= 3 and len(password.replace(name, "")) < MIN_PASSWORD // 2 and name in password


def _is_a_run(password: str) -> bool:
    """``123456789012``, ``abcdefghijkl``: each character follows the one before it, save for a break or two."""
    steps = [ord(b) - ord(a) for a, b in pairwise(password)]
    return sum(step not in (1, -1) for step in steps) <= 2
