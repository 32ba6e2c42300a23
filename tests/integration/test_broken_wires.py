"""Wires that swallow, drip, refuse, reset and lose one answer: every call ends in time, and nobody else waits for it.

The web reaches PostgreSQL, web and worker reach each channel, and the worker reaches each merchant through a proxy of
its own. The deadlines are those of the adapters; ``BUSY`` is what a loaded machine may add.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import make_url

from adapters.inbound.jobs.table import JOBS
from adapters.outbound.courier.http_courier import DEADLINE as COURIER_SECONDS
from adapters.outbound.sql import SqlClock
from adapters.outbound.sql.engine import COMMAND_SECONDS
from adapters.outbound.sql.promises import SqlPromises
from bootstrap import kept_open
from bootstrap.embedded import SOCKET_NAME
from domain.attempts import POLL_LADDER
from domain.channels import Method
from domain.errors import DatabaseUnavailable
from domain.notifications import JITTER, SCHEDULE
from tests.integration.faultproxy import FaultProxy, Rules, Then
from tests.integration.house import House, eventually, standing

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE
SWEEPS = {job.name: job.every for job in JOBS}
CHANNEL_SECONDS = 10.0
POOL_SECONDS = 3.0  # who gets no connection within this is told so
PROMPT = 2.0  # what is not held up is answered within this
BUSY = 4.0
BLACK, DRIP = Rules(black=True), Rules(rate=1)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Wires:
    """A house and the wires of it that can be broken."""

    house: House
    database: FaultProxy
    channels: dict[Method, FaultProxy]
    shops: tuple[FaultProxy, FaultProxy, FaultProxy]

    def mend(self) -> None:
        for wire in (self.database, *self.channels.values(), *self.shops):
            wire.rules = Rules()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wires() -> AsyncIterator[Wires]:
    async with AsyncExitStack() as stack:
        database, alipay, wechat, *shops = [await stack.enter_async_context(FaultProxy()) for _ in range(6)]

        def redirect(name: str, plain: dict[str, str]) -> dict[str, str]:
            database.upstream = Path(str(make_url(plain["PITAYA_DATABASE_URL"]).query["host"])) / SOCKET_NAME
            sandbox = plain["PITAYA_WECHAT_TEST_GATEWAY"]
            alipay.upstream = wechat.upstream = ("127.0.0.1", int(sandbox.rpartition(":")[2]))
            led = {
                "PITAYA_ALIPAY_TEST_GATEWAY": f"http://127.0.0.1:{alipay.port}/gateway.do",
                "PITAYA_WECHAT_TEST_GATEWAY": f"http://127.0.0.1:{wechat.port}",
            }
            if name == "web":
                led["PITAYA_DATABASE_URL"] = f"postgresql+asyncpg://postgres@127.0.0.1:{database.port}/postgres"
            return plain | led

        house = await stack.enter_async_context(standing(redirect=redirect))
        for shop in shops:
            shop.upstream = ("127.0.0.1", house.merchant.port)
        await asyncio.gather(*(house.start(name) for name in ("web", "worker", "beat")))
        await house.stack.control("settings", notice_speed=0.05)
        yield Wires(house, database, {ALIPAY: alipay, WECHAT: wechat}, (shops[0], shops[1], shops[2]))


@pytest.fixture(autouse=True)
def mended(wires: Wires) -> Iterator[None]:
    """Each test begins and ends with whole wires."""
    wires.mend()
    yield
    wires.mend()


async def timed(call: Awaitable[httpx.Response]) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    answer = await call
    return answer, time.monotonic() - began


def says_try_again(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in (statuses or (503, 504)), answer.text
    assert int(answer.headers["retry-after"]) > 0


async def placing(house: House, number: str, **fields: Any) -> httpx.Response:
    body = {"merchant_order_no": number, "amount": 10_000, "currency": "CNY", "subject": "x"}
    return await house.stack.api("POST", "/orders", json=body | {"notify_url": house.merchant.url} | fields)


async def starting(house: House, order: dict[str, Any], method: Method) -> httpx.Response:
    return await house.stack.api("POST", f"/orders/{order['id']}/attempts", json={"method": method})


async def answers_promptly(house: House, path: str = "/livez") -> None:
    answer, seconds = await timed(house.stack.http.get(f"{house.stack.web}{path}"))
    assert answer.status_code == 200
    assert seconds < PROMPT


# ── Between web and PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("then", "stored"), [(Then.CUT_REPLY, 1), (Then.CUT_BEFORE, 0)], ids=str)
async def test_an_order_whose_commit_is_in_doubt_is_one_order_after_the_repetition(
    wires: Wires, then: Then, stored: int
) -> None:
    number = secrets.token_hex(12)
    wires.database.rules = Rules(match=number.encode(), then=then, times=1)
    answer, seconds = await timed(placing(wires.house, number))
    says_try_again(answer, 504)
    assert answer.json()["code"] == "outcome_unknown"
    assert seconds < PROMPT
    there = await wires.house.sql("SELECT id FROM payment_order WHERE merchant_order_no = $1", number)
    assert len(there) == stored, "nobody outside could have known"
    again = await placing(wires.house, number)
    assert again.status_code == 201
    found = await wires.house.sql("SELECT id FROM payment_order WHERE merchant_order_no = $1", number)
    assert [row["id"] for row in found] == [again.json()["id"]]
    assert there in ([], found)


async def test_a_notice_whose_commit_is_in_doubt_is_not_answered_with_success_and_books_once(wires: Wires) -> None:
    house = wires.house
    order = await house.place()
    attempt = await house.stack.start(order, WECHAT)
    wires.database.rules = Rules(match=b"COMMIT", then=Then.CUT_REPLY, times=1)
    await house.stack.pay(attempt, WECHAT)
    sent: list[dict[str, Any]] = []

    async def accepted() -> bool:
        url = f"{house.stack.sandbox}/control/notices?out_trade_no={attempt['number']}"
        sent[:] = (await house.stack.http.get(url)).json()
        return any(each["accepted"] for each in sent)

    await eventually(accepted, 5 + BUSY, "the channel's repetition is taken")
    assert wires.database.faults
    assert [each["status"] for each in sent] == [504, 204]
    (payment,) = await house.stack.payments(order)
    assert payment.unattributed is None


@pytest.mark.parametrize("rules", [BLACK, DRIP], ids=["black", "one byte a second"])
async def test_a_silent_database_costs_each_call_its_deadline_and_nobody_else(wires: Wires, rules: Rules) -> None:
    house = wires.house
    order = await house.place()
    wires.database.rules = rules
    asked = [timed(house.stack.api("GET", f"/orders/{order['id']}")) for _ in range(3)]
    asked += [timed(placing(house, secrets.token_hex(12))) for _ in range(3)]
    asked += [timed(house.stack.http.get(f"{house.stack.web}/readyz"))]
    calls = [asyncio.create_task(each) for each in asked]
    while not all(call.done() for call in calls):
        await answers_promptly(house)
        await asyncio.sleep(0.2)
    *answers, ready = [call.result() for call in calls]
    for answer, seconds in answers:
        says_try_again(answer)
        assert seconds < COMMAND_SECONDS + BUSY
    assert ready[0].status_code == 503
    assert ready[1] < COMMAND_SECONDS + BUSY
    wires.mend()

    async def works() -> bool:
        return (await placing(house, secrets.token_hex(12))).status_code == 201

    await eventually(works, BUSY, "the mended wire is used again")


async def test_a_database_that_refuses_or_resets_is_said_at_once_and_found_again_at_once(wires: Wires) -> None:
    house = wires.house
    wires.database.rules = Rules(refuse=True)
    wires.database.reset_all()
    for _ in range(3):
        answer, seconds = await timed(placing(house, secrets.token_hex(12)))
        says_try_again(answer)
        assert seconds < PROMPT
    wires.mend()
    assert (await placing(house, secrets.token_hex(12))).status_code == 201


@pytest.mark.parametrize("then", [Then.CUT_REPLY, Then.CUT_BEFORE], ids=str)
async def test_whichever_word_to_the_database_is_lost_the_caller_may_try_again_and_finds_his_attempt(
    wires: Wires, then: Then
) -> None:
    house, lost = wires.house, 0
    for word in range(100):
        order, before = await house.place(), wires.database.faults
        wires.database.rules = Rules(match=b"", then=then, times=1, after=word)
        answer = await starting(house, order, WECHAT)
        if wires.database.faults == before:
            assert answer.status_code == 201
            break
        says_try_again(answer)
        lost += 1
        wires.mend()
        intended = (await house.stack.api("GET", f"/orders/{order['id']}")).json()["attempts"]
        again = await house.stack.start(order, WECHAT)
        assert [again["number"]] == ([attempt["number"] for attempt in intended] or [again["number"]])
    assert 10 < lost < 100, "each word of the call was lost once"


async def test_notices_have_connections_of_their_own_while_the_api_waits_for_all_of_its(wires: Wires) -> None:
    house = wires.house
    order = await house.place()
    attempt = await house.stack.start(order, ALIPAY)
    wires.database.rules = Rules(match=b"it hangs", then=Then.HANG_REPLY)
    flood = [asyncio.create_task(timed(placing(house, secrets.token_hex(12), subject="it hangs"))) for _ in range(30)]
    await eventually(lambda: wires.database.faults >= 12, BUSY, "every connection of the API waits")
    began = time.monotonic()
    await house.stack.pay(attempt, ALIPAY)
    await house.stack.until(order, "paid", PROMPT + SWEEPS["check_attempts"])
    assert time.monotonic() - began < POLL_LADDER[0], "a notice told it, not the poll"
    await answers_promptly(house)
    for answer, seconds in [await call for call in flood]:
        says_try_again(answer)
        assert seconds < POOL_SECONDS + COMMAND_SECONDS + BUSY


# ── Between us and a channel ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("broken", "rules"), [(ALIPAY, BLACK), (WECHAT, DRIP)], ids=["Alipay black", "WeChat Pay one byte a second"]
)
async def test_a_silent_channel_holds_up_neither_the_other_nor_its_polls(
    wires: Wires, broken: Method, rules: Rules
) -> None:
    house, whole = wires.house, WECHAT if broken is ALIPAY else ALIPAY
    for _ in range(4):  # the worker will ask for these in vain
        await house.stack.start(await house.place(), broken)
    order, silent = await house.place(), await house.place()
    wires.channels[broken].rules = rules
    call = asyncio.create_task(timed(starting(house, order, broken)))
    other, seconds = await timed(starting(house, silent, whole))
    assert other.status_code == 201
    assert seconds < PROMPT
    await house.stack.pay(other.json(), whole, notify=False)
    await house.stack.until(silent, "paid", POLL_LADDER[0] + SWEEPS["check_attempts"] + BUSY)
    await answers_promptly(house)
    answer, seconds = await call
    says_try_again(answer, 504)
    assert seconds < CHANNEL_SECONDS + BUSY
    wires.mend()
    (doubtful,) = (await house.stack.api("GET", f"/orders/{order['id']}")).json()["attempts"]
    assert doubtful["status"] == "unknown"
    again = await house.stack.start(order, broken)
    assert (again["id"], again["number"]) == (doubtful["id"], doubtful["number"])


async def test_an_opening_whose_answer_was_lost_is_unknown_and_the_poll_finds_its_money(wires: Wires) -> None:
    house = wires.house
    order = await house.place()
    wires.channels[WECHAT].rules = Rules(match=b"/v3/pay/transactions/native", then=Then.CUT_REPLY, times=1)
    says_try_again(await starting(house, order, WECHAT), 504)
    (doubtful,) = (await house.stack.api("GET", f"/orders/{order['id']}")).json()["attempts"]
    assert (doubtful["status"], doubtful["action"]) == ("unknown", None)
    await house.stack.control("pay", channel="wechat", out_trade_no=doubtful["number"], notify=False)
    await house.stack.until(order, "paid", POLL_LADDER[0] + SWEEPS["check_attempts"] + BUSY)
    (payment,) = await house.stack.payments(order)
    assert payment.evidence == f"query:{doubtful['id']}"


@pytest.mark.parametrize("method", [ALIPAY, WECHAT])
async def test_a_channel_that_refuses_us_has_heard_nothing(wires: Wires, method: Method) -> None:
    house = wires.house
    order = await house.place()
    wires.channels[method].rules = Rules(refuse=True)
    wires.channels[method].reset_all()
    answer, seconds = await timed(starting(house, order, method))
    says_try_again(answer)
    assert seconds < PROMPT
    (intended,) = (await house.stack.api("GET", f"/orders/{order['id']}")).json()["attempts"]
    trades = await house.stack.http.get(f"{house.stack.sandbox}/control/trades?out_trade_no={intended['number']}")
    assert trades.json() == []
    wires.mend()
    assert (await house.stack.start(order, method))["number"] == intended["number"]


# ── Between the worker and the merchants ─────────────────────────────────────────────────────────────────────────────


async def test_a_merchant_who_cannot_be_reached_delays_nobody_else_and_is_told_once_he_can(wires: Wires) -> None:
    house = wires.house
    black, drip, cut = wires.shops
    black.rules, drip.rules = BLACK, DRIP
    cut.rules = Rules(match=b"POST /hooks", then=Then.CUT_REPLY, times=1)
    ports = (black.port, drip.port, cut.port, house.merchant.port)
    orders = [await house.place(notify_url=f"http://127.0.0.1:{port}/hooks") for port in ports]
    for order in orders:
        await house.stack.pay(await house.stack.start(order, WECHAT), WECHAT)
    paid_at = time.monotonic()
    unreachable, slow, deaf, healthy = [house.merchant.told(order["id"]) for order in orders]
    swept = SWEEPS["fan_out_events"] + SWEEPS["deliver_notifications"]
    await eventually(lambda: len(healthy) == 1, swept + BUSY, "the healthy merchant is told")
    second = SCHEDULE[1] * (1 + JITTER) + swept
    await eventually(lambda: len(deaf) == 2, second + BUSY, "who did not get his answer to us is told again")
    assert len({webhook_id for webhook_id, _ in deaf}) == 1, "and can recognise it"
    assert (len(unreachable), len(slow)) == (0, 1), "a slow one has it, and we shall never know"

    async def given_up() -> bool:
        return len(await tries(house, orders[0])) == len(await tries(house, orders[1])) == 1

    await eventually(given_up, COURIER_SECONDS + BUSY, "both tries have ended")
    assert time.monotonic() - paid_at < COURIER_SECONDS + swept + BUSY
    for order in orders[:2]:
        (tried,) = await tries(house, order)
        assert tried["error"].startswith("timeout")
        assert tried["duration_ms"] < (COURIER_SECONDS + BUSY) * 1000
    wires.mend()
    # The first try may arrive now, late, where nobody waits for it any more.
    await eventually(lambda: bool(unreachable) and len(slow) >= 2, second + BUSY, "the next try tells them")
    assert [len({webhook_id for webhook_id, _ in told}) for told in (unreachable, slow)] == [1, 1]


async def tries(house: House, order: dict[str, Any]) -> list[dict[str, Any]]:
    return await house.sql(
        "SELECT t.error, t.duration_ms FROM delivery_try t JOIN delivery d ON d.id = t.delivery_id"
        " JOIN event e ON e.id = d.event_id WHERE e.object_id = $1 ORDER BY t.id",
        order["id"],
    )


# ── Afterwards ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_after_all_this_nothing_acknowledged_is_missing_and_every_promise_holds(wires: Wires) -> None:
    assert await wires.house.missing() == []
    assert await SqlPromises(wires.house.stack.container.database().engine).broken() == []


async def test_our_clock_outlives_a_database_that_was_away_when_it_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Semaphore(0)

    class Away:
        async def refresh(self) -> None:
            asked.release()
            raise DatabaseUnavailable("away")

    monkeypatch.setattr(kept_open, "CLOCK_REFRESH", 0)
    keeping = asyncio.create_task(kept_open.keep_time(cast("SqlClock", Away())))
    async with asyncio.timeout(5):
        for _ in range(3):
            await asked.acquire()
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
