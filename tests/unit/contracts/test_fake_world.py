"""The other fakes keep their contracts too: clocks, ids, vault, courier; and hints can be lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from domain.notifications import Answer
from tests.contracts.clock import ClockContract, IdsContract
from tests.contracts.courier import EVENT, SECRET, WRONG, CourierContract, Received, now
from tests.contracts.progress import ProgressContract
from tests.contracts.vault import VaultContract
from tests.fakes import (
    START,
    CourierFault,
    FakeClock,
    FakeCourier,
    FakeDatabase,
    FakeHints,
    FakeIds,
    FakeLoopClock,
    FakeMerchantServer,
    FakeVault,
)
from tests.fakes.progress import FakeProgress

URL = "https://shop.example/hooks"


class TestFakeClock(ClockContract):
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()


class TestFakeLoopClock(ClockContract):
    @pytest.fixture
    def clock(self) -> FakeLoopClock:
        return FakeLoopClock()


class TestFakeIds(IdsContract):
    @pytest.fixture
    def ids(self) -> FakeIds:
        return FakeIds()


class TestFakeVault(VaultContract):
    @pytest.fixture
    def vault(self) -> FakeVault:
        return FakeVault()


class TestFakeProgress(ProgressContract):
    @pytest.fixture
    def progress(self) -> FakeProgress:
        return FakeProgress()


@dataclass
class FakeCourierDriver:
    courier: FakeCourier = field(default_factory=FakeCourier)
    url: str = URL

    async def answers(self, status: int, *, retry_after: int | None = None) -> None:
        after = None if retry_after is None else timedelta(seconds=retry_after)
        self.courier.server(URL).answer = Answer(status_code=status, retry_after=after)

    async def is_silent(self) -> None:
        self.courier.faults.always = CourierFault.LOST_ANSWER

    async def is_down(self) -> None:
        self.courier.faults.always = CourierFault.UNREACHABLE

    def received(self, secret: bytes) -> Sequence[Received]:
        server = self.courier.server(URL)
        arrivals = zip(server.arrivals, server.signed_by, strict=True)
        return [Received(each, server.bodies[each]) for each, secrets in arrivals if secret in secrets]


class TestFakeCourier(CourierContract):
    @pytest.fixture
    def driver(self) -> FakeCourierDriver:
        return FakeCourierDriver()


def test_a_clock_moves_only_when_told() -> None:
    clock = FakeClock()
    assert clock.now() == clock.now() == START
    assert clock.advance(1.5) == clock.now() == START + timedelta(seconds=1.5)
    clock.set(START)
    assert clock.now() == START


def test_a_clock_refuses_a_time_that_is_not_utc() -> None:
    with pytest.raises(AssertionError):
        FakeClock().set(START.replace(tzinfo=None))


async def test_a_loop_clock_starts_when_first_asked_and_follows_the_loop() -> None:
    clock, loop = FakeLoopClock(), asyncio.get_running_loop()
    assert clock.now() == START
    before = loop.time()
    await asyncio.sleep(0.01)
    assert clock.now() - START >= timedelta(seconds=loop.time() - before - 0.005)


def test_ids_follow_from_the_seed_and_sort_in_the_order_they_were_made() -> None:
    first, second = FakeIds(1), FakeIds(1)
    made = [first.new("ord") for _ in range(500)]
    assert made == [second.new("ord") for _ in range(500)] == sorted(made)
    assert made[0] != FakeIds(2).new("ord")


def test_ids_carry_the_clocks_milliseconds_even_when_it_steps_back() -> None:
    clock = FakeClock()
    ids = FakeIds(clock=clock)
    made = [ids.new("ord")]
    clock.advance(1)
    made.append(ids.new("ord"))
    clock.advance(-1)
    made.append(ids.new("ord"))
    assert made == sorted(made)
    assert made[0][:14] < made[1][:14]


@pytest.mark.parametrize(
    ("fault", "status", "counts"),
    [
        (CourierFault.UNREACHABLE, None, 0),
        (CourierFault.REFUSED, 500, 0),
        (CourierFault.GONE, 410, 0),
        (CourierFault.LOST_ANSWER, None, 1),
    ],
)
async def test_a_merchant_fails_as_asked_and_once(fault: CourierFault, status: int | None, counts: int) -> None:
    courier = FakeCourier()
    courier.faults.once(fault)
    answer = await courier.deliver(URL, EVENT, [SECRET], now=now())
    assert (answer.status_code, answer.accepted, len(courier.server(URL).bodies)) == (status, False, counts)
    assert (await courier.deliver(URL, EVENT, [SECRET], now=now())).accepted
    assert courier.server(URL).paid_amounts() == [100], "however often it came, it counts once"


async def test_a_merchant_refuses_what_its_secret_did_not_sign() -> None:
    courier = FakeCourier()
    courier.servers[URL] = FakeMerchantServer(secret=SECRET)
    assert (await courier.deliver(URL, EVENT, [WRONG], now=now())).status_code == 401
    assert courier.server(URL).bodies == {}


async def test_a_delivery_inside_a_unit_of_work_or_without_a_secret_is_a_bug_and_says_so() -> None:
    database = FakeDatabase()
    courier = FakeCourier(database.open_here)
    with pytest.raises(AssertionError, match="inside a unit of work"):
        async with database.unit_of_work():
            await courier.deliver(URL, EVENT, [SECRET], now=now())
    with pytest.raises(AssertionError, match="signed"):
        await courier.deliver(URL, EVENT, [], now=now())


async def test_hints_are_written_down_or_lost() -> None:
    woken = list[str]()
    hints = FakeHints(woken.append)
    await hints.work("fan_out_events")
    await hints.order_changed("ord_1")
    hints.lost = True
    await hints.work("deliver")
    await hints.order_changed("ord_2")
    assert (hints.jobs, hints.changed_orders, woken) == (["fan_out_events"], ["ord_1"], ["fan_out_events"])
