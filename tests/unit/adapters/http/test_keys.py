"""API keys over HTTP: the secret is shown once and stored nowhere, and a key does what its scopes say and no more."""

import pytest
from litestar.routes import HTTPRoute

from domain.merchants import Scope
from tests.unit.adapters.http.shop import Shop, code_of, order


def v1_handlers(shop: Shop) -> list[tuple[str, str, object]]:
    return [
        (method, route.path, handler.opt.get("scope"))
        for route in shop.app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/v1/")
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    ]


def test_every_route_of_the_merchant_api_names_the_scope_that_it_needs(quiet_shop: Shop) -> None:
    handlers = v1_handlers(quiet_shop)
    assert handlers
    for method, path, scope in handlers:
        assert isinstance(scope, Scope), f"{method} {path} has no scope=Scope.… beside its operation_id"
        if method == "GET" and scope is not Scope.WEBHOOKS_WRITE:  # a signing secret is more than reading
            assert scope.endswith(".read"), f"{method} {path} reads, yet needs {scope}"
        if method == "POST":
            assert scope.endswith(".write"), f"{method} {path} writes, yet needs {scope}"


async def test_a_key_without_the_scope_is_refused_on_every_route_and_changes_nothing(shop: Shop) -> None:
    handlers = v1_handlers(shop)
    made = await shop.call("POST", "/v1/api_keys", {"scopes": ["balance.read"]})
    secret = made.json()["secret"]
    await shop.call("GET", "/v1/orders", key=secret)  # its use is written down, once
    before = shop.stored()
    for method, path, scope in handlers:
        if scope is Scope.BALANCE_READ:
            continue
        answer = await shop.call(method, path.replace("{", "").replace("}", "").replace(":str", ""), key=secret)
        assert (answer.status_code, code_of(answer)) == (403, "scope_missing"), (method, path)
    assert shop.stored() == before


async def test_a_key_with_the_scope_may_do_that_alone(shop: Shop) -> None:
    made = await shop.call("POST", "/v1/api_keys", {"scopes": ["orders.write"], "name": "till"})
    secret = made.json()["secret"]
    assert (await shop.call("POST", "/v1/orders", order(), key=secret)).status_code == 201
    assert (await shop.call("GET", "/v1/orders", key=secret)).status_code == 403


async def test_the_secret_is_in_the_first_answer_alone(shop: Shop) -> None:
    once = {"Idempotency-Key": "k-1"}
    made = await shop.call("POST", "/v1/api_keys", {"name": "till"}, headers=once)
    again = await shop.call("POST", "/v1/api_keys", {"name": "till"}, headers=once)
    secret = made.json()["secret"]
    assert (made.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == made.json() | {"secret": None}
    assert secret not in str(shop.stored())
    listed = await shop.call("GET", "/v1/api_keys")
    assert secret not in listed.text
    assert listed.json()["data"][0]["id"] == made.json()["id"]
    assert (await shop.call("GET", "/v1/orders", key=secret)).status_code == 200


async def test_a_key_is_rolled_and_revoked(shop: Shop) -> None:
    made = (await shop.call("POST", "/v1/api_keys", {})).json()
    rolled = await shop.call("POST", f"/v1/api_keys/{made['id']}/roll", {"overlap_hours": 1})
    assert (rolled.status_code, rolled.json()["secret"][:12]) == (201, "pty_sk_test_")
    revoked = await shop.call("POST", f"/v1/api_keys/{rolled.json()['id']}/revoke")
    assert revoked.json()["revoked_at"] is not None
    shop.house.clock.advance(1)  # type: ignore[attr-defined]
    assert (await shop.call("GET", "/v1/orders", key=rolled.json()["secret"])).status_code == 401
    assert (await shop.call("GET", "/v1/orders", key=made["secret"])).status_code == 200
    gone = await shop.call("POST", "/v1/api_keys/key_00000000000000000000000000/revoke")
    assert (gone.status_code, code_of(gone)) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"scopes": []}, 422),
        ({"scopes": ["everything"]}, 422),
        ({"scopes": "orders.read"}, 400),
        ({"expires_in": 0}, 422),
        ({"expires_in": 1.5}, 400),
        ({"name": "x" * 61}, 422),
        ({"name": "a\nb"}, 422),
        ({"mode": "live"}, 400),
    ],
)
async def test_a_bad_request_for_a_key_makes_none(shop: Shop, body: dict[str, object], status: int) -> None:
    before = shop.stored()
    assert (await shop.call("POST", "/v1/api_keys", body)).status_code == status
    after = shop.stored()
    assert after["api_key"].keys() == before["api_key"].keys()
