"""The API on fakes, for a real server to load: `granian tests.integration.http.served:app`."""

import asyncio

from tests.unit.adapters.http.shop import Shop

app = asyncio.run(Shop.open()).app
