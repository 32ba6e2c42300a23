"""One shop a test."""

import asyncio

import pytest

from tests.unit.adapters.http.shop import Shop


@pytest.fixture
async def shop() -> Shop:
    return await Shop.open()


@pytest.fixture(scope="module")
def quiet_shop() -> Shop:
    """One shop for all tests of a module that change nothing."""
    return asyncio.run(Shop.open())
