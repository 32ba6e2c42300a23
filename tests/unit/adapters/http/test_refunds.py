"""Refunds as a merchant meets them."""

from typing import Any

import pytest

from domain.channels import Method
from domain.merchants import Caller
from domain.money import Money
from domain.orders import Order
from tests.fakes.channel import ChannelFault
from tests.unit.adapters.http.shop import Shop, code_of

REFUNDS = "/v1/refunds"


async def paid(shop: Shop, method: Method = Method.ALIPAY_QR, no: str = "A-1") -> Order:
    return await shop.house.paid(shop.merchant, method, no)


def body(order: Order, **fields: Any) -> dict[str, Any]:
    asked = {"merchant_refund_no": "R-1", "order_id": order.id, "amount": 4_000} | fields
    return {name: value for name, value in asked.items() if value is not ...}


async def test_a_refund_is_made_in_the_call_and_its_order_says_what_is_left(shop: Shop) -> None:
    order = await paid(shop)
    answer = await shop.call("POST", REFUNDS, body(order, reason="退货"))
    assert answer.status_code == 201, answer.text
    refund = answer.json()
    assert (refund["status"], refund["amount"], refund["fee_returned"]) == ("succeeded", 4_000, 24)
    assert (refund["merchant_refund_no"], refund["reason"], refund["origin"]) == ("R-1", "退货", "merchant")
    whole = (await shop.call("GET", f"/v1/orders/{order.id}")).json()
    assert (whole["paid_amount"], whole["refunded_amount"], whole["refunding_amount"]) == (10_000, 4_000, 0)
    assert (whole["fee_amount"], whole["net_amount"]) == (36, 5_964)
    assert whole["refunds"] == [refund]
    told = [event["type"] for event in whole["events"]]
    assert told[0] == "order.created"
    assert {"attempt.succeeded", "order.paid", "refund.succeeded", "order.refunds_changed"} <= set(told)


async def test_an_order_that_is_not_paid_has_no_fee_and_no_net(shop: Shop) -> None:
    order = await shop.house.order(shop.merchant)
    whole = (await shop.call("GET", f"/v1/orders/{order.id}")).json()
    assert (whole["fee_amount"], whole["net_amount"], whole["refunds"]) == (None, None, [])


async def test_an_equal_call_is_answered_with_the_first_refund_as_it_stands(shop: Shop) -> None:
    order = await paid(shop, Method.WECHAT_NATIVE)
    first = (await shop.call("POST", REFUNDS, body(order))).json()
    assert first["status"] == "accepted"
    shop.house.wechat.settle(first["number"])
    (refund,) = await shop.house.refunds(order)
    await shop.house.refund_notice(shop.house.wechat, refund.number, refund.account_id)
    again = await shop.call("POST", REFUNDS, body(order))
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (201, first["id"], "succeeded")


async def test_a_key_replays_the_first_answer_byte_for_byte(shop: Shop) -> None:
    order = await paid(shop)
    key = {"Idempotency-Key": "refund-1"}
    first = await shop.call("POST", REFUNDS, body(order), headers=key)
    again = await shop.call("POST", REFUNDS, body(order), headers=key)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    other = await shop.call("POST", REFUNDS, body(order, amount=1), headers=key)
    assert (other.status_code, code_of(other)) == (422, "idempotency_key_reused")


async def test_a_channel_that_does_not_answer_is_no_failure_of_the_call(shop: Shop) -> None:
    """J2: the merchant is never told that an unknown refund has failed."""
    order = await paid(shop)
    shop.house.alipay.faults.once(ChannelFault.UNKNOWN_DONE, "refund")
    answer = await shop.call("POST", REFUNDS, body(order))
    assert (answer.status_code, answer.json()["status"]) == (201, "unknown")


async def test_a_channel_that_says_no_makes_a_failed_refund(shop: Shop) -> None:
    order = await paid(shop)
    shop.house.alipay.faults.once(ChannelFault.REJECTED, "refund")
    answer = await shop.call("POST", REFUNDS, body(order))
    assert (answer.status_code, answer.json()["status"], answer.json()["failure"]) == (201, "failed", "rejected")


async def test_what_cannot_be_refunded_is_refused_with_a_code(shop: Shop) -> None:
    order = await paid(shop)
    pending = await shop.house.order(shop.merchant, "A-2")
    await shop.call("POST", REFUNDS, body(order, merchant_refund_no="R-0", amount=1))
    for asked, code in (
        (body(order, amount=10_000), "refund_exceeds_paid"),
        (body(pending), "order_not_paid"),
        (body(order, merchant_refund_no="R-0", amount=2), "merchant_refund_no_taken"),
    ):
        answer = await shop.call("POST", REFUNDS, asked)
        assert (answer.status_code, code_of(answer)) == (409, code)


async def test_wechat_pays_minute_is_said_with_retry_after_and_the_key_is_free_again(shop: Shop) -> None:
    order = await paid(shop, Method.WECHAT_NATIVE)
    await shop.call("POST", REFUNDS, body(order))
    asked, key = body(order, merchant_refund_no="R-2", amount=1), {"Idempotency-Key": "k"}
    answer = await shop.call("POST", REFUNDS, asked, headers=key)
    assert (answer.status_code, code_of(answer), answer.headers["retry-after"]) == (409, "refund_too_soon", "61")
    shop.house.clock.advance(61)  # type: ignore[attr-defined]
    assert (await shop.call("POST", REFUNDS, asked, headers=key)).status_code == 201


async def test_refunds_are_found_by_id_by_number_and_by_order(shop: Shop) -> None:
    order = await paid(shop)
    refund = (await shop.call("POST", REFUNDS, body(order))).json()
    assert (await shop.call("GET", f"{REFUNDS}/{refund['id']}")).json() == refund
    for query in ("merchant_refund_no=R-1", f"order_id={order.id}"):
        assert (await shop.call("GET", f"{REFUNDS}?{query}")).json() == {"data": [refund], "next_cursor": None}
    for query in ("merchant_refund_no=R-2", "order_id=ord_none"):
        assert (await shop.call("GET", f"{REFUNDS}?{query}")).json() == {"data": [], "next_cursor": None}


async def test_another_merchant_sees_and_refunds_nothing_of_it(shop: Shop) -> None:
    order = await paid(shop)
    refund = (await shop.call("POST", REFUNDS, body(order))).json()
    key = (await shop.other()).api_key
    assert (await shop.call("GET", f"{REFUNDS}/{refund['id']}", key=key)).status_code == 404
    assert (await shop.call("GET", f"{REFUNDS}?order_id={order.id}", key=key)).json()["data"] == []
    assert (await shop.call("POST", REFUNDS, body(order), key=key)).status_code == 404


@pytest.mark.parametrize("query", ["", "?merchant_refund_no=R-1&order_id=ord_1"])
async def test_a_list_of_refunds_is_of_one_thing(shop: Shop, query: str) -> None:
    answer = await shop.call("GET", f"{REFUNDS}{query}")
    assert (answer.status_code, code_of(answer)) == (422, "parameter_conflict")


@pytest.mark.parametrize(("field", "value", "status", "code"), [
    ("merchant_refund_no", ..., 400, "field_missing"), ("merchant_refund_no", "", 422, "value_invalid"),
    ("merchant_refund_no", "a b", 422, "value_invalid"), ("merchant_refund_no", "x" * 65, 422, "value_invalid"),
    ("order_id", ..., 400, "field_missing"), ("order_id", 1, 400, "type_invalid"),
    ("order_id", "'; --", 422, "value_invalid"), ("order_id", "ord_none", 404, "not_found"),
    ("amount", ..., 400, "field_missing"), ("amount", "1", 400, "type_invalid"), ("amount", 1.0, 400, "type_invalid"),
    ("amount", 0, 422, "value_invalid"), ("amount", -1, 422, "value_invalid"), ("amount", 10**30, 422, "value_invalid"),
    ("currency", "USD", 422, "currency_unsupported"),
    ("reason", "x" * 81, 422, "value_invalid"), ("reason", "a\nb", 422, "value_invalid"),
    ("reason", 1, 400, "type_invalid"),
    ("refund_fee", 1, 400, "field_unknown"),
])  # fmt: skip
async def test_a_wrong_field_is_refused_and_nothing_is_stored(
    shop: Shop, field: str, value: Any, status: int, code: str
) -> None:
    order = await paid(shop)
    before = shop.stored()
    answer = await shop.call("POST", REFUNDS, body(order, **{field: value}))
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert shop.stored() == before


async def test_money_that_came_late_shows_in_its_order_as_a_refund_of_its_own(shop: Shop) -> None:
    house, who = shop.house, Caller(shop.merchant.merchant.id, shop.merchant.endpoint.mode)
    order = await house.order(shop.merchant)
    attempt = await house.start_attempt(who, order.id, Method.ALIPAY_QR)
    await house.close_order(order.id, "merchant")
    house.alipay.pay(attempt.number)
    await house.notice(house.alipay, attempt)
    await house.check_due_refunds()
    whole = (await shop.call("GET", f"/v1/orders/{order.id}")).json()
    assert (whole["status"], whole["refunded_amount"], whole["net_amount"]) == ("closed", 0, None)
    assert [(each["origin"], each["amount"], each["status"]) for each in whole["refunds"]] == [
        ("suspense", Money(10_000).minor, "succeeded")
    ]
    assert "order.paid_late" in [event["type"] for event in whole["events"]]
