"""What every part of the sandbox shares."""

import asyncio
import time
from dataclasses import dataclass, field

from sandbox.authority import Authority
from sandbox.courier import Courier
from sandbox.faults import Faults
from sandbox.keys import Keys
from sandbox.store import Store


@dataclass(frozen=True)
class World:
    """The state of the box, and the signal that it is about to end."""

    store: Store
    keys: Keys
    faults: Faults
    courier: Courier
    public_url: str
    authority: Authority
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @staticmethod
    def now() -> float:
        return time.time()
