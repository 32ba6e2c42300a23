"""A world for each test."""

import pytest

from tests.unit.adapters.alipay.world import World


@pytest.fixture
def world() -> World:
    return World()
