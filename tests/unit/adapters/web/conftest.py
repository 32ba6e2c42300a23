"""One furnished world a test, and a client of its cashier."""

from collections.abc import AsyncIterator

import pytest
from litestar.testing import AsyncTestClient

from tests.unit.adapters.apps import SharedApp
from tests.unit.adapters.web.world import PUBLIC_URL, World


@pytest.fixture
async def world() -> World:
    return await World().furnish()


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncTestClient[SharedApp]]:
    """A browser of sorts: it keeps cookies and follows no redirect by itself."""
    async with AsyncTestClient(world.app(), base_url=PUBLIC_URL) as client:
        client.follow_redirects = False
        client.headers["accept-language"] = "en"
        yield client
