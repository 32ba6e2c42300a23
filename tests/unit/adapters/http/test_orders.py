"""Orders, attempts, events and endpoints as a merchant meets them."""

from typing import Any, get_args

import pytest

from adapters.inbound.http.bodies import BARCODE, Way
from domain.channels import Method, Mode
from tests.fakes.channel import ChannelFault
from tests.unit.adapters.http.shop import UNSET, Shop, code_of, order

ORDERS = "/v1/orders"


async def placed(shop: Shop, **fields: Any) -> dict[str, Any]:
    answer = await shop.call("POST", ORDERS, order(**fields))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert isinstance(body, dict)
    return body


async def test_a_placed_order_says_what_was_asked_and_where_to_pay(shop: Shop) -> None:
    asked = {
        "return_url": "https://shop.example/thanks?a=1",
        "notify_url": "https://shop.example/hook",
        "payer_ip": "2001:db8::7",
        "locale": "zh",
        "expires_in": 60,
        "metadata": {"table": "7"},
    }
    body = await placed(shop, **asked)
    assert body["cashier_url"].startswith("https://pay.example/pay/")
    assert body["locale"] == "zh-CN"
    assert body["status"] == "pending"
    assert body["attempts"] == []
    assert (body["amount"], body["currency"], body["subject"]) == (1990, "CNY", "咖啡 ☕")
    assert {name: body[name] for name in asked if name not in ("locale", "expires_in")} == {
        name: value for name, value in asked.items() if name not in ("locale", "expires_in")
    }
    assert body["expires_at"] == "2026-11-22T04:01:00.000+00:00"


@pytest.mark.parametrize(("field", "value"), [
    ("merchant_order_no", "x" * 64), ("merchant_order_no", "0"), ("merchant_order_no", "A_-z9"),
    ("amount", 1), ("amount", 10**10),
    ("currency", "CNY"),
    ("subject", "x"), ("subject", "咖" * 127), ("subject", "👩‍💻 café"),
    ("expires_in", 60), ("expires_in", 604_800),
    ("payer_ip", "1.2.3.4"), ("payer_ip", "::ffff:1.2.3.4"),
    ("locale", "en-US"), ("locale", "zh-CN"), ("locale", None),
    ("return_url", "http://localhost:8080/x"), ("return_url", "https://a/" + "x" * (2048 - 10)),
    ("return_url", "https://[2001:db8::1]:8443/x#y"), ("return_url", None),
    ("metadata", {f"{n:040d}": "x" * 500 for n in range(20)}), ("metadata", {"A.z_-9": ""}), ("metadata", {}),
    ("method", None),
])  # fmt: skip
async def test_every_limit_is_inclusive(shop: Shop, field: str, value: Any) -> None:
    await placed(shop, **{field: value})


async def test_the_same_order_again_is_the_first_one(shop: Shop) -> None:
    first = await placed(shop)
    assert await placed(shop) == first
    # Spelling out a default or turning keys around makes no other order.
    assert await placed(shop, currency="CNY", expires_in=1800, metadata={}) == first
    assert len(shop.stored()["payment_order"]) == 1


async def test_another_order_under_the_same_number_is_a_conflict(shop: Shop) -> None:
    await placed(shop)
    before = shop.stored()
    answer = await shop.call("POST", ORDERS, order(amount=1991))
    assert (answer.status_code, code_of(answer)) == (409, "merchant_order_no_taken")
    assert answer.json()["errors"][0]["pointer"] == "/merchant_order_no"
    assert shop.stored() == before


async def test_an_order_that_names_its_method_comes_with_the_payers_action(shop: Shop) -> None:
    body = await placed(shop, method="alipay_qr")
    (attempt,) = body["attempts"]
    assert attempt["status"] == "pending"
    assert attempt["action"]["type"] == "qr_code"
    assert attempt["action"]["value"].endswith(attempt["number"])
    assert (await placed(shop, method="alipay_qr"))["attempts"] == [attempt]


@pytest.mark.parametrize(("fault", "status", "code"), [
    (ChannelFault.UNAVAILABLE, 503, "channel_unavailable"),
    (ChannelFault.UNKNOWN_UNDONE, 504, "outcome_unknown"),
    (ChannelFault.UNKNOWN_DONE, 504, "outcome_unknown"),
])  # fmt: skip
async def test_a_channel_that_cannot_be_reached_costs_a_repetition_and_no_second_attempt(
    shop: Shop, fault: ChannelFault, status: int, code: str
) -> None:
    shop.house.alipay.faults.once(fault, "open")
    answer = await shop.call("POST", ORDERS, order(method="alipay_qr"))
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert int(answer.headers["retry-after"]) > 0
    body = await placed(shop, method="alipay_qr")
    assert [attempt["status"] for attempt in body["attempts"]] == ["pending"]
    assert len(shop.stored()["payment_order"]) == 1


async def test_a_refusal_of_the_channel_is_final_and_named_by_our_code(shop: Shop) -> None:
    shop.house.alipay.faults.once(ChannelFault.REJECTED, "open")
    answer = await shop.call("POST", ORDERS, order(method="alipay_qr"))
    assert (answer.status_code, code_of(answer)) == (422, "channel_rejected")
    assert "retry-after" not in answer.headers


async def test_a_paid_order_asked_for_again_is_shown_and_not_opened_again(shop: Shop) -> None:
    body = await placed(shop, method="alipay_qr")
    number = body["attempts"][0]["number"]
    shop.house.alipay.pay(number)
    (attempt,) = shop.stored()["attempt"].values()
    await shop.house.notice(shop.house.alipay, attempt)
    again = await placed(shop, method="alipay_qr")
    assert (again["status"], again["paid_amount"], again["method"]) == ("paid", 1990, "alipay_qr")
    assert [attempt["status"] for attempt in again["attempts"]] == ["succeeded"]


async def test_an_order_whose_method_nobody_offers_is_a_conflict(shop: Shop) -> None:
    answer = await shop.call("POST", ORDERS, order(method="wechat_app"))
    assert (answer.status_code, code_of(answer)) == (409, "method_unavailable")


async def test_an_attempt_is_started_and_started_again_is_the_same(shop: Shop) -> None:
    body = await placed(shop)
    path = f"{ORDERS}/{body['id']}/attempts"
    first = await shop.call("POST", path, {"method": "wechat_native"})
    assert first.status_code == 201
    assert first.json()["order_id"] == body["id"]
    assert (await shop.call("POST", path, {"method": "wechat_native"})).json() == first.json()
    found = (await shop.call("GET", f"{ORDERS}/{body['id']}")).json()
    assert found["attempts"] == [first.json()]


async def test_a_closed_order_cannot_be_paid_and_closing_it_again_shows_it(shop: Shop) -> None:
    body = await placed(shop, method="wechat_native")
    closed = await shop.call("POST", f"{ORDERS}/{body['id']}/close")
    assert closed.status_code == 200
    assert (closed.json()["status"], closed.json()["close_reason"]) == ("closed", "merchant")
    assert (await shop.call("POST", f"{ORDERS}/{body['id']}/close", {})).json() == closed.json()
    attempt = await shop.call("POST", f"{ORDERS}/{body['id']}/attempts", {"method": "alipay_qr"})
    assert (attempt.status_code, code_of(attempt)) == (409, "order_closed")


async def test_a_paid_order_cannot_be_closed(shop: Shop) -> None:
    paid = await shop.house.paid(shop.merchant)
    answer = await shop.call("POST", f"{ORDERS}/{paid.id}/close")
    assert (answer.status_code, code_of(answer)) == (409, "order_paid")


async def test_orders_are_listed_newest_first_page_by_page(shop: Shop) -> None:
    for n in range(5):
        await placed(shop, merchant_order_no=f"N-{n}")
        shop.house.clock.advance(1)  # type: ignore[attr-defined]
    seen, cursor = [], ""
    while True:
        page = (await shop.call("GET", f"{ORDERS}?limit=2{cursor}")).json()
        assert len(page["data"]) <= 2
        seen += [row["merchant_order_no"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["N-4", "N-3", "N-2", "N-1", "N-0"]
    assert (await shop.call("GET", f"{ORDERS}?status=paid")).json()["data"] == []
    assert len((await shop.call("GET", f"{ORDERS}?status=pending&limit=100")).json()["data"]) == 5


async def test_an_order_is_found_by_the_merchants_number(shop: Shop) -> None:
    body = await placed(shop, method="alipay_qr")
    found = (await shop.call("GET", f"{ORDERS}?merchant_order_no=A-1")).json()
    assert found == {"data": [body], "next_cursor": None}
    assert (await shop.call("GET", f"{ORDERS}?merchant_order_no=A-2")).json() == {"data": [], "next_cursor": None}


async def test_events_are_caught_up_without_webhooks(shop: Shop) -> None:
    paid = await shop.house.paid(shop.merchant)
    first = (await shop.call("GET", "/v1/events?limit=1")).json()
    rest = (await shop.call("GET", f"/v1/events?cursor={first['next_cursor']}")).json()
    types = [event["type"] for event in first["data"] + rest["data"]]
    assert types[0] == "order.created"
    assert "order.paid" in types
    end = (await shop.call("GET", f"/v1/events?cursor={rest['next_cursor']}")).json()
    assert end["data"] == []
    event = next(event for event in rest["data"] if event["type"] == "order.paid")
    assert event["data"]["id"] == paid.id
    await shop.house.fan_out()
    await shop.house.deliver()
    (delivery,) = (await shop.call("GET", f"/v1/events/{event['id']}/deliveries")).json()["data"]
    assert (delivery["status"], delivery["tries"][0]["status_code"]) == ("delivered", 200)


async def test_an_endpoint_lives_through_its_operations(shop: Shop) -> None:
    path = "/v1/webhook_endpoints"
    added = await shop.call("POST", path, {"url": "https://shop.example/h", "event_types": ["order.paid"]})
    assert added.status_code == 201
    mine = f"{path}/{added.json()['id']}"
    assert (await shop.call("GET", mine)).json() == added.json()
    assert added.json() in (await shop.call("GET", path)).json()["data"]
    first = (await shop.call("GET", f"{mine}/secret")).json()["secret"]
    assert first.startswith("whsec_")
    assert (await shop.call("POST", f"{mine}/disable")).json()["enabled"] is False
    assert (await shop.call("POST", f"{mine}/enable")).json()["enabled"] is True
    assert (await shop.call("POST", f"{mine}/rotate_secret")).status_code == 200
    assert (await shop.call("GET", f"{mine}/secret")).json()["secret"] != first
    again = await shop.call("POST", f"{mine}/rotate_secret")
    assert (again.status_code, code_of(again)) == (409, "rotation_in_progress")
    other = await shop.call("POST", path, {"url": "https://shop.example/h"})
    assert (other.status_code, code_of(other)) == (409, "endpoint_exists")


@pytest.mark.parametrize("mode", [Mode.TEST, Mode.LIVE])
async def test_what_is_anothers_or_of_the_other_mode_does_not_exist(shop: Shop, mode: Mode) -> None:
    other = await shop.other(mode)
    body = await placed(shop, method="alipay_qr")
    endpoint = (await shop.call("POST", "/v1/webhook_endpoints", {"url": "https://shop.example/h"})).json()["id"]
    await shop.house.fan_out()
    event = (await shop.call("GET", "/v1/events")).json()["data"][0]["id"]
    before = shop.stored()
    for method, path, sent in [
        ("GET", f"{ORDERS}/{body['id']}", None),
        ("POST", f"{ORDERS}/{body['id']}/close", None),
        ("POST", f"{ORDERS}/{body['id']}/attempts", {"method": "wechat_native"}),
        ("GET", f"/v1/webhook_endpoints/{endpoint}", None),
        ("GET", f"/v1/webhook_endpoints/{endpoint}/secret", None),
        ("POST", f"/v1/webhook_endpoints/{endpoint}/disable", None),
        ("POST", f"/v1/webhook_endpoints/{endpoint}/rotate_secret", None),
    ]:
        answer = await shop.call(method, path, UNSET if sent is None else sent, key=other.api_key)
        assert (answer.status_code, code_of(answer)) == (404, "not_found"), path
    for path in (f"{ORDERS}?merchant_order_no=A-1", ORDERS, "/v1/events", f"/v1/events/{event}/deliveries"):
        assert (await shop.call("GET", path, key=other.api_key)).json()["data"] == [], path
    assert shop.stored() == before
    # The same number of another merchant, or in the other mode, is another order.
    assert (await shop.call("POST", ORDERS, order(amount=7), key=other.api_key)).status_code == 201


def test_every_method_can_be_asked_for() -> None:
    assert set(get_args(Way)) == {*Method, BARCODE}


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"method": "wechat_jsapi"}, "payer_required", "/payer_id"),
        ({"method": "barcode"}, "auth_code_required", "/auth_code"),
        ({"method": "barcode", "auth_code": "99345678901234567"}, "auth_code_unknown", "/auth_code"),
        ({"method": "alipay_qr", "payer_id": "2088"}, "payer_unexpected", "/payer_id"),
        ({"payer_id": "2088"}, "method_required", "/method"),
        ({"method": "wechat_native", "instalments": 3}, "instalments_unsupported", "/instalments"),
        ({"method": "alipay_page", "instalments": 4}, "value_invalid", "/instalments"),
    ],
)
async def test_what_a_method_lacks_is_said_before_an_order_is_placed(
    shop: Shop, fields: dict[str, Any], code: str, pointer: str
) -> None:
    answer = await shop.call("POST", ORDERS, order(**fields))
    assert (answer.status_code, code_of(answer), answer.json()["errors"][0]["pointer"]) == (422, code, pointer)
    assert not shop.house.database.tables.orders.committed
