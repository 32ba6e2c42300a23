"""The delivery log over HTTP, sending again, and test events."""

from typing import Any

import pytest

from domain.notifications import Answer
from tests.unit.adapters.http.shop import Shop, code_of, order

HOOKS = "https://erp.example/hooks"


async def told(shop: Shop) -> dict[str, Any]:
    """An endpoint that has refused an event once."""
    shop.house.courier.server(HOOKS).answer = Answer(status_code=503, body="later")
    endpoint: dict[str, Any] = (await shop.call("POST", "/v1/webhook_endpoints", {"url": HOOKS})).json()
    placed = await shop.call("POST", "/v1/orders", order())
    await shop.call("POST", f"/v1/orders/{placed.json()['id']}/close")
    await shop.house.fan_out()
    await shop.house.deliver()
    return endpoint


async def test_a_delivery_is_found_shown_and_sent_again(shop: Shop) -> None:
    endpoint = await told(shop)
    log = await shop.call("GET", f"/v1/deliveries?endpoint_id={endpoint['id']}&status=due")
    (listed,) = log.json()["data"]
    assert (listed["tries"], listed["status"]) == (1, "due")
    shown = (await shop.call("GET", f"/v1/deliveries/{listed['id']}")).json()
    assert shown["tries"][0]["status_code"] == 503
    assert shown["request"]["headers"]["webhook-id"] == shown["request"]["body"]["id"] == listed["event_id"]
    shop.house.courier.server(HOOKS).answer = Answer(status_code=200)
    again = await shop.call("POST", f"/v1/deliveries/{listed['id']}/resend")
    assert (again.status_code, again.json()["id"]) == (200, listed["id"])
    await shop.house.deliver()
    assert (await shop.call("GET", f"/v1/deliveries/{listed['id']}")).json()["status"] == "delivered"
    assert set(shop.house.courier.server(HOOKS).arrivals) == {listed["event_id"]}


async def test_what_was_missed_comes_after_enabling_again(shop: Shop) -> None:
    endpoint = await told(shop)
    path = f"/v1/webhook_endpoints/{endpoint['id']}"
    off = (await shop.call("POST", f"{path}/disable")).json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "merchant")
    day = {"since": "2026-11-22T00:00:00+08:00", "until": "2026-11-24T00:00:00Z"}
    refused = await shop.call("POST", f"{path}/resend", day)
    assert (refused.status_code, code_of(refused)) == (409, "endpoint_disabled")
    assert (await shop.call("POST", f"{path}/enable")).json()["disabled_reason"] is None
    assert (await shop.call("POST", f"{path}/resend", day)).json() == {"resent": 1, "more": False}


async def test_a_test_event_is_on_its_way(shop: Shop) -> None:
    endpoint = await told(shop)
    sent = await shop.call("POST", f"/v1/webhook_endpoints/{endpoint['id']}/test")
    assert sent.status_code == 201
    log = await shop.call("GET", f"/v1/deliveries?event_id={sent.json()['event_id']}")
    assert [row["endpoint_id"] for row in log.json()["data"]] == [endpoint["id"]]
    without = await shop.call("POST", f"/v1/webhook_endpoints/{shop.merchant.endpoint.id}/test")
    assert (without.status_code, code_of(without)) == (409, "endpoint_without_url")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "field_missing"),
        ({"since": "2026-11-22", "until": "2026-11-23T00:00:00Z"}, 422, "value_invalid"),
        ({"since": "2026-11-22T00:00:00", "until": "2026-11-23T00:00:00Z"}, 422, "value_invalid"),
        ({"since": "2026-11-23T00:00:00Z", "until": "2026-11-23T08:00:00+08:00"}, 422, "time_range_invalid"),
        ({"since": "0001-01-01T00:00:00+23:59", "until": "2026-11-23T00:00:00Z"}, 422, "time_range_invalid"),
        ({"since": "2026-11-22T00:00:00Z", "until": "9999-12-31T23:59:59-23:59"}, 422, "time_range_invalid"),
        ({"since": 1, "until": 2}, 400, "type_invalid"),
    ],
)
async def test_a_time_that_is_none_is_refused(shop: Shop, body: dict[str, Any], status: int, code: str) -> None:
    endpoint = await told(shop)
    answer = await shop.call("POST", f"/v1/webhook_endpoints/{endpoint['id']}/resend", body)
    assert (answer.status_code, code_of(answer)) == (status, code)


async def test_anothers_deliveries_do_not_exist(shop: Shop) -> None:
    await told(shop)
    delivery = (await shop.call("GET", "/v1/deliveries")).json()["data"][0]
    stranger = (await shop.other()).api_key
    assert (await shop.call("GET", "/v1/deliveries", key=stranger)).json()["data"] == []
    for method, path in (("GET", ""), ("POST", "/resend")):
        answer = await shop.call(method, f"/v1/deliveries/{delivery['id']}{path}", key=stranger)
        assert (answer.status_code, code_of(answer)) == (404, "not_found")


@pytest.mark.parametrize(
    "query", ["status=lost", "cursor=abc", "limit=0", "endpoint_id=", "to=me", "status=due&status=due"]
)
async def test_a_bad_query_of_the_log_is_refused(quiet_shop: Shop, query: str) -> None:
    assert (await quiet_shop.call("GET", f"/v1/deliveries?{query}")).status_code in (400, 422)
