"""Merchants' servers in memory: they check who signs, remember what they got, and fail in every usual way."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.events import Event
from domain.notifications import Answer
from tests.fakes.faults import Faults


class CourierFault(StrEnum):
    UNREACHABLE = "unreachable"  # it never arrives
    REFUSED = "refused"  # it arrives and is answered with 500
    GONE = "gone"  # 410: stop it
    LOST_ANSWER = "lost_answer"  # it arrives and counts, and nobody tells us
    SLOW = "slow"  # it arrives after a while


@dataclass
class FakeMerchantServer:
    """What a careful merchant keeps: each webhook-id once, however often it came. ``secret`` None takes any.

    ``answer`` is what it says to what is rightly signed; only what it accepts counts.
    """

    secret: bytes | None = None
    answer: Answer = field(default_factory=lambda: Answer(status_code=200))
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrivals: list[str] = field(default_factory=list)
    signed_by: list[tuple[bytes, ...]] = field(default_factory=list)

    def paid_amounts(self) -> list[int]:
        """``paid_amount`` of each distinct order.paid event, in the order of their first arrival."""
        return [body["data"]["paid_amount"] for body in self.bodies.values() if body["type"] == "order.paid"]


class FakeCourier:
    """Delivers to ``servers`` by url, created on first use. ``open_here`` says whether a transaction is open."""

    def __init__(self, open_here: Callable[[], bool] = lambda: False, *, slow_seconds: float = 5.0) -> None:
        self.servers: dict[str, FakeMerchantServer] = {}
        self.faults: Faults[CourierFault] = Faults()
        self._open_here = open_here
        self._slow_seconds = slow_seconds

    def server(self, url: str) -> FakeMerchantServer:
        return self.servers.setdefault(url, FakeMerchantServer())

    async def deliver(self, url: str, event: Event, secrets: Sequence[bytes], *, now: datetime) -> Answer:
        assert not self._open_here(), "never call a merchant inside a unit of work"
        assert secrets, "a notification is signed"
        fault = self.faults.take(url)
        await asyncio.sleep(self._slow_seconds if fault is CourierFault.SLOW else 0)
        if fault is CourierFault.UNREACHABLE:
            return Answer(error="connection_refused")
        server = self.server(url)
        server.arrivals.append(event.id)
        server.signed_by.append(tuple(secrets))
        if fault is CourierFault.REFUSED:
            return Answer(status_code=500, body="try later")
        if fault is CourierFault.GONE:
            return Answer(status_code=410)
        if server.secret is not None and server.secret not in secrets:
            return Answer(status_code=401, body="bad signature")
        if server.answer.accepted:
            body = event.body()
            assert server.bodies.setdefault(event.id, body) == body, "one webhook-id, one body"
        return Answer(error="timeout") if fault is CourierFault.LOST_ANSWER else server.answer
