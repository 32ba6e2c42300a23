"""In-memory stand-ins for the world. Each passes the same contract as the real adapter (tests/contracts)."""

from tests.fakes.channel import ChannelFault, FakeChannel, PayerRefused
from tests.fakes.clock import START, FakeClock, FakeLoopClock
from tests.fakes.courier import CourierFault, FakeCourier, FakeMerchantServer
from tests.fakes.database import DatabaseFault, FakeDatabase
from tests.fakes.faults import Faults
from tests.fakes.hints import FakeHints
from tests.fakes.ids import FakeIds
from tests.fakes.vault import FakeVault

__all__ = [
    "START",
    "ChannelFault",
    "CourierFault",
    "DatabaseFault",
    "FakeChannel",
    "FakeClock",
    "FakeCourier",
    "FakeDatabase",
    "FakeHints",
    "FakeIds",
    "FakeLoopClock",
    "FakeMerchantServer",
    "FakeVault",
    "Faults",
    "PayerRefused",
]
