"""`pitaya operator` and `pitaya permissions`: let the first operator in, and print who may do what."""

from collections.abc import Sequence

from application.keep_users import KeepUsers, People
from domain.actors import SYSTEM
from domain.permissions import BUILT_IN, PERMISSIONS, Realm
from domain.users import FIRST_PASSWORD, User

PLATFORM = People(Realm.PLATFORM)


async def create_operator(keep_users: KeepUsers, *, login: str, name: str, roles: Sequence[str]) -> str:
    """The text to print: what only this moment can show. Whoever can run this stands above every operator already."""
    user, password = await keep_users.create(SYSTEM, PLATFORM, login, name, frozenset(roles))
    return _first_password(user, password)


async def reset_operator(keep_users: KeepUsers, *, login: str, totp: bool) -> str:
    """For who has lost the password or, with ``totp``, the authenticator, and nobody else can help."""
    user = await keep_users.find(PLATFORM, login)
    user, password = await keep_users.reset(SYSTEM, PLATFORM, user.id, totp=totp)
    return _first_password(user, password)


def list_permissions() -> str:
    """Both tables: each permission, what it allows, and the built-in roles that hold it."""
    lines = []
    for realm in Realm:
        roles = BUILT_IN[realm]
        lines.append(f"{realm}: {', '.join(roles)}")
        for permission in PERMISSIONS[realm].values():
            held = ", ".join(role for role in roles if permission.name in roles[role])
            lines.append(f"  {permission.name:28}{permission.meaning:72}{held}")
    return "\n".join(lines)


def _first_password(user: User, password: str) -> str:
    return "\n".join(
        [
            f"operator         {user.id}",
            f"login            {user.login}",
            f"roles            {', '.join(sorted(user.roles))}",
            f"first password   {password}",
            f"Shown this once; to be changed at the first sign-in, within {FIRST_PASSWORD.days} days.",
        ]
    )
