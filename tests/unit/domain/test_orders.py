"""An order goes from placing to paid or closed, tells what happened once, and knows itself again."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from domain.channels import Method
from domain.errors import Conflict, IllegalTransition
from domain.money import Money
from domain.orders import Order, OrderStatus
from domain.times import rfc3339, shanghai_day
from tests.unit.domain.samples import NOW, order

LATER = NOW + timedelta(minutes=5)


def paid(one: Order) -> Order:
    return one.pay(one.amount, method=Method.ALIPAY_QR, paid_at=NOW, now=LATER)


def test_a_placed_order_is_pending_and_announces_nothing() -> None:
    one = Order.place(
        order().request, id="ord_1", merchant_id="mch_1", mode=order().mode, token="t", now=NOW, expires_at=LATER
    )
    assert one.status is OrderStatus.PENDING
    assert [(event.type, event.announced) for event in one.events] == [("order.created", False)]


def test_a_paid_order_says_how_much_when_and_how() -> None:
    one = paid(order())
    assert (one.status, one.paid, one.paid_method, one.paid_at) == (OrderStatus.PAID, Money(10_000), "alipay_qr", NOW)
    (event,) = one.events
    assert (event.type, event.announced, event.at) == ("order.paid", True, LATER)
    assert event.data == one.snapshot()
    assert event.data["status"] == "paid"


def test_an_order_is_paid_once() -> None:
    with pytest.raises(IllegalTransition):
        paid(paid(order()))


def test_a_paid_order_cannot_be_closed() -> None:
    with pytest.raises(IllegalTransition):
        paid(order()).close("merchant", now=LATER)


def test_a_closed_order_cannot_be_closed_again_but_may_be_paid_late() -> None:
    closed = order().close("expired", now=NOW)
    assert (closed.status, closed.closed_at, closed.close_reason) == (OrderStatus.CLOSED, NOW, "expired")
    with pytest.raises(IllegalTransition):
        closed.close("expired", now=NOW)
    late = paid(closed)
    assert late.status is OrderStatus.PAID
    assert [event.type for event in late.events] == ["order.closed", "order.paid"]
    assert len({event.id for event in late.events}) == 2


def test_the_same_step_gives_the_same_event_again_and_the_old_order_is_left_alone() -> None:
    one = order()
    assert paid(one).events == paid(one).events
    assert one.status is OrderStatus.PENDING
    assert one.events == ()


@pytest.mark.parametrize(
    ("one", "at", "code"),
    [
        (paid(order()), NOW, "order_paid"),
        (order().close("merchant", now=NOW), NOW, "order_closed"),
        (order(), order().expires_at, "order_expired"),
    ],
)
def test_no_attempt_starts_on_an_order_that_is_over(one: Order, at: datetime, code: str) -> None:
    with pytest.raises(Conflict) as caught:
        one.payable_at(at)
    assert caught.value.code == code


def test_an_order_is_payable_up_to_its_expiry() -> None:
    order().payable_at(order().expires_at - timedelta(microseconds=1))


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Money(1)},
        {"amount": Money(10_000, "USD")},
        {"subject": "x"},
        {"metadata": {"a": "1"}},
        {"expires_in": 1},
    ],
)
def test_a_repeated_request_must_be_equal_in_everything(change: dict[str, object]) -> None:
    one = order()
    assert one.asks(replace(one.request))
    assert not one.asks(replace(one.request, **change))  # type: ignore[arg-type]


def test_the_cashiers_token_is_in_no_snapshot_and_in_no_repr() -> None:
    one = replace(order(), cashier_token="secret-token")
    assert "secret-token" not in repr(one)
    assert "secret-token" not in str(one.snapshot())


def test_times_are_written_in_utc_whatever_zone_they_came_in() -> None:
    beijing = NOW.astimezone(timezone(timedelta(hours=8)))
    assert rfc3339(beijing) == rfc3339(NOW) == "2026-11-22T04:00:00.000+00:00"


@pytest.mark.parametrize(
    ("utc", "day"),
    [("2026-11-21T15:59:59.999999+00:00", "2026-11-21"), ("2026-11-21T16:00:00+00:00", "2026-11-22")],
)
def test_a_day_begins_at_midnight_in_shanghai(utc: str, day: str) -> None:
    assert shanghai_day(datetime.fromisoformat(utc)).isoformat() == day
