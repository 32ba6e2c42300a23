"""/admin/v1/roles, /permissions, /service_tokens: who may do what, people and machines."""

from datetime import timedelta

from litestar import Response, get, patch, post
from litestar.params import FromPath, JSONBody

from adapters.inbound.http.admin.bodies import NewRoleBody, NewServiceTokenBody, RoleBody
from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.admin.views import (
    NewServiceTokenView,
    PermissionList,
    PermissionView,
    RoleList,
    RoleView,
    ServiceTokenList,
    ServiceTokenView,
    role_view,
    service_token_view,
)
from adapters.inbound.http.kit import Req
from domain.permissions import BUILT_IN, PLATFORM_PERMISSIONS, Realm

ROLES, TOKENS = ["Roles"], ["Service tokens"]


@get("/roles", summary="List roles", operation_id="listRoles", tags=ROLES, opt=needs("roles.read"))
async def list_roles(admin: Admin) -> RoleList:
    """Built-in ones, then custom ones."""
    built_in = [
        RoleView(name=name, object="role", meaning="", built_in=True, permissions=sorted(permissions))
        for name, permissions in BUILT_IN[Realm.PLATFORM].items()
    ]
    return RoleList(data=[*built_in, *(role_view(role) for role in await admin.keep_roles.all())])


@get("/permissions", summary="List permissions", operation_id="listPermissions", tags=ROLES, opt=needs("roles.read"))
async def list_permissions() -> PermissionList:
    """All there are, with the built-in roles that hold each."""
    held = BUILT_IN[Realm.PLATFORM]
    return PermissionList(
        data=[
            PermissionView(name=name, meaning=each.meaning, roles=[role for role in held if name in held[role]])
            for name, each in PLATFORM_PERMISSIONS.items()
        ]
    )


@post("/roles", summary="Create a role", operation_id="createRole", tags=ROLES, opt=needs("roles.write", step_up=True))
async def create_role(data: JSONBody[NewRoleBody], request: Req, admin: Admin, actor: Who) -> Response[RoleView]:
    """A name for some of the permissions that you hold yourself."""

    async def run() -> RoleView:
        return role_view(await admin.keep_roles.create(actor, data.name, data.meaning, frozenset(data.permissions)))

    return await once(admin, request, actor, data, run)


@patch(
    "/roles/{name:str}",
    summary="Change a role",
    operation_id="editRole",
    tags=ROLES,
    opt=needs("roles.write", step_up=True),
)
async def edit_role(name: FromPath[str], data: JSONBody[RoleBody], admin: Admin, actor: Who) -> RoleView:
    """In force with the next call of everybody who holds it. Not a built-in one, nor one that you hold yourself."""
    permissions = frozenset(data.permissions) if data.permissions is not None else None
    return role_view(await admin.keep_roles.edit(actor, name, data.meaning, permissions))


@post(
    "/roles/{name:str}/retire",
    status_code=200,
    summary="Retire a role",
    operation_id="retireRole",
    tags=ROLES,
    opt=needs("roles.write", step_up=True),
)
async def retire_role(name: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[RoleView]:
    """Nobody gets it any more. Only when nobody has it."""

    async def run() -> RoleView:
        return role_view(await admin.keep_roles.retire(actor, name))

    return await once(admin, request, actor, None, run, status=200)


@get(
    "/service_tokens",
    summary="List service tokens",
    operation_id="listServiceTokens",
    tags=TOKENS,
    opt=needs("service_tokens.read"),
)
async def list_service_tokens(admin: Admin) -> ServiceTokenList:
    """Newest first, revoked and expired ones too."""
    return ServiceTokenList(data=[service_token_view(token) for token in await admin.keep_service_tokens.all()])


@post(
    "/service_tokens",
    summary="Create a service token",
    operation_id="createServiceToken",
    tags=TOKENS,
    opt=needs("service_tokens.create", step_up=True),
)
async def create_service_token(
    data: JSONBody[NewServiceTokenBody], request: Req, admin: Admin, actor: Who
) -> Response[NewServiceTokenView]:
    """For a machine: some of what you may, and never more than you may at the time. What needs a second factor is
    closed to it."""

    async def run() -> NewServiceTokenView:
        token, text = await admin.keep_service_tokens.create(
            actor, data.name, frozenset(data.permissions), timedelta(days=data.valid_days)
        )
        return NewServiceTokenView(service_token=service_token_view(token), token=text)

    return await once(admin, request, actor, data, run, shown_once=("token",))


@post(
    "/service_tokens/{token_id:str}/revoke",
    status_code=200,
    summary="Revoke a service token",
    operation_id="revokeServiceToken",
    tags=TOKENS,
    opt=needs("service_tokens.revoke"),
)
async def revoke_service_token(
    token_id: FromPath[str], request: Req, admin: Admin, actor: Who
) -> Response[ServiceTokenView]:
    """At once, and for ever."""

    async def run() -> ServiceTokenView:
        return service_token_view(await admin.keep_service_tokens.revoke(actor, token_id))

    return await once(admin, request, actor, None, run, status=200)


HANDLERS = [
    list_roles,
    list_permissions,
    create_role,
    edit_role,
    retire_role,
    list_service_tokens,
    create_service_token,
    revoke_service_token,
]
