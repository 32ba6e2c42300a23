"""What people may send: one struct a body, with every limit in it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from adapters.inbound.http.admin.kit import END, Name, Sentence

# Whatever was typed, up to a bound: a sign-in that fails says nothing about the form of a login or a password.
Typed = Annotated[str, Meta(min_length=1, max_length=200)]
Code = Annotated[str, Meta(min_length=6, max_length=24, description="Six digits, or a recovery code.")]


class SignInBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who signs in."""

    login: Annotated[Typed, Meta(description="The login name.", examples=["mina"])]
    password: Annotated[Typed, Meta(description="The password.", examples=["correct horse battery"])]
    code: Annotated[
        Code | None,
        Meta(description="A code of the authenticator or a recovery code, if one is set up.", examples=["123456"]),
    ] = None
    cookie: Annotated[
        bool,
        Meta(
            description="Keep the token in a cookie that no script can read, instead of answering it. Calls then send "
            "the header `X-Pitaya-Console`, too.",
            examples=[False],
        ),
    ] = False


class ProofBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A fresh second factor."""

    code: Annotated[
        Code | None,
        Meta(description="A code of the authenticator or a recovery code.", examples=["123456"]),
    ] = None
    password: Annotated[
        Typed | None,
        Meta(description="For who has no authenticator, where none is demanded.", examples=[None]),
    ] = None


class RejectBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why not."""

    reason: Annotated[Sentence, Meta(description="For its maker and the audit.", examples=["the account name differs"])]


class PasswordBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new password of one's own."""

    current: Annotated[Typed, Meta(description="The password until now.", examples=["correct horse battery"])]
    password: Annotated[
        Typed,
        Meta(description="The new one: 12 to 128 characters, any.", examples=["staple gun and a dragon fruit"]),
    ]


class BeginTotpBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Before an authenticator is set up."""

    password: Annotated[Typed, Meta(description="Your password, once more.", examples=["correct horse battery"])]


class CodeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the authenticator shows."""

    code: Annotated[str, Meta(min_length=6, max_length=6, description="Six digits.", examples=["123456"])]


RoleName = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[a-z0-9_-]+" + END)]
PermissionName = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[a-z_.]+" + END)]
Roles = Annotated[list[RoleName], Meta(max_length=20, description="The roles to hold.", examples=[["finance"]])]
Permissions = Annotated[
    list[PermissionName], Meta(max_length=200, description="What it allows.", examples=[["audit.read"]])
]


class NewUserBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Somebody who shall be able to sign in."""

    login: Annotated[
        str,
        Meta(
            min_length=2, max_length=64, description="a-z, 0-9 and . _ @ + -; case does not count.", examples=["noah"]
        ),
    ]
    name: Annotated[Name, Meta(description="The name that others see.", examples=["Noah"])]
    roles: Roles


class UserBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What shall be different; what is left out stays."""

    name: Annotated[Name | None, Meta(description="The name that others see.", examples=["Noah Li"])] = None
    roles: Annotated[
        Annotated[list[RoleName], Meta(max_length=20)] | None,
        Meta(description="The roles to hold, all of them.", examples=[["finance", "risk"]]),
    ] = None


class ResetBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What somebody has lost."""

    authenticator: Annotated[
        bool, Meta(description="Whether the authenticator goes, too; the password does.", examples=[False])
    ] = False


class NewRoleBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A name for some permissions."""

    name: Annotated[RoleName, Meta(description="a-z, 0-9, _ and -, for ever.", examples=["night-shift"])]
    meaning: Annotated[Sentence, Meta(description="For people.", examples=["looks after things at night"])]
    permissions: Permissions


class RoleBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What shall be different; what is left out stays."""

    meaning: Annotated[Sentence | None, Meta(description="For people.", examples=["looks after the nights"])] = None
    permissions: Annotated[
        Annotated[list[PermissionName], Meta(max_length=200)] | None,
        Meta(description="What it allows, all of it.", examples=[["audit.read", "proposals.read"]]),
    ] = None


class NewServiceTokenBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A machine that shall be able to call."""

    name: Annotated[Name, Meta(description="Which machine, and what for.", examples=["nightly export"])]
    permissions: Permissions
    valid_days: Annotated[int, Meta(ge=1, le=366, description="How long.", examples=[90])] = 90
