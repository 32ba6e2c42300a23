"""What people receive. No view has a field for a secret, but those that show one once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from adapters.inbound.http.views import OBJECT, Time
from application.ports.queries import Page
from application.sign_in import Opened
from domain.actors import Actor, ActorKind
from domain.permissions import Realm
from domain.proposals import Proposal, ProposalStatus
from domain.sessions import Role, ServiceToken, Session
from domain.times import rfc3339
from domain.users import Duty, User, UserStatus

Id = Annotated[str, Meta(description="Our id.", examples=["opr_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
NextCursor = Annotated[
    str | None, Meta(description="Ask for the next page with it; null at the end.", examples=["b3wxfDI"])
]
MerchantId = Annotated[
    str | None, Meta(description="The merchant it concerns.", examples=["mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
]


class UserView(msgspec.Struct, kw_only=True):
    """Somebody who can sign in: an operator, or a merchant's user."""

    id: Id
    object: Annotated[Literal["user"], OBJECT]
    realm: Annotated[Realm, Meta(description="Whose people they are.", examples=["platform"])]
    merchant_id: MerchantId
    login: Annotated[str, Meta(description="The login name.", examples=["mina"])]
    name: Annotated[str, Meta(description="The name that others see.", examples=["Mina"])]
    roles: Annotated[list[str], Meta(description="The roles held.", examples=[["finance"]])]
    status: Annotated[UserStatus, Meta(description="Whether they can sign in.", examples=["active"])]
    totp: Annotated[bool, Meta(description="Whether an authenticator is set up.", examples=[True])]
    first_password_until: Annotated[
        str | None,
        Meta(description="Until when a password that somebody else has chosen can be used.", examples=[None]),
    ]
    created_at: Time


class UserPage(msgspec.Struct, kw_only=True):
    """Users, newest first."""

    data: Annotated[list[UserView], Meta(description="This page.")]
    next_cursor: NextCursor


class SessionView(msgspec.Struct, kw_only=True):
    """One sign-in."""

    id: Annotated[str, Meta(description="Our id.", examples=["ses_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["session"], OBJECT]
    created_at: Time
    seen_at: Time
    expires_at: Time
    proved_at: Annotated[
        str | None,
        Meta(
            description="When a second factor was shown last: money and keys want one within five minutes.",
            examples=["2026-11-01T08:30:00.000+00:00"],
        ),
    ]
    address: Annotated[str | None, Meta(description="From where.", examples=["203.0.113.7"])]
    agent: Annotated[str | None, Meta(description="By what.", examples=["Firefox"])]


class SessionList(msgspec.Struct, kw_only=True):
    """Open sessions, oldest first."""

    data: Annotated[list[SessionView], Meta(description="All of them.")]


class OpenedView(msgspec.Struct, kw_only=True):
    """A session that has just been opened, or proved under a new token."""

    token: Annotated[
        str | None,
        Meta(
            description="Send it as `Authorization: Bearer …`. Shown this once; null where it went into a cookie.",
            examples=["pty_ss_0000000000000000000000000000000000000000000"],
        ),
    ]
    session: Annotated[SessionView, Meta(description="The session.")]
    user: Annotated[UserView, Meta(description="Who signed in.")]
    duties: Annotated[
        list[Duty],
        Meta(description="What has to be done before anything else is open.", examples=[["change_password"]]),
    ]


class MeView(msgspec.Struct, kw_only=True):
    """Who you are, and what you may do."""

    user: Annotated[UserView, Meta(description="You.")]
    session: Annotated[SessionView, Meta(description="This session.")]
    permissions: Annotated[list[str], Meta(description="What you may do now.", examples=[["audit.read"]])]
    duties: Annotated[
        list[Duty],
        Meta(description="What has to be done before anything else is open.", examples=[["enrol_totp"]]),
    ]
    fresh: Annotated[bool, Meta(description="Whether a second factor was shown just now.", examples=[True])]


class ProposalView(msgspec.Struct, kw_only=True):
    """An action that one person proposes and another decides."""

    id: Annotated[str, Meta(description="Our id.", examples=["prp_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["proposal"], OBJECT]
    action: Annotated[str, Meta(description="What shall be done.", examples=["merchant.change_payee"])]
    summary: Annotated[str, Meta(description="The same for people.", examples=["Café: new payee"])]
    payload: Annotated[dict[str, Any], Meta(description="With what.", examples=[{"merchant_id": "mch_…"}])]
    permission: Annotated[str, Meta(description="What who decides has to hold.", examples=["merchants.approve"])]
    merchant_id: MerchantId
    status: Annotated[ProposalStatus, Meta(description="Approving is executing.", examples=["proposed"])]
    made_by: Annotated[str, Meta(description="Its maker.", examples=["opr_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    made_by_name: Annotated[str, Meta(description="The name.", examples=["Mina"])]
    decided_by: Annotated[str | None, Meta(description="Who decided.", examples=[None])]
    decided_by_name: Annotated[str | None, Meta(description="The name.", examples=[None])]
    reason: Annotated[str | None, Meta(description="Why it was rejected.", examples=[None])]
    result: Annotated[dict[str, Any], Meta(description="What came of it.", examples=[{}])]
    created_at: Time
    expires_at: Time
    decided_at: Annotated[str | None, Meta(description="When.", examples=[None])]


class ProposalPage(msgspec.Struct, kw_only=True):
    """Proposals, newest first."""

    data: Annotated[list[ProposalView], Meta(description="This page.")]
    next_cursor: NextCursor


class FirstPasswordView(msgspec.Struct, kw_only=True):
    """Somebody with a first password, to be handed over by a way that others do not read."""

    user: Annotated[UserView, Meta(description="Whose it is.")]
    first_password: Annotated[
        str | None,
        Meta(
            description="Shown this once. It has to be changed at the first sign-in.", examples=["x7Gk-20dP-mQ4s-R81z"]
        ),
    ]


class TotpView(msgspec.Struct, kw_only=True):
    """An authenticator to set up."""

    secret: Annotated[
        str | None,
        Meta(description="For typing. Shown this once.", examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"]),
    ]
    uri: Annotated[
        str | None,
        Meta(description="The same as an address. Shown this once.", examples=["otpauth://totp/Pitaya:mina?secret=…"]),
    ]
    qr_svg: Annotated[
        str | None, Meta(description="The same as a picture (SVG). Shown this once.", examples=["<svg>…</svg>"])
    ]


class RecoveryView(msgspec.Struct, kw_only=True):
    """For when the authenticator is lost."""

    recovery_codes: Annotated[
        list[str] | None,
        Meta(description="Each works once. Shown this once.", examples=[["mfrg-gzdf-mztw-q2lk"]]),
    ]


class RoleView(msgspec.Struct, kw_only=True):
    """A name for some permissions."""

    name: Annotated[str, Meta(description="Its name.", examples=["finance"])]
    object: Annotated[Literal["role"], OBJECT]
    meaning: Annotated[str, Meta(description="For people; empty for a built-in one.", examples=[""])]
    built_in: Annotated[bool, Meta(description="Whether it comes with Pitaya and cannot be changed.", examples=[True])]
    permissions: Annotated[list[str], Meta(description="What it allows.", examples=[["audit.read"]])]


class RoleList(msgspec.Struct, kw_only=True):
    """Built-in roles, then custom ones by name."""

    data: Annotated[list[RoleView], Meta(description="All of them.")]


class PermissionView(msgspec.Struct, kw_only=True):
    """One thing that a person can do."""

    name: Annotated[str, Meta(description="Its name.", examples=["audit.read"])]
    meaning: Annotated[str, Meta(description="What it allows.", examples=["see who did what"])]
    roles: Annotated[list[str], Meta(description="The built-in roles that hold it.", examples=[["administrator"]])]


class PermissionList(msgspec.Struct, kw_only=True):
    """Every permission."""

    data: Annotated[list[PermissionView], Meta(description="All of them.")]


class ServiceTokenView(msgspec.Struct, kw_only=True):
    """What a machine signs in with. It never can more than its maker can at the time."""

    id: Annotated[str, Meta(description="Our id.", examples=["svc_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["service_token"], OBJECT]
    name: Annotated[str, Meta(description="Which machine, and what for.", examples=["nightly export"])]
    last4: Annotated[str, Meta(description="Its last four characters.", examples=["x7Gk"])]
    permissions: Annotated[list[str], Meta(description="What it allows.", examples=[["audit.read"]])]
    created_by: Annotated[str, Meta(description="Its maker.", examples=["opr_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    created_at: Time
    expires_at: Time
    used_at: Annotated[str | None, Meta(description="When it called last, to the minute.", examples=[None])]
    revoked_at: Annotated[str | None, Meta(description="When it was revoked.", examples=[None])]


class ServiceTokenList(msgspec.Struct, kw_only=True):
    """Service tokens, newest first."""

    data: Annotated[list[ServiceTokenView], Meta(description="All of them.")]


class NewServiceTokenView(msgspec.Struct, kw_only=True):
    """A service token that has just been made."""

    service_token: Annotated[ServiceTokenView, Meta(description="What is known of it.")]
    token: Annotated[
        str | None,
        Meta(
            description="Send it as `Authorization: Bearer …`. Shown this once.",
            examples=["pty_st_0000000000000000000000000000000000000000000"],
        ),
    ]


class AuditView(msgspec.Struct, kw_only=True):
    """Who did what to which object."""

    id: Annotated[str, Meta(description="Our id.", examples=["aud_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["audit_record"], OBJECT]
    at: Time
    action: Annotated[str, Meta(description="What happened to it.", examples=["user.created"])]
    object_id: Annotated[str, Meta(description="To which object.", examples=["opr_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    merchant_id: MerchantId
    actor_kind: Annotated[ActorKind, Meta(description="What did it.", examples=["operator"])]
    actor_id: Annotated[str, Meta(description="Who did it.", examples=["opr_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    actor_name: Annotated[str, Meta(description="The name at that time.", examples=["Mina"])]
    actor_roles: Annotated[list[str], Meta(description="The roles at that time.", examples=[["administrator"]])]
    behind: Annotated[str | None, Meta(description="The operator behind a service token.", examples=[None])]
    address: Annotated[str | None, Meta(description="From where.", examples=["203.0.113.7"])]
    request_id: Annotated[str | None, Meta(description="The request's id.", examples=["4f0c2a1e9b7d4c6f"])]
    before: Annotated[dict[str, Any], Meta(description="What was.", examples=[{}])]
    after: Annotated[dict[str, Any], Meta(description="What is.", examples=[{"roles": ["finance"]}])]


class AuditPage(msgspec.Struct, kw_only=True):
    """Audit records, newest first."""

    data: Annotated[list[AuditView], Meta(description="This page.")]
    next_cursor: NextCursor


def user_view(user: User) -> UserView:
    return UserView(
        id=user.id,
        object="user",
        realm=user.realm,
        merchant_id=user.merchant_id,
        login=user.login,
        name=user.name,
        roles=sorted(user.roles),
        status=user.status,
        totp=user.authenticator is not None,
        first_password_until=time_of(user.first_password_until),
        created_at=rfc3339(user.created_at),
    )


def session_view(session: Session) -> SessionView:
    return SessionView(
        id=session.id,
        object="session",
        created_at=rfc3339(session.created_at),
        seen_at=rfc3339(session.seen_at),
        expires_at=rfc3339(session.expires_at),
        proved_at=time_of(session.proved_at),
        address=session.address,
        agent=session.agent,
    )


def opened_view(opened: Opened, *, show: bool) -> OpenedView:
    return OpenedView(
        token=opened.token if show else None,
        session=session_view(opened.session),
        user=user_view(opened.user),
        duties=list(opened.duties),
    )


def me_view(user: User, session: Session, actor: Actor, duties: Sequence[Duty], *, fresh: bool) -> MeView:
    return MeView(
        user=user_view(user),
        session=session_view(session),
        permissions=sorted(actor.permissions),
        duties=list(duties),
        fresh=fresh,
    )


def proposal_view(proposal: Proposal) -> ProposalView:
    shown = {name: getattr(proposal, name) for name in ProposalView.__struct_fields__ if hasattr(proposal, name)}
    view: ProposalView = row_view(ProposalView, shown, "proposal")
    return view


def page_of(kind: type[Any], view: type[Any], object_: str, page: Page) -> Any:
    """A page of rows as the struct ``kind``, each row as a ``view``."""
    return kind(data=[row_view(view, row, object_) for row in page.rows], next_cursor=page.next_cursor)


def row_view(view: type[Any], row: Mapping[str, Any], object_: str) -> Any:
    """A flat row as a view: what the view names, times as text."""
    shown = {name: row[name] for name in view.__struct_fields__ if name in row}
    shown = {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in shown.items()}
    return msgspec.convert({**shown, "object": object_}, view)


def time_of(at: datetime | None) -> str | None:
    return rfc3339(at) if at is not None else None


def role_view(role: Role) -> RoleView:
    return RoleView(
        name=role.name, object="role", meaning=role.meaning, built_in=False, permissions=sorted(role.permissions)
    )


def service_token_view(token: ServiceToken) -> ServiceTokenView:
    return ServiceTokenView(
        id=token.id,
        object="service_token",
        name=token.name,
        last4=token.last4,
        permissions=sorted(token.permissions),
        created_by=token.created_by,
        created_at=rfc3339(token.created_at),
        expires_at=rfc3339(token.expires_at),
        used_at=time_of(token.used_at),
        revoked_at=time_of(token.revoked_at),
    )
