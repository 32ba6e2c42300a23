"""How to bring a process to die at each crash point, what must be true the moment after, and when all is well again.

A crash point kills the whole process group; then the process is started again as it always is. ``Scenario.within`` is
the promise: seconds from the return of the process until the merchant knows how the order ended, whoever has to find
out. It is made of what the design says: a sweep, a rung of the poll ladder, a lease.
"""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from adapters.inbound.jobs.table import JOBS
from application import expire_orders, release_payments, request_refund
from domain.attempts import BARCODE_PATIENCE, POLL_LADDER
from domain.channels import Method
from domain.notifications import LEASE
from domain.refunds import LADDER
from domain.settlements import LADDER as PAYOUT_LADDER
from domain.settlements import Rail, Settlement
from tests.integration import payouts, settling
from tests.integration.house import House, eventually

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE
SWEEPS = {job.name: job.every for job in JOBS}
BUSY = 10.0  # seconds that two busy cores may take for what takes one
# A killed worker's row is claimed until its lease ends; whatever was not claimed, the next sweep finds.
LEASED = LEASE.total_seconds() + SWEEPS["deliver_notifications"]
EXPIRY_AGAIN = expire_orders.RETRY.total_seconds() + SWEEPS["expire_orders"]
SWEPT = SWEEPS["fan_out_events"] + SWEEPS["deliver_notifications"]
ASKED = SWEEPS["check_refunds"] + SWEPT
RELEASED = release_payments.LEASE.total_seconds() + SWEEPS["release_payments"]
POLLED = POLL_LADDER[0] + SWEEPS["check_attempts"] + SWEPT


@dataclass
class Death:
    """When the process was killed, and when its successor was up."""

    killed_at: float = 0
    back_at: float = 0


@dataclass(frozen=True)
class Story:
    """``refund``, ``settlement``: what was on its way when the process died, if any."""

    order: dict[str, Any]
    death: Death
    refund: dict[str, Any] | None = None
    settlement: Settlement | None = None


@dataclass(frozen=True)
class Scenario:
    """How to bring a process to die there, and how soon after its return the order has ended as it should, or its
    refund has."""

    play: Callable[[House, str], Awaitable[Story]]
    within: float
    ends: str = "paid"


@asynccontextmanager
async def web_dies_at(house: House, name: str) -> AsyncIterator[Death]:
    """Inside, the web waits for its end; outside, its successor serves."""
    death = Death()
    await house.kill("web")
    await house.start("web", PITAYA_CRASH=f"{name}:1")
    yield death
    death.killed_at = await house.processes["web"].died()
    await house.start("web")
    death.back_at = time.time()


@asynccontextmanager
async def worker_dies_at(house: House, name: str) -> AsyncIterator[Death]:
    """Inside, there is no worker and work piles up; then one takes it and dies of it; outside, its successor works."""
    death = Death()
    await house.kill("worker")
    yield death
    await house.start("worker", PITAYA_CRASH=f"{name}:1")
    death.killed_at = await house.processes["worker"].died()


async def succeeded(house: House, name: str, story: Story) -> Story:
    """The next worker is up; and unless it has to wait for the end of a lease, it has done the work."""
    await house.start("worker")
    story.death.back_at = time.time()
    if SCENARIOS[name].within < LEASED:
        await ended(house, name, story)
    return story


async def ended(house: House, name: str, story: Story) -> float:
    """Seconds from the return of the process until the merchant knew how its order, or its refund, ended."""
    scenario = SCENARIOS[name]
    if story.settlement is not None:
        deadline = story.death.back_at + scenario.within + BUSY
        paid_at = await payouts.paid_out(house, story.settlement, max(deadline - time.time(), 0))
        await eventually(
            lambda: bool(house.merchant.told(story.order["id"])), LEASED + BUSY, "its order is told of, too"
        )
        return paid_at - story.death.back_at
    told = house.merchant.told(story.order["id"], f"order.{scenario.ends}")
    if story.refund is not None:
        told = house.merchant.told(story.refund["id"], "refund.succeeded")
    arrivals = 2 if name == "delivery.sent" else 1  # the first came from the one who died of it
    left = story.death.back_at + scenario.within + BUSY - time.time()
    await eventually(lambda: len(told) >= arrivals, max(left, 0), f"the merchant knows, after {name}")
    return told[arrivals - 1][1] - story.death.back_at


async def unanswered(call: Awaitable[object]) -> None:
    with pytest.raises(httpx.TransportError):
        await call


async def opened(house: House, method: Method = WECHAT) -> tuple[dict[str, Any], dict[str, Any]]:
    order = await house.place()
    return order, await house.stack.start(order, method)


async def paid(house: House, order: dict[str, Any]) -> None:
    attempt = await house.stack.start(order, WECHAT)
    await house.stack.pay(attempt, WECHAT)
    await noticed(house, attempt)


async def notices(house: House, attempt: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await house.stack.http.get(f"{house.stack.sandbox}/control/notices?out_trade_no={attempt['number']}")
    return list(answer.json())


async def noticed(house: House, attempt: dict[str, Any]) -> None:
    """Returns when the channel has been told success. Nothing comes any more that could kill the next one too soon."""

    async def accepted() -> bool:
        return any(sent["accepted"] for sent in await notices(house, attempt))

    await eventually(accepted, POLLED + BUSY, "the channel has heard success")


async def numbered(house: House, number: str) -> list[dict[str, Any]]:
    return list((await house.stack.api("GET", f"/orders?merchant_order_no={number}")).json()["data"])


async def before_the_order_is_committed(house: House, name: str) -> Story:
    number = secrets.token_hex(12)
    async with web_dies_at(house, name) as death:
        await unanswered(house.place(merchant_order_no=number))
    assert await numbered(house, number) == []
    order = await house.place(merchant_order_no=number)
    await paid(house, order)
    return Story(order, death)


async def after_the_order_is_committed(house: House, name: str) -> Story:
    number = secrets.token_hex(12)
    async with web_dies_at(house, name) as death:
        await unanswered(house.place(merchant_order_no=number))
    (stored,) = await numbered(house, number)
    order = await house.place(merchant_order_no=number)
    assert order["id"] == stored["id"]
    await paid(house, order)
    return Story(order, death)


async def while_opening(house: House, name: str) -> Story:
    async with web_dies_at(house, name) as death:
        order = await house.place()
        await unanswered(house.stack.start(order, WECHAT))
    (attempt,) = (await house.stack.api("GET", f"/orders/{order['id']}")).json()["attempts"]
    assert attempt["status"] == ("pending" if name == "attempt.after_stored" else "created")
    assert len(await trades(house, attempt)) == (0 if name == "attempt.after_intent" else 1)
    again = await house.stack.start(order, WECHAT)
    assert (again["id"], again["number"]) == (attempt["id"], attempt["number"])
    assert len(await trades(house, attempt)) == 1, "never a second number for one attempt"
    await house.stack.pay(again, WECHAT)
    await noticed(house, again)
    return Story(order, death)


async def trades(house: House, attempt: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await house.stack.http.get(f"{house.stack.sandbox}/control/trades?out_trade_no={attempt['number']}")
    return list(answer.json())


async def while_a_notice_comes(house: House, name: str) -> Story:
    async with web_dies_at(house, name) as death:
        order, attempt = await opened(house)
        await house.stack.pay(attempt, WECHAT)
    assert not (await notices(house, attempt))[0]["accepted"], "success is said after the commit: nobody lived to do it"
    await noticed(house, attempt)
    return Story(order, death)


async def with_a_paid_order(house: House, name: str) -> Story:
    """The worker finds an event to fan out, or a delivery to make."""
    async with worker_dies_at(house, name) as death:
        order, attempt = await opened(house, ALIPAY)
        await house.stack.pay(attempt, ALIPAY)
        await house.stack.until(order, "paid")
    (waiting,) = await house.sql(
        "SELECT (SELECT count(*) FROM outbox WHERE event_id = e.id) AS outbox, d.status, d.tries, d.next_at,"
        " (SELECT count(*) FROM delivery_try WHERE delivery_id = d.id) AS answers"
        " FROM event e LEFT JOIN delivery d ON d.event_id = e.id WHERE e.object_id = $1 AND e.type = 'order.paid'",
        order["id"],
    )
    if name == "outbox.claimed":
        assert (waiting["outbox"], waiting["status"]) == (1, None), "still to be fanned out"
    else:
        assert (waiting["status"], waiting["tries"], waiting["answers"]) == ("due", 1, 0), "claimed, and visibly due"
        assert waiting["next_at"] < datetime.now(UTC) + LEASE
    assert len(house.merchant.told(order["id"])) == (1 if name == "delivery.sent" else 0)
    return await succeeded(house, name, Story(order, death))


async def with_a_silent_channel(house: House, name: str) -> Story:
    async with worker_dies_at(house, name) as death:
        order, attempt = await opened(house)
        await house.stack.pay(attempt, WECHAT, notify=False)
    (asked,) = await house.sql("SELECT status, polls FROM attempt WHERE id = $1", attempt["id"])
    assert (asked["status"], asked["polls"]) == ("pending", 1)
    return await succeeded(house, name, Story(order, death))


async def with_an_expired_order(house: House, name: str) -> Story:
    async with worker_dies_at(house, name) as death:
        order, attempt = await opened(house)
        await house.sql("UPDATE payment_order SET next_at = now() WHERE id = $1", order["id"])
    (trade,) = await trades(house, attempt)
    assert trade["state"] == "closed", "the channel first"
    assert (await house.stack.order(order)).status == ("closed" if name == "expiry.closed" else "pending")
    return await succeeded(house, name, Story(order, death))


async def scanned(house: House, order: dict[str, Any], wallet: str) -> httpx.Response:
    """The till scans a code whose payer does what ``wallet`` says."""
    code = (await house.stack.control("codes", channel="wechat", wallet=wallet))["code"]
    asked = {"method": "barcode", "auth_code": code}
    return await house.stack.api("POST", f"/orders/{order['id']}/attempts", json=asked)


async def while_charging(house: House, name: str) -> Story:
    async with web_dies_at(house, name) as death:
        order = await house.place()
        await unanswered(scanned(house, order, "pays"))
    (attempt,) = await house.sql("SELECT status, number FROM attempt WHERE order_id = $1", order["id"])
    (trade,) = await trades(house, attempt)
    assert trade["state"] == "paid", "the money is there, and nobody lived to say so"
    return Story(order, death)


async def while_reversing(house: House, name: str) -> Story:
    async with worker_dies_at(house, name) as death:
        order = await house.place()
        attempt = (await scanned(house, order, "asks")).json()
        assert attempt["status"] == "pending"
        await house.sql(
            "UPDATE attempt SET created_at = created_at - $1::interval, next_at = now() WHERE id = $2",
            BARCODE_PATIENCE,
            attempt["id"],
        )
    (left,) = await house.sql("SELECT status, next_at FROM attempt WHERE id = $1", attempt["id"])
    assert (left["status"], left["next_at"] is None) == ("reversing", False), "it is not left alone"
    (trade,) = await trades(house, attempt)
    assert (trade["state"] == "closed") == (name == "reverse.after_channel")
    await house.start("worker")
    death.back_at = time.time()

    async def undone() -> bool:
        (now,) = await house.sql("SELECT status FROM attempt WHERE id = $1", attempt["id"])
        return bool(now["status"] == "reversed")

    await eventually(undone, POLLED + BUSY, "the reverse is certain")
    assert (await scanned(house, order, "pays")).json()["status"] == "succeeded"
    return Story(order, death)


async def sold(house: House) -> dict[str, Any]:
    """An order that Alipay has been paid for, and that everybody knows of."""
    order, attempt = await opened(house, ALIPAY)
    await house.stack.pay(attempt, ALIPAY)
    await noticed(house, attempt)
    return order


async def refund(house: House, order: dict[str, Any], number: str) -> dict[str, Any]:
    body = {"merchant_refund_no": number, "order_id": order["id"], "amount": 100}
    return dict((await house.stack.api("POST", "/refunds", json=body)).json())


async def refunds_of(house: House, order: dict[str, Any]) -> list[dict[str, Any]]:
    return list((await house.stack.api("GET", f"/refunds?order_id={order['id']}")).json()["data"])


async def given_back(house: House, order: dict[str, Any]) -> int:
    """How many refunds the channel has made of it."""
    (attempt,) = (await house.stack.api("GET", f"/orders/{order['id']}")).json()["attempts"]
    (trade,) = await trades(house, attempt)
    return len(trade["refunds"])


async def while_refunding(house: House, name: str) -> Story:
    """The shop repeats its call, and there is one refund at us and at the channel."""
    order, number = await sold(house), secrets.token_hex(12)
    async with web_dies_at(house, name) as death:
        await unanswered(refund(house, order, number))
    left = [each["status"] for each in await refunds_of(house, order)]
    if name == "refund.before_commit":
        assert left == []
    elif name == "refund.after_commit":
        assert left == ["requested"], "reserved, and the channel was not asked"
    else:
        assert left in (["submitted"], ["succeeded"]), "the intent stands; a notice or a sweep may have been faster"
    again = await refund(house, order, number)
    assert len(await refunds_of(house, order)) == 1
    return Story(order, death, again)


async def with_an_unknown_refund(house: House, name: str) -> Story:
    """The channel did it and did not answer; then the one who asks after it dies with the answer."""
    order, number = await sold(house), secrets.token_hex(12)
    async with worker_dies_at(house, name) as death:
        await house.stack.control("faults", channel="alipay", api="refund", fault="lost", times=1)
        asked = await refund(house, order, number)
        assert asked["status"] == "unknown"
        await house.sql("UPDATE refund SET next_at = now() WHERE id = $1", asked["id"])
    assert [each["status"] for each in await refunds_of(house, order)] == ["unknown"]
    story = await succeeded(house, name, Story(order, death, asked))
    assert await given_back(house, order) == 1
    return story


# First those that a worker dies of, the ones whose rows wait for the end of a lease last among them; then those that
# the web dies of. What has to wait waits while the web dies: a worker's death meanwhile would take it along once more.
async def while_paying_out(house: House, name: str) -> Story:
    """The worker dies with the intent committed, or with money that has left and that we have not heard of."""
    order = await house.place()
    await paid(house, order)
    async with worker_dies_at(house, name) as death:
        settlement = await payouts.approved_at(house.stack, Rail.ALIPAY)
    return await succeeded(house, name, Story(order, death, settlement=settlement))


async def while_releasing(house: House, name: str) -> Story:
    order = await house.place()
    await paid(house, order)
    await eventually(lambda: bool(house.merchant.told(order["id"], "order.paid")), BUSY * 2, "it is paid")
    async with worker_dies_at(house, name) as death:
        payment_id = await settling.payment_due(house, order)
    story = await succeeded(house, name, Story(order, death))
    await settling.released(house, payment_id, RELEASED + BUSY)
    return story


async def while_settling(house: House, name: str) -> Story:
    order = await house.place()
    await paid(house, order)
    await eventually(lambda: bool(house.merchant.told(order["id"], "order.paid")), BUSY * 2, "it is paid")
    payment_id = await settling.payment_due(house, order)
    await settling.released(house, payment_id, RELEASED + BUSY)
    async with worker_dies_at(house, name) as death:
        await settling.settlement_due(house)
    story = await succeeded(house, name, Story(order, death))
    await settling.settled(house, SWEEPS["settle_merchants"] + BUSY)
    return story


SCENARIOS = {
    "payout.after_intent": Scenario(while_paying_out, PAYOUT_LADDER[0] + PAYOUT_LADDER[1] + SWEEPS["check_payouts"]),
    "payout.after_channel": Scenario(while_paying_out, PAYOUT_LADDER[0] + PAYOUT_LADDER[1] + SWEEPS["check_payouts"]),
    "release.before_commit": Scenario(while_releasing, RELEASED),
    "release.after_commit": Scenario(while_releasing, RELEASED),
    "settle.before_commit": Scenario(while_settling, SWEEPS["settle_merchants"]),
    "settle.after_commit": Scenario(while_settling, SWEEPS["settle_merchants"]),
    "refund.queried": Scenario(with_an_unknown_refund, LADDER[1] + ASKED),
    "outbox.claimed": Scenario(with_a_paid_order, SWEPT),
    "poll.queried": Scenario(with_a_silent_channel, POLLED),
    "expiry.closed": Scenario(with_an_expired_order, SWEPT, ends="closed"),
    "expiry.channel_closed": Scenario(with_an_expired_order, EXPIRY_AGAIN + SWEPT, ends="closed"),
    "delivery.claimed": Scenario(with_a_paid_order, LEASED),
    "delivery.sent": Scenario(with_a_paid_order, LEASED),
    "refund.before_commit": Scenario(while_refunding, SWEPT),
    "refund.after_commit": Scenario(while_refunding, request_refund.LEASE.total_seconds() + ASKED),
    # Two rungs: on a busy machine the channel's answer to the first look may come too late to count.
    "refund.after_intent": Scenario(while_refunding, LADDER[0] + LADDER[1] + ASKED),
    "refund.after_channel": Scenario(while_refunding, LADDER[0] + LADDER[1] + ASKED),
    "refund.after_stored": Scenario(while_refunding, SWEPT),
    "reverse.before_channel": Scenario(while_reversing, POLLED + SWEPT),
    "reverse.after_channel": Scenario(while_reversing, POLLED + SWEPT),
    "order.before_commit": Scenario(before_the_order_is_committed, SWEPT),
    "order.after_commit": Scenario(after_the_order_is_committed, SWEPT),
    "attempt.after_intent": Scenario(while_opening, SWEPT),
    "attempt.after_channel": Scenario(while_opening, SWEPT),
    "attempt.after_stored": Scenario(while_opening, SWEPT),
    "charge.after_channel": Scenario(while_charging, POLLED),
    "charge.after_stored": Scenario(while_charging, POLLED),
    "notice.before_commit": Scenario(while_a_notice_comes, POLLED),  # the channel's repetition may be faster
    "notice.after_commit": Scenario(while_a_notice_comes, POLLED),
}
