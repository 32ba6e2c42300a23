"""kill -9 of real processes, at each crash point and under load: nothing acknowledged is lost, nothing done twice."""

import ast
import asyncio
import secrets
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import redis

import application
from adapters.outbound.sql.promises import SqlPromises
from application.crashpoints import CRASHPOINTS
from domain import idempotency
from domain.attempts import POLL_LADDER
from domain.channels import Method
from domain.orders import OrderStatus
from tests.integration.deaths import (
    ALIPAY,
    BUSY,
    LEASED,
    SCENARIOS,
    SWEEPS,
    WECHAT,
    Story,
    ended,
    numbered,
    unanswered,
    web_dies_at,
)
from tests.integration.house import House, eventually, standing
from tests.integration.test_sharing_deaths import SHARING_DEATHS
from tests.integration.test_statement_deaths import STATEMENT_DEATHS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_house() -> AsyncIterator[House]:
    async with standing() as house:
        await asyncio.gather(*(house.start(name) for name in ("web", "worker", "beat")))
        # Alipay's first repetition of a notice after 12 s instead of 4 min, WeChat Pay's after 0.75 s instead of 15 s.
        await house.stack.control("settings", notice_speed=0.05)
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def house(one_house: House) -> House:
    """The same one for every test, each of which begins with everybody alive."""
    await one_house.whole()
    return one_house


class Stories:
    """Plays each scenario once, whichever test asks for it first."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._played: dict[str, Story] = {}

    async def tell(self, name: str) -> Story:
        if name not in self._played:
            self._played[name] = await SCENARIOS[name].play(self._house, name)
        return self._played[name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stories(one_house: House) -> Stories:
    return Stories(one_house)


async def test_every_crash_point_stands_in_the_source_and_has_a_scenario() -> None:
    calls = []
    for path in Path(str(application.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "crashpoint":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path.name}: a crash point's name is written out"
                calls.append(name.value)
    assert Counter(calls) == Counter(CRASHPOINTS), "each named place is one place in the source"
    assert sorted([*SCENARIOS, *STATEMENT_DEATHS, *SHARING_DEATHS]) == sorted(CRASHPOINTS)


async def test_whom_a_failed_test_has_left_dead_or_about_to_die_lives_again_for_the_next(house: House) -> None:
    await house.kill("beat")
    await house.kill("web")
    await house.start("web", PITAYA_CRASH="order.before_commit:1")
    await house.whole()
    assert all(process.well for process in house.processes.values())
    await house.place()


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_process_killed_there_has_lost_nothing_that_was_acknowledged(
    house: House, stories: Stories, name: str
) -> None:
    story = await stories.tell(name)
    assert story.death.killed_at < story.death.back_at
    assert await house.missing() == []


@pytest.mark.parametrize("name", SCENARIOS)
async def test_after_a_death_there_the_order_ends_as_it_should_and_in_time(
    house: House, stories: Stories, name: str, record_property: Callable[[str, object], None]
) -> None:
    story, scenario = await stories.tell(name), SCENARIOS[name]
    seconds = await ended(house, name, story)
    record_property("seconds", seconds)
    print(f"{name}: recovered after {seconds:.1f} s, promised {scenario.within:g} s")
    assert seconds < scenario.within + BUSY
    told = house.merchant.told(story.order["id"], f"order.{scenario.ends}")
    assert len({webhook_id for webhook_id, _ in told}) == 1, "what comes twice can be recognised"
    assert (await house.stack.order(story.order)).status == scenario.ends
    payments = await house.stack.payments(story.order)
    assert [payment.unattributed for payment in payments] == ([None] if scenario.ends == "paid" else [])


async def test_a_key_whose_call_died_can_be_used_again_after_a_minute(house: House, stories: Stories) -> None:
    """The call behind it is repeated, and finds what the dead one had done."""
    number, key = secrets.token_hex(12), {"Idempotency-Key": secrets.token_hex(8)}
    body = {"merchant_order_no": number, "amount": 100, "currency": "CNY", "subject": "x"}

    async def place() -> httpx.Response:
        headers = key | {"Authorization": f"Bearer {house.stack.merchant.api_key}"}
        return await house.stack.http.post(f"{house.stack.web}/v1/orders", json=body, headers=headers)

    async with web_dies_at(house, "order.after_commit") as death:
        await unanswered(place())
    first = await place()
    assert (first.status_code, first.json()["code"]) == (409, "in_progress")
    (order,) = await numbered(house, number)
    await house.sql(
        "UPDATE idempotency SET locked_until = locked_until - $1::interval WHERE key = $2",
        idempotency.RUNNING,
        key["Idempotency-Key"],
    )
    again = await place()
    assert (again.status_code, again.json()["id"]) == (201, order["id"])
    assert death.killed_at < death.back_at


# ── Everybody else, at any time ──────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def customers(house: House, count: int = 3) -> AsyncIterator[list[dict[str, Any]]]:
    """They buy and pay, one order after the other, and repeat what fails. The orders that they have paid."""
    bought: list[dict[str, Any]] = []
    leaving = asyncio.Event()

    async def buy(method: Method) -> None:
        number = secrets.token_hex(12)
        order = await patiently(lambda: house.place(merchant_order_no=number))
        attempt = await patiently(lambda: house.stack.start(order, method))
        await house.stack.pay(attempt, method)
        bought.append(order)

    async def shop(turn: int) -> None:
        while not leaving.is_set():
            await buy((ALIPAY, WECHAT)[turn % 2])
            turn += 1

    tasks = [asyncio.create_task(shop(turn)) for turn in range(count)]
    try:
        yield bought
    finally:
        leaving.set()
        await asyncio.gather(*tasks)


async def patiently(call: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        try:
            return await call()
        except (httpx.TransportError, AssertionError):  # nobody there, or an answer that says to try again
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def sold(bought: list[dict[str, Any]], more: int) -> None:
    wanted = len(bought) + more
    await eventually(lambda: len(bought) >= wanted, 60, f"{wanted} orders are sold")


async def kill_and_wipe_valkey(house: House) -> None:
    with redis.Redis.from_url(house.valkey.url()) as client:
        client.flushall()
    await house.kill("valkey")
    shutil.rmtree(house.valkey.home / "appendonlydir")


@pytest.mark.parametrize("victim", ["worker", "postgres", "web", "beat", "valkey"])
async def test_kill_9_under_load_loses_nothing_and_life_goes_on(house: House, victim: str) -> None:
    async with customers(house) as bought:
        await sold(bought, 3)
        if victim == "valkey":
            await kill_and_wipe_valkey(house)
        else:
            await house.kill(victim)
        await asyncio.sleep(0.5)  # customers come while nobody is there
        await house.start(victim)
        await sold(bought, 6)
    healed = time.monotonic()
    # What a notice could not tell, the channel's repetition or the poll does.
    within = POLL_LADDER[0] + POLL_LADDER[1] + SWEEPS["check_attempts"] + BUSY

    async def all_paid() -> bool:
        return {(await house.stack.order(order)).status for order in bought} == {OrderStatus.PAID}

    await eventually(all_paid, within, "every order of the load is paid")
    print(f"{victim}: the last of {len(bought)} orders was paid {time.monotonic() - healed:.1f} s after the load")
    assert await house.missing() == []
    assert await unseen(house) == []


async def unseen(house: House) -> list[dict[str, Any]]:
    """Events to be told that are neither delivered nor visibly due: to be fanned out, or to be tried in time.

    The merchant has no endpoints: its orders name where they are told, its settlements are told nowhere.
    """
    return await house.sql(
        "SELECT e.id, d.status, d.next_at FROM event e LEFT JOIN delivery d ON d.event_id = e.id WHERE e.announced"
        " AND e.notify_url IS NOT NULL AND NOT EXISTS (SELECT FROM outbox WHERE event_id = e.id)"
        " AND (d.status = 'delivered' OR d.status = 'due' AND d.next_at > now() - $1::interval) IS NOT TRUE",
        timedelta(seconds=BUSY),
    )


async def test_when_the_dust_has_settled_every_promise_holds(house: House) -> None:
    """What was claimed by the dead is due again after a lease; then nothing is left, and nothing was done twice."""

    async def nothing_waits() -> bool:
        return not await house.sql("SELECT FROM outbox UNION ALL SELECT FROM delivery WHERE status = 'due'")

    await eventually(nothing_waits, LEASED + BUSY, "nothing is left to do")
    assert await house.missing() == []
    again = {order: told for (order, _), told in house.merchant.arrivals.items() if len({id_ for id_, _ in told}) != 1}
    assert again == {}
    promises = SqlPromises(house.stack.container.database().engine, lag=timedelta(seconds=BUSY))
    assert await promises.broken() == []
