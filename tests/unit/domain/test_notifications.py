"""A delivery is tried again on a fixed schedule until it is taken, cancelled or exhausted."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.channels import Mode
from domain.errors import IllegalTransition
from domain.events import API_VERSION
from domain.notifications import LEASE, SCHEDULE, Answer, Delivery, DeliveryStatus, Endpoint
from tests.unit.domain.samples import NOW, order

EVENT = order().close("merchant", now=NOW).events[0]


def delivery(id: str = "dlv_1") -> Delivery:
    return Delivery(
        id=id,
        event_id=EVENT.id,
        endpoint_id="whe_1",
        merchant_id="mch_1",
        mode=Mode.TEST,
        url="https://shop.example/hooks",
        lane="whe_1",
        created_at=NOW,
        next_at=NOW,
    )


def endpoint(url: str | None = "https://shop.example/hooks") -> Endpoint:
    return Endpoint(id="whe_1", merchant_id="mch_1", mode=Mode.TEST, url=url, sealed=b"s3cret", created_at=NOW)


def waits(one: Delivery, answer: Answer) -> tuple[Delivery, list[timedelta]]:
    """The delivery after every try has got this answer at once, and the waits between its tries."""
    now, gaps = NOW, list[timedelta]()
    while one.next_at is not None:
        gaps.append(one.next_at - now)
        now = one.next_at
        one = one.leased(now).answered(answer, now)
    return one, gaps


def test_the_schedule_goes_on_for_three_days_and_a_few_hours() -> None:
    assert sum(SCHEDULE) == 276_155
    assert list(SCHEDULE) == sorted(SCHEDULE)


@given(st.text(min_size=1, max_size=40))
def test_every_wait_is_the_schedules_within_a_tenth_and_the_last_try_exhausts_it(id: str) -> None:
    one, gaps = waits(delivery(id), Answer(status_code=500))
    assert (one.status, one.tries) == (DeliveryStatus.EXHAUSTED, len(SCHEDULE))
    assert len(gaps) == len(SCHEDULE)
    for gap, seconds in zip(gaps, SCHEDULE, strict=True):
        assert abs(gap.total_seconds() - seconds) <= 0.1 * seconds + 1e-6


def test_the_spread_is_the_same_each_time_but_not_for_all() -> None:
    answer = Answer(error="timeout")
    assert waits(delivery(), answer) == waits(delivery(), answer)
    assert len({tuple(waits(delivery(f"dlv_{n}"), answer)[1]) for n in range(20)}) == 20


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(status_code=200), DeliveryStatus.DELIVERED),
        (Answer(status_code=204), DeliveryStatus.DELIVERED),
        (Answer(status_code=299), DeliveryStatus.DELIVERED),
        (Answer(status_code=410), DeliveryStatus.CANCELLED),
        (Answer(status_code=100), DeliveryStatus.DUE),
        (Answer(status_code=199), DeliveryStatus.DUE),
        (Answer(status_code=302), DeliveryStatus.DUE),
        (Answer(status_code=400), DeliveryStatus.DUE),
        (Answer(status_code=429), DeliveryStatus.DUE),
        (Answer(status_code=503), DeliveryStatus.DUE),
        (Answer(error="timeout"), DeliveryStatus.DUE),
        (Answer(), DeliveryStatus.DUE),
    ],
)
def test_only_a_2xx_is_a_yes_and_only_a_410_a_never(answer: Answer, status: DeliveryStatus) -> None:
    after = delivery().leased(NOW).answered(answer, NOW)
    assert after.status is status
    assert (after.next_at is None) == (status is not DeliveryStatus.DUE)


@pytest.mark.parametrize(("after", "least"), [(timedelta(hours=1), 3_600.0), (timedelta(seconds=1), 4.5)])
def test_a_merchant_may_ask_for_more_time_but_not_for_less(after: timedelta, least: float) -> None:
    due = delivery().leased(NOW).answered(Answer(status_code=503, retry_after=after), NOW)
    assert due.next_at is not None
    assert least <= (due.next_at - NOW).total_seconds() <= max(least, 5.5)


@pytest.mark.parametrize("hours", [1.5, 24, 24 * 365])
def test_nobody_may_ask_for_more_than_an_hour(hours: float) -> None:
    due = delivery().leased(NOW).answered(Answer(status_code=429, retry_after=timedelta(hours=hours)), NOW)
    assert due.next_at == NOW + timedelta(hours=1)


def test_a_worker_that_dies_costs_one_lease() -> None:
    leased = delivery().leased(NOW)
    assert (leased.status, leased.tries, leased.next_at) == (DeliveryStatus.DUE, 1, NOW + LEASE)


@pytest.mark.parametrize("end", [Answer(status_code=200), Answer(status_code=410)])
def test_what_is_over_is_over_until_someone_asks_for_it_again(end: Answer) -> None:
    over = delivery().leased(NOW).answered(end, NOW)
    with pytest.raises(IllegalTransition):
        over.answered(Answer(status_code=200), NOW)
    with pytest.raises(IllegalTransition):
        over.cancelled()
    again = over.again(NOW)
    assert (again.id, again.event_id, again.status, again.next_at) == (over.id, over.event_id, DeliveryStatus.DUE, NOW)
    one, gaps = waits(again, Answer(status_code=500))
    assert (one.status, len(gaps)) == (DeliveryStatus.EXHAUSTED, len(SCHEDULE))


def test_an_endpoint_takes_what_it_asked_for_while_it_is_enabled() -> None:
    assert endpoint().target(EVENT) == "https://shop.example/hooks"
    assert replace(endpoint(), enabled=False).target(EVENT) is None
    assert replace(endpoint(), event_types=frozenset({"order.paid"})).target(EVENT) is None
    assert replace(endpoint(), event_types=frozenset({"order.closed"})).target(EVENT) is not None


def test_an_endpoint_without_an_address_stands_for_the_orders_own() -> None:
    assert endpoint(None).target(EVENT) is None
    assert endpoint(None).target(replace(EVENT, notify_url="https://shop.example/n")) == "https://shop.example/n"


def test_a_secret_is_in_no_snapshot_and_in_no_repr() -> None:
    assert "s3cret" not in repr(endpoint())
    assert "s3cret" not in str(endpoint().snapshot())


def test_a_body_says_what_happened_in_which_version_and_when() -> None:
    body = EVENT.body()
    assert (body["id"], body["type"], body["api_version"]) == (EVENT.id, "order.closed", API_VERSION)
    assert datetime.fromisoformat(body["timestamp"]) == NOW
    assert body["data"] == EVENT.data
