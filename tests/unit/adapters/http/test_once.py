"""Idempotency-Key: one call, one effect, one answer."""

import asyncio
from typing import Any

import pytest

from adapters.inbound.http.once import parse_key
from adapters.inbound.http.problems import BadRequest
from tests.fakes.channel import ChannelFault
from tests.unit.adapters.http.shop import Shop, code_of, order

ORDERS = "/v1/orders"
KEY = {"Idempotency-Key": "k-1"}


async def test_a_repetition_gets_the_stored_answer_byte_for_byte(shop: Shop) -> None:
    first = await shop.call("POST", ORDERS, order(method="alipay_qr"), headers=KEY)
    await shop.call("POST", f"{ORDERS}/{first.json()['id']}/close")
    again = await shop.call("POST", ORDERS, order(method="alipay_qr"), headers={"Idempotency-Key": '"k-1"'})
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


@pytest.mark.parametrize("change", [{"amount": 1}, {"subject": "x"}, {"metadata": {"a": "b"}}])
async def test_another_body_under_the_same_key_is_refused_and_does_nothing(shop: Shop, change: Any) -> None:
    await shop.call("POST", ORDERS, order(), headers=KEY)
    before = shop.stored()
    answer = await shop.call("POST", ORDERS, order(merchant_order_no="A-2", **change), headers=KEY)
    assert (answer.status_code, code_of(answer)) == (422, "idempotency_key_reused")
    assert shop.stored() == before


async def test_another_operation_under_the_same_key_is_refused(shop: Shop) -> None:
    first = await shop.call("POST", ORDERS, order(), headers=KEY)
    answer = await shop.call("POST", f"{ORDERS}/{first.json()['id']}/close", headers=KEY)
    assert (answer.status_code, code_of(answer)) == (422, "idempotency_key_reused")


async def test_the_same_operation_on_another_object_under_the_same_key_is_refused(shop: Shop) -> None:
    (first, second) = [
        (await shop.call("POST", "/v1/webhook_endpoints", {"url": f"https://shop.example/{n}"})).json()["id"]
        for n in range(2)
    ]
    assert (await shop.call("POST", f"/v1/webhook_endpoints/{first}/disable", headers=KEY)).status_code == 200
    answer = await shop.call("POST", f"/v1/webhook_endpoints/{second}/disable", headers=KEY)
    assert (answer.status_code, code_of(answer)) == (422, "idempotency_key_reused")


async def test_how_a_body_is_written_makes_no_other_request(shop: Shop) -> None:
    first = await shop.call("POST", ORDERS, order(metadata={"a": "1", "b": "2"}), headers=KEY)
    other = (
        b'{ "subject":"\\u5496\\u5561 \\u2615", "amount":1990,"metadata":{"b":"2","a":"1"},"merchant_order_no":"A-1"}'
    )
    again = await shop.call("POST", ORDERS, content=other, headers=KEY)
    assert again.content == first.content


async def test_keys_of_two_merchants_do_not_meet(shop: Shop) -> None:
    other = await shop.other()
    first = await shop.call("POST", ORDERS, order(), headers=KEY)
    second = await shop.call("POST", ORDERS, order(amount=5), headers=KEY, key=other.api_key)
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]


async def test_a_final_refusal_is_kept_with_its_media_type(shop: Shop) -> None:
    await shop.call("POST", ORDERS, order())
    first = await shop.call("POST", ORDERS, order(amount=1), headers=KEY)
    again = await shop.call("POST", ORDERS, order(amount=1), headers=KEY)
    assert (first.status_code, code_of(first)) == (409, "merchant_order_no_taken")
    assert (again.status_code, again.content) == (409, first.content)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("fault", [ChannelFault.UNAVAILABLE, ChannelFault.UNKNOWN_DONE])
async def test_a_failure_that_can_be_repeated_frees_the_key(shop: Shop, fault: ChannelFault) -> None:
    shop.house.alipay.faults.once(fault, "open")
    first = await shop.call("POST", ORDERS, order(method="alipay_qr"), headers=KEY)
    assert first.status_code in (503, 504)
    again = await shop.call("POST", ORDERS, order(method="alipay_qr"), headers=KEY)
    assert again.status_code == 201
    assert "idempotent-replayed" not in again.headers


async def test_a_bug_frees_the_key_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Shop(shop.house, shop.merchant)
    monkeypatch.setattr("adapters.inbound.http.orders.order_view", lambda *_: 1 // 0)
    first = await failing.call("POST", ORDERS, order(), headers=KEY)
    assert (first.status_code, code_of(first)) == (500, "internal_error")
    assert "division" not in first.text
    monkeypatch.undo()
    assert (await shop.call("POST", ORDERS, order(), headers=KEY)).status_code == 201


async def test_a_call_while_the_first_one_runs_is_told_to_come_back(shop: Shop) -> None:
    running, go_on = asyncio.Event(), asyncio.Event()

    async def pause(step: str) -> None:
        if step == "orders.add":
            running.set()
            await go_on.wait()

    shop.house.database.pause = pause
    call = asyncio.create_task(shop.call("POST", ORDERS, order(), headers=KEY))
    await running.wait()
    second = await shop.call("POST", ORDERS, order(), headers=KEY)
    go_on.set()
    assert (await call).status_code == 201
    assert (second.status_code, code_of(second)) == (409, "in_progress")
    assert second.headers["retry-after"] == "1"


async def test_a_request_that_cannot_be_read_leaves_the_key_alone(shop: Shop) -> None:
    bad = await shop.call("POST", ORDERS, order(amount="1"), headers=KEY)
    assert bad.status_code == 400
    assert (await shop.call("POST", ORDERS, order(), headers=KEY)).status_code == 201


@pytest.mark.parametrize("path", ["/v1/orders/{}/close", "/v1/webhook_endpoints/{}/rotate_secret"])
async def test_operations_without_a_body_take_a_key_too(shop: Shop, path: str) -> None:
    placed = await shop.call("POST", ORDERS, order())
    endpoint = (await shop.call("GET", "/v1/webhook_endpoints")).json()["data"][0]["id"]
    path = path.format(placed.json()["id"] if "orders" in path else endpoint)
    first = await shop.call("POST", path, headers=KEY)
    again = await shop.call("POST", path, headers=KEY)
    assert first.status_code == 200
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")


@pytest.mark.parametrize(("header", "key"), [
    ("abc", "abc"), ('"abc"', "abc"), ('"a\\"b\\\\c"', 'a"b\\c'), (" abc ", "abc"), ("x" * 255, "x" * 255),
    ('"' + "x" * 255 + '"', "x" * 255), ("8e03978e-40d5-43dd-bc93-6894a57f9324",) * 2, ("a,b;c=d", "a,b;c=d"),
])  # fmt: skip
def test_a_key_may_be_bare_or_quoted(header: str, key: str) -> None:
    assert parse_key(header) == key


@pytest.mark.parametrize("header", [
    "", '""', '"', '"abc', 'abc"d"\x7f', "a b", '"a b"', "x" * 256, '"' + "x" * 256 + '"', "é", '"\\x"', "a\tb", "\x00",
    '"a"b"', '"a" "b"',
])  # fmt: skip
def test_other_keys_are_refused(header: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_key(header)
    assert (refused.value.status, refused.value.code) == (400, "idempotency_key_invalid")


async def test_a_bad_or_doubled_key_is_a_problem_and_does_nothing(quiet_shop: Shop) -> None:
    before = quiet_shop.stored()
    for headers in ([("Idempotency-Key", "a b")], [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]):
        answer = await quiet_shop.call("POST", ORDERS, order(), headers=headers)
        assert (answer.status_code, code_of(answer)) == (400, "idempotency_key_invalid")
    assert quiet_shop.stored() == before
