"""…/me/password, …/me/totp: one's own password and authenticator; the same for operators and merchants' users."""

import segno
from litestar import Response, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from adapters.inbound.http.admin.bodies import BeginTotpBody, CodeBody, PasswordBody
from adapters.inbound.http.admin.guard import own
from adapters.inbound.http.admin.kit import Admin, Me, once
from adapters.inbound.http.admin.views import RecoveryView, TotpView, UserView, user_view
from adapters.inbound.http.kit import Req

TAGS = ["Sessions"]


@put("/me/password", summary="Change your password", operation_id="changePassword", tags=TAGS, opt=own())
async def change_password(data: JSONBody[PasswordBody], admin: Admin, me: Me) -> UserView:
    """Your other sessions end. No rules but length, and that it is not made of your own name."""
    return user_view(await admin.keep_own_access.change_password(me, data.current, data.password))


@post("/me/totp", summary="Begin to set up an authenticator", operation_id="beginTotp", tags=TAGS, opt=own())
async def begin_totp(data: JSONBody[BeginTotpBody], request: Req, admin: Admin, me: Me) -> Response[TotpView]:
    """A secret for an authenticator (RFC 6238). It is in force once `confirm` has seen a code."""

    async def run() -> TotpView:
        secret, uri = await admin.keep_own_access.begin_totp(me, data.password)
        return TotpView(secret=secret, uri=uri, qr_svg=_qr(uri))

    return await once(admin, request, me.actor, data, run, shown_once=("secret", "uri", "qr_svg"), compared=False)


@post(
    "/me/totp/confirm",
    status_code=200,
    summary="Confirm the authenticator",
    operation_id="confirmTotp",
    tags=TAGS,
    opt=own(),
)
async def confirm_totp(data: JSONBody[CodeBody], request: Req, admin: Admin, me: Me) -> Response[RecoveryView]:
    """The authenticator is in force from now on, and your other sessions end. Keep the recovery codes."""

    async def run() -> RecoveryView:
        return RecoveryView(recovery_codes=[*await admin.keep_own_access.confirm_totp(me, data.code)])

    return await once(admin, request, me.actor, data, run, status=200, shown_once=("recovery_codes",))


@post(
    "/me/recovery_codes",
    summary="Make new recovery codes",
    operation_id="renewRecoveryCodes",
    tags=TAGS,
    opt=own(step_up=True),
)
async def renew_recovery(request: Req, admin: Admin, me: Me) -> Response[RecoveryView]:
    """Ten new ones; those before are worth nothing."""

    async def run() -> RecoveryView:
        return RecoveryView(recovery_codes=[*await admin.keep_own_access.renew_recovery(me)])

    return await once(admin, request, me.actor, None, run, shown_once=("recovery_codes",))


def _qr(uri: str) -> str:
    svg: str = segno.make(uri, error="m", micro=False).svg_inline(border=2, omitsize=True)
    return svg


OWN_ACCESS: list[HTTPRouteHandler] = [change_password, begin_totp, confirm_totp, renew_recovery]
