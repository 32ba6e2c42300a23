"""/v1/api_keys: a merchant makes, lists, rolls and revokes the keys that open this API."""

from datetime import timedelta

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody

from adapters.inbound.http.bodies import NewKey, RollKey
from adapters.inbound.http.kit import Api, Asker, Req
from adapters.inbound.http.once import once
from adapters.inbound.http.views import KeyList, KeyView, MadeKeyView, key_view, made_key
from domain.merchants import Scope

TAGS = ["API keys"]


@post("/api_keys", summary="Make an API key", operation_id="makeKey", scope=Scope.KEYS_WRITE, tags=TAGS)
async def make_key(data: JSONBody[NewKey], request: Req, api: Api, caller: Asker) -> Response[MadeKeyView]:
    """A key of your key's mode, with no more than its scopes. `secret` is shown in this answer and never again.

    An answer repeated for its `Idempotency-Key` has no secret: we do not keep it. Revoke such a key and make another.
    """

    async def run() -> MadeKeyView:
        expires_in = timedelta(seconds=data.expires_in) if data.expires_in else None
        scopes = None if data.scopes is None else frozenset(data.scopes)
        return made_key(*await api.keep_keys.make(caller, name=data.name, scopes=scopes, expires_in=expires_in))

    return await once(api.answer_once, request, caller, data, run, shown_once=("secret",))


@get("/api_keys", summary="List API keys", operation_id="listKeys", scope=Scope.KEYS_READ, tags=TAGS)
async def list_keys(api: Api, caller: Asker) -> KeyList:
    """Your last hundred keys of this mode, newest first, expired and revoked ones among them."""
    return KeyList(data=[key_view(key) for key in await api.keep_keys.all(caller)])


@post(
    "/api_keys/{key_id:str}/roll", summary="Roll an API key", operation_id="rollKey", scope=Scope.KEYS_WRITE, tags=TAGS
)
async def roll_key(
    key_id: FromPath[str], data: JSONBody[RollKey], request: Req, api: Api, caller: Asker
) -> Response[MadeKeyView]:
    """Another key in its place, with the same name and scopes. The old one lives on for `overlap_hours`."""

    async def run() -> MadeKeyView:
        return made_key(*await api.keep_keys.roll(caller, key_id, overlap=timedelta(hours=data.overlap_hours)))

    return await once(api.answer_once, request, caller, data, run, shown_once=("secret",))


@post(
    "/api_keys/{key_id:str}/revoke",
    status_code=200,
    summary="Revoke an API key",
    operation_id="revokeKey",
    scope=Scope.KEYS_WRITE,
    tags=TAGS,
)
async def revoke_key(key_id: FromPath[str], request: Req, api: Api, caller: Asker) -> Response[KeyView]:
    """It stops working within a second, for good."""

    async def run() -> KeyView:
        return key_view(await api.keep_keys.revoke(caller, key_id))

    return await once(api.answer_once, request, caller, None, run, status=200)


HANDLERS = [make_key, list_keys, roll_key, revoke_key]
