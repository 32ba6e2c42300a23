"""One house and one merchant a test."""

import pytest

from application.open_merchant import OpenedMerchant
from tests.fakes.clock import FakeClock
from tests.fakes.house import House


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def house(clock: FakeClock) -> House:
    return House(clock=clock)


@pytest.fixture
async def merchant(house: House) -> OpenedMerchant:
    return await house.merchant()
