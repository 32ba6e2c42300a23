"""Contract of the courier: signed, once a call, and an answer for everything that a merchant's server may do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from application.ports.world import Courier
from domain.channels import Mode
from domain.events import Event
from tests.contracts.stage import soon

SECRET, PREVIOUS, WRONG = bytes(range(32)), bytes(range(32, 64)), bytes(32)
EVENT = Event(
    id="evt_01ARYZ6S41ABCDEFGHJKMNPQRS",
    type="order.paid",
    object_id="ord_01ARYZ6S41ABCDEFGHJKMNPQRS",
    merchant_id="mch_1",
    mode=Mode.TEST,
    at=datetime(2026, 11, 22, 4, 0, tzinfo=UTC),
    data={"id": "ord_01ARYZ6S41ABCDEFGHJKMNPQRS", "subject": "火龙果 <&> \u2028", "paid_amount": 100},
)


def now() -> datetime:
    """The real time, taken when a delivery is made: who verifies a signature refuses one that is minutes old."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived at the merchant: the webhook-id and the body as it reads it."""

    webhook_id: str
    body: Mapping[str, Any]


class CourierDriver(Protocol):
    """A courier and the merchant's server it delivers to."""

    @property
    def courier(self) -> Courier: ...
    @property
    def url(self) -> str: ...

    async def answers(self, status: int, *, retry_after: int | None = None) -> None:
        """From now on the server answers with this status."""
        ...

    async def is_silent(self) -> None:
        """From now on it takes what comes and never answers."""
        ...

    async def is_down(self) -> None:
        """From now on nothing listens."""
        ...

    def received(self, secret: bytes) -> Sequence[Received]:
        """Everything that arrived with a signature that this secret verifies, oldest first."""
        ...


class CourierContract:
    """A subclass supplies the fixture ``driver``: a CourierDriver."""

    async def test_a_notification_arrives_signed_with_its_event_as_body(self, driver: CourierDriver) -> None:
        answer = await soon(driver.courier.deliver(driver.url, EVENT, [SECRET], now=now()))
        assert answer.accepted
        assert answer.status_code == 200
        assert answer.error is None
        assert list(driver.received(SECRET)) == [Received(EVENT.id, EVENT.body())]
        assert list(driver.received(WRONG)) == []

    async def test_every_try_bears_the_same_id_and_body(self, driver: CourierDriver) -> None:
        for seconds in (0, 5, 60):
            await soon(driver.courier.deliver(driver.url, EVENT, [SECRET], now=now() + timedelta(seconds=seconds)))
        assert list(driver.received(SECRET)) == [Received(EVENT.id, EVENT.body())] * 3

    async def test_while_secrets_rotate_either_of_them_verifies(self, driver: CourierDriver) -> None:
        await soon(driver.courier.deliver(driver.url, EVENT, [SECRET, PREVIOUS], now=now()))
        for secret in (SECRET, PREVIOUS):
            assert len(driver.received(secret)) == 1
        assert list(driver.received(WRONG)) == []

    @pytest.mark.parametrize(
        ("status", "accepted"), [(200, True), (204, True), (400, False), (410, False), (500, False)]
    )
    async def test_a_status_is_told_as_it_is(self, driver: CourierDriver, status: int, accepted: bool) -> None:
        await driver.answers(status)
        answer = await soon(driver.courier.deliver(driver.url, EVENT, [SECRET], now=now()))
        assert (answer.status_code, answer.accepted) == (status, accepted)

    async def test_the_merchant_may_say_when_to_come_again(self, driver: CourierDriver) -> None:
        await driver.answers(503, retry_after=120)
        answer = await soon(driver.courier.deliver(driver.url, EVENT, [SECRET], now=now()))
        assert answer.retry_after == timedelta(seconds=120)

    async def test_a_server_that_never_answers_may_have_taken_it_and_did_not_accept(
        self, driver: CourierDriver
    ) -> None:
        await driver.is_silent()
        answer = await soon(driver.courier.deliver(driver.url, EVENT, [SECRET], now=now()))
        assert (answer.status_code, answer.accepted) == (None, False)
        assert answer.error

    async def test_a_server_that_is_down_is_an_answer_too(self, driver: CourierDriver) -> None:
        await driver.is_down()
        answer = await soon(driver.courier.deliver(driver.url, EVENT, [SECRET], now=now()))
        assert (answer.status_code, answer.accepted) == (None, False)
        assert answer.error
        assert list(driver.received(SECRET)) == []
