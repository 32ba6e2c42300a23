"""Lists of people who can sign in, and what others do to them: operators, and merchants' users."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Response, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter

from adapters.inbound.http.admin.bodies import NewUserBody, ResetBody, UserBody
from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.admin.views import FirstPasswordView, UserPage, UserView, page_of, user_view
from adapters.inbound.http.kit import Cursor, Limit, Req
from application.keep_users import People
from domain.actors import Actor
from domain.permissions import Realm
from domain.users import UserStatus

Status = Annotated[UserStatus | None, QueryParameter(description="Only these.", examples=[Example(value="active")])]


@dataclass(frozen=True, slots=True)
class Whose:
    """The same routes below ``base`` for the ``people`` whom a request is about. ``area`` begins the permissions'
    names, ``noun`` ends the operations' ids."""

    base: str
    noun: str
    area: str
    people: Callable[[Req, Actor], People]
    realm: Realm = Realm.PLATFORM

    @property
    def one(self) -> str:
        return f"{self.base}/{{user_id:str}}"

    @property
    def tags(self) -> list[str]:
        return [f"{self.noun}s"]

    def needs(self, action: str, *, step_up: bool = False) -> dict[str, Any]:
        return needs(f"{self.area}.{action}", step_up=step_up, realm=self.realm)


def user_handlers(whose: Whose) -> list[HTTPRouteHandler]:
    return [*_looking(whose), *_letting_in(whose), *_letting_out(whose)]


def _looking(whose: Whose) -> list[HTTPRouteHandler]:
    @get(
        whose.base,
        summary=f"List {whose.tags[0]}",
        operation_id=f"list{whose.noun}s",
        tags=whose.tags,
        opt=whose.needs("read"),
    )
    async def list_users(
        request: Req, admin: Admin, actor: Who, *, status: Status = None, cursor: Cursor = None, limit: Limit = 20
    ) -> UserPage:
        """Newest first."""
        found_of = whose.people(request, actor)
        page = await admin.people.users(
            found_of.realm, found_of.merchant_id, status=str(status) if status else None, cursor=cursor, limit=limit
        )
        found: UserPage = page_of(UserPage, UserView, "user", page)
        return found

    @get(whose.one, summary="Get one", operation_id=f"get{whose.noun}", tags=whose.tags, opt=whose.needs("read"))
    async def get_user(user_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> UserView:
        """Somebody who can sign in."""
        return user_view(await admin.keep_users.get(whose.people(request, actor), user_id))

    return [list_users, get_user]


def _letting_in(whose: Whose) -> list[HTTPRouteHandler]:
    @post(
        whose.base,
        summary="Create one",
        operation_id=f"create{whose.noun}",
        tags=whose.tags,
        opt=whose.needs("create", step_up=True),
    )
    async def create(
        data: JSONBody[NewUserBody], request: Req, admin: Admin, actor: Who
    ) -> Response[FirstPasswordView]:
        """Somebody who can sign in with a first password, which is shown this once and has to be changed.

        Nobody gives a role that allows more than he holds himself.
        """

        async def run() -> FirstPasswordView:
            user, password = await admin.keep_users.create(
                actor, whose.people(request, actor), data.login, data.name, frozenset(data.roles)
            )
            return FirstPasswordView(user=user_view(user), first_password=password)

        return await once(admin, request, actor, data, run, shown_once=("first_password",))

    @patch(
        whose.one,
        summary="Rename, or set the roles",
        operation_id=f"edit{whose.noun}",
        tags=whose.tags,
        opt=whose.needs("edit", step_up=True),
    )
    async def edit(
        user_id: FromPath[str], data: JSONBody[UserBody], request: Req, admin: Admin, actor: Who
    ) -> UserView:
        """In force with the next call that they make. Nobody edits himself, nor who may more than he does."""
        roles = frozenset(data.roles) if data.roles is not None else None
        return user_view(
            await admin.keep_users.edit(actor, whose.people(request, actor), user_id, name=data.name, roles=roles)
        )

    return [create, edit]


def _letting_out(whose: Whose) -> list[HTTPRouteHandler]:
    @post(
        f"{whose.one}/deactivate",
        status_code=200,
        summary="Deactivate",
        operation_id=f"deactivate{whose.noun}",
        tags=whose.tags,
        opt=whose.needs("deactivate", step_up=True),
    )
    async def deactivate(user_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[UserView]:
        """No way in any more, and every session ends at once. The last who holds everything stays."""

        async def run() -> UserView:
            return user_view(await admin.keep_users.deactivate(actor, whose.people(request, actor), user_id))

        return await once(admin, request, actor, None, run, status=200)

    @post(
        f"{whose.one}/reactivate",
        status_code=200,
        summary="Reactivate",
        operation_id=f"reactivate{whose.noun}",
        tags=whose.tags,
        opt=whose.needs("deactivate", step_up=True),
    )
    async def reactivate(user_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[UserView]:
        """With the password and the authenticator of before."""

        async def run() -> UserView:
            return user_view(await admin.keep_users.reactivate(actor, whose.people(request, actor), user_id))

        return await once(admin, request, actor, None, run, status=200)

    @post(
        f"{whose.one}/reset",
        status_code=200,
        summary="Reset the password",
        operation_id=f"reset{whose.noun}",
        tags=whose.tags,
        opt=whose.needs("reset", step_up=True),
    )
    async def reset(
        user_id: FromPath[str], data: JSONBody[ResetBody], request: Req, admin: Admin, actor: Who
    ) -> Response[FirstPasswordView]:
        """A new first password, shown this once; every session ends at once."""

        async def run() -> FirstPasswordView:
            user, password = await admin.keep_users.reset(
                actor, whose.people(request, actor), user_id, totp=data.authenticator
            )
            return FirstPasswordView(user=user_view(user), first_password=password)

        return await once(admin, request, actor, data, run, status=200, shown_once=("first_password",))

    return [deactivate, reactivate, reset]


OPERATORS = user_handlers(Whose("/operators", "Operator", "operators", lambda _request, _actor: People(Realm.PLATFORM)))
MERCHANT_USERS = user_handlers(
    Whose(
        "/merchants/{merchant_id:str}/users",
        "MerchantUser",
        "merchant_users",
        lambda request, _actor: People(Realm.MERCHANT, str(request.path_params["merchant_id"])),
    )
)
# A merchant's own people about their colleagues: never about another merchant's.
COLLEAGUES = user_handlers(
    Whose("/users", "User", "users", lambda _request, actor: People(Realm.MERCHANT, actor.merchant_id), Realm.MERCHANT)
)
