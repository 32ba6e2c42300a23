"""What every test needs and takes long to make is made once a run: parsed private keys, compiled templates."""

from collections.abc import Iterator
from functools import lru_cache

import pytest
import structlog
from cryptography.hazmat.primitives.serialization import load_der_private_key

from adapters import channel_wire
from adapters.inbound.web import cashier, pages
from adapters.inbound.web.assets import Assets


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> None:
    """Drawing one in colours takes half a second."""
    *before, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, plain])


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel_wire, "load_der_private_key", lru_cache(load_der_private_key))
        patch.setattr(cashier, "Assets", lru_cache(Assets))
        patch.setattr(pages, "_environment", lru_cache(pages._environment))
        yield
