"""How payers pay, as a merchant's program meets it: bar codes, payers' ids, static codes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from domain.channels import Method
from tests.fakes.house import House
from tests.unit.adapters.http.shop import Shop, code_of, order

ORDERS, CODES = "/v1/orders", "/v1/codes"
PAYS, ASKS = "134567890123456789", "134567890123456781"


@pytest_asyncio.fixture
async def every() -> AsyncIterator[Shop]:
    """A shop whose merchant offers every method."""
    house = House()
    yield Shop(house, await house.merchant(methods=tuple(Method)))


async def started(shop: Shop, **fields: Any) -> dict[str, Any]:
    placed = (await shop.call("POST", ORDERS, order())).json()
    answer = await shop.call("POST", f"{ORDERS}/{placed['id']}/attempts", fields)
    assert answer.status_code == 201, answer.text
    attempt: dict[str, Any] = answer.json()
    return attempt


@pytest.mark.parametrize(
    ("fields", "type_", "named"),
    [
        ({"method": "alipay_qr"}, "qr_code", False),
        ({"method": "wechat_native"}, "qr_code", False),
        ({"method": "alipay_page", "instalments": 6}, "form", True),
        ({"method": "alipay_wap"}, "form", True),
        ({"method": "wechat_h5", "payer_ip": "203.0.113.7"}, "redirect", False),
        ({"method": "alipay_app"}, "sdk", False),
        ({"method": "alipay_jsapi", "payer_id": "2088000000000001"}, "sdk", False),
        ({"method": "wechat_app"}, "sdk", True),
        ({"method": "wechat_jsapi", "payer_id": "o1"}, "sdk", True),
        ({"method": "wechat_miniprogram", "payer_id": "o1"}, "sdk", True),
    ],
)
async def test_the_answer_says_what_the_payer_needs(
    every: Shop, fields: dict[str, Any], type_: str, named: bool
) -> None:
    attempt = await started(every, **fields)
    assert attempt["status"] == "pending"
    assert (attempt["action"]["type"], bool(attempt["action"]["fields"])) == (type_, named)
    assert attempt["instalments"] == fields.get("instalments")


@pytest.mark.parametrize("code", [PAYS, "280000000000000009"])
async def test_a_bar_code_pays_in_the_call_that_places_the_order(every: Shop, code: str) -> None:
    body = (await every.call("POST", ORDERS, order(method="barcode", auth_code=code))).json()
    assert (body["status"], body["attempts"][0]["action"]) == ("paid", None)
    assert body["attempts"][0]["method"] == ("wechat_barcode" if code == PAYS else "alipay_barcode")


async def test_a_till_that_repeats_its_call_charges_once(every: Shop) -> None:
    asked = order(method="barcode", auth_code=ASKS)
    first, again = [(await every.call("POST", ORDERS, asked)).json() for _ in range(2)]
    assert [each["status"] for each in again["attempts"]] == ["pending"]
    assert first["attempts"][0]["number"] == again["attempts"][0]["number"]


async def test_h5_without_an_address_is_refused(every: Shop) -> None:
    placed = (await every.call("POST", ORDERS, order())).json()
    answer = await every.call("POST", f"{ORDERS}/{placed['id']}/attempts", {"method": "wechat_h5"})
    assert (answer.status_code, code_of(answer)) == (422, "payer_ip_required")


async def test_a_mini_programs_code_becomes_a_payer(every: Shop) -> None:
    placed = (await every.call("POST", ORDERS, order())).json()
    path = f"{ORDERS}/{placed['id']}/payer"
    answer = await every.call("POST", path, {"code": "login-7"})
    assert (answer.status_code, answer.json()) == (
        200,
        {"payer_id": "wechat-app-wechat-7", "payer_app_id": "app-wechat"},
    )
    assert code_of(await every.call("POST", path, {"code": "wrong"})) == "payer_code_invalid"
    other = await every.other()
    assert code_of(await every.call("POST", path, {"code": "login-7"}, key=other.api_key)) == "not_found"
    assert code_of(await every.call("POST", path, {"code": "login-7"}, key=None)) == "api_key_missing"


async def test_a_static_code_is_made_listed_and_switched(every: Shop) -> None:
    made = await every.call("POST", CODES, {"name": "Till 3", "most": 100_000})
    body = made.json()
    assert made.status_code == 201
    assert (body["amount"], body["most"], body["enabled"]) == (None, 100_000, True)
    assert body["url"].startswith("https://pay.example/c/")
    off = (await every.call("POST", f"{CODES}/{body['id']}/disable")).json()
    assert off == body | {"enabled": False}
    assert (await every.call("GET", CODES)).json() == {"data": [off], "next_cursor": None}
    assert (await every.call("POST", f"{CODES}/{body['id']}/enable")).json() == body
    other = await every.other()
    assert code_of(await every.call("POST", f"{CODES}/{body['id']}/disable", key=other.api_key)) == "not_found"
    assert (await every.call("GET", CODES, key=other.api_key)).json()["data"] == []
