"""Notifications: merchants' endpoints, deliveries to them, and when to try again (Standard Webhooks 1.0)."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit

from domain.channels import Mode
from domain.errors import Conflict
from domain.events import Event, with_event
from domain.states import Table, step
from domain.times import rfc3339

# Seconds before each try; after the last one the delivery is exhausted and stays visible. Dense at first, since a
# payer is waiting at the counter; a day and more at the end, to outlive an outage. Each is spread by ±10 %.
SCHEDULE = (0, 5, 30, 120, 600, 1_800, 3_600, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
# How long a claimed try may stay unanswered before another worker takes it. Longer than the courier's deadline.
LEASE = timedelta(seconds=60)
# A merchant's server may ask for more time (Retry-After), but not for ever: an hour at most.
LONGEST_RETRY_AFTER = timedelta(hours=1)


class Disabled(StrEnum):
    """Why nothing is sent to an endpoint any more."""

    MERCHANT = "merchant"  # its merchant switched it off
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # five days of failures and nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a merchant wants its events. Without a ``url`` it stands for the notify_url that an order may name.

    ``sealed`` is the signing secret as a Vault's ciphertext; while a rotation lasts, the previous one signs too.
    No ``event_types`` means every type. ``enabled_at``: since when events are sent to it.
    """

    id: str
    merchant_id: str
    mode: Mode
    url: str | None
    sealed: bytes = field(repr=False)
    created_at: datetime
    event_types: frozenset[str] = frozenset()
    previous_sealed: bytes | None = field(default=None, repr=False)
    previous_until: datetime | None = None
    enabled: bool = True
    enabled_at: datetime | None = None
    disabled: Disabled | None = None
    disabled_at: datetime | None = None
    revision: int = 0
    events: tuple[Event, ...] = ()

    def target(self, event: Event) -> str | None:
        """The address this event goes to, or None."""
        if not self.enabled or (self.event_types and event.type not in self.event_types):
            return None
        return self.url or event.notify_url

    def lane(self, url: str) -> str:
        """What shares tries in flight and a circuit: the endpoint, or each server that orders' notify_urls name."""
        if self.url is not None:
            return self.id
        server = urlsplit(url).netloc.lower()
        return f"{self.id}/{hashlib.sha256(server.encode()).hexdigest()[:16]}"

    def switched(self, now: datetime, *, enabled: bool) -> Self:
        """By its merchant or an operator. Switched on, it gets what happens from now on; the rest can be resent."""
        if enabled == self.enabled:
            return self
        if enabled:
            return replace(self, enabled=True, enabled_at=now, disabled=None, disabled_at=None)
        return replace(self, enabled=False, disabled=Disabled.MERCHANT, disabled_at=now)

    def given_up(self, reason: Disabled, now: datetime) -> Self:
        """By ourselves: its merchant hears of it through an event, at its other endpoints or in /v1/events.

        What stands for orders' notify_urls is never given up, since one order's address says nothing of another's.
        """
        if not self.enabled or self.url is None:
            return self
        off = replace(self, enabled=False, disabled=reason, disabled_at=now)
        return off._next(now, "webhook_endpoint.disabled", announced=True)

    def tested(self, now: datetime) -> Self:
        """A ``webhook.test`` event for this endpoint alone, whatever its types. Raises Conflict where none can go."""
        if self.url is None:
            raise Conflict("this endpoint has no address of its own", code="endpoint_without_url")
        self.check_enabled()
        return self._next(now, "webhook.test", announced=False)

    def check_enabled(self) -> None:
        """Raises Conflict for one that is switched off."""
        if not self.enabled:
            raise Conflict("this endpoint is disabled: enable it first", code="endpoint_disabled")

    def _next(self, now: datetime, type_: str, *, announced: bool) -> Self:
        return with_event(self, type_, now, announced=announced)

    def snapshot(self) -> dict[str, Any]:
        """The endpoint as its merchant sees it, without the secret."""
        return {
            "id": self.id,
            "object": "webhook_endpoint",
            "url": self.url,
            "event_types": sorted(self.event_types),
            "enabled": self.enabled,
            "disabled_reason": str(self.disabled) if self.disabled else None,
            "disabled_at": rfc3339(self.disabled_at) if self.disabled_at else None,
            "previous_secret_until": rfc3339(self.previous_until) if self.previous_until else None,
            "created_at": rfc3339(self.created_at),
        }


class DeliveryStatus(StrEnum):
    DUE = "due"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"


DELIVERY_TRANSITIONS: Table[DeliveryStatus] = {
    DeliveryStatus.DUE: frozenset(DeliveryStatus),
    # Someone asks for it again: the same row, so that one event has one webhook-id at an endpoint for ever.
    DeliveryStatus.DELIVERED: frozenset({DeliveryStatus.DUE}),
    DeliveryStatus.EXHAUSTED: frozenset({DeliveryStatus.DUE}),
    DeliveryStatus.CANCELLED: frozenset({DeliveryStatus.DUE}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one try: a status code, or an error when there was none. ``body`` is a short excerpt for people."""

    status_code: int | None = None
    error: str | None = None
    body: str = ""
    retry_after: timedelta | None = None
    duration_ms: int = 0

    @property
    def accepted(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint. ``event_id`` is the webhook-id of every try. Unique by the two.

    ``in_flight``: claimed for a try that has not come back; ``next_at`` is then the end of its lease.
    ``tries_before``: how many there were when it was last asked for again; the schedule begins after them.
    """

    id: str
    event_id: str
    endpoint_id: str
    merchant_id: str
    mode: Mode
    url: str
    lane: str
    created_at: datetime
    next_at: datetime | None
    status: DeliveryStatus = DeliveryStatus.DUE
    tries: int = 0
    tries_before: int = 0
    in_flight: bool = False

    @classmethod
    def of(cls, event: Event, endpoint: Endpoint, url: str, *, id: str, now: datetime) -> Self:
        """Due at once."""
        return cls(
            id=id,
            event_id=event.id,
            endpoint_id=endpoint.id,
            merchant_id=event.merchant_id,
            mode=event.mode,
            url=url,
            lane=endpoint.lane(url),
            created_at=now,
            next_at=now,
        )

    def leased(self, now: datetime) -> Self:
        """Claimed for one try. If the worker dies, another takes it when the lease ends, under the same webhook-id."""
        return replace(self, tries=self.tries + 1, next_at=now + LEASE, in_flight=True)

    def answered(self, answer: Answer, now: datetime) -> Self:
        """After a try: delivered on 2xx, cancelled on 410 Gone, else due again, or exhausted after the last."""
        if answer.accepted:
            return self._to(DeliveryStatus.DELIVERED)
        if answer.status_code == 410:
            return self._to(DeliveryStatus.CANCELLED)
        rung = self.tries - self.tries_before
        if rung >= len(SCHEDULE):
            return self._to(DeliveryStatus.EXHAUSTED)
        wait = max(self._spread(SCHEDULE[rung]), min(answer.retry_after or timedelta(0), LONGEST_RETRY_AFTER))
        return replace(self._to(DeliveryStatus.DUE), next_at=now + wait)

    def again(self, now: datetime) -> Self:
        """Someone asks for it once more: due now, with the whole schedule before it. One in flight is on its way."""
        if self.in_flight:
            return self
        return replace(self._to(DeliveryStatus.DUE), next_at=now, tries_before=self.tries)

    def cancelled(self) -> Self:
        """The endpoint is gone or disabled."""
        return self._to(DeliveryStatus.CANCELLED)

    def snapshot(self) -> dict[str, Any]:
        """The delivery as its merchant sees it."""
        return {
            "id": self.id,
            "object": "delivery",
            "event_id": self.event_id,
            "endpoint_id": self.endpoint_id,
            "url": self.url,
            "status": str(self.status),
            "created_at": rfc3339(self.created_at),
            "next_at": rfc3339(self.next_at) if self.next_at else None,
            "tries": self.tries,
        }

    def _to(self, status: DeliveryStatus) -> Self:
        status = step("delivery", DELIVERY_TRANSITIONS, self.status, status)
        return replace(self, status=status, next_at=None, in_flight=False)

    def _spread(self, seconds: int) -> timedelta:
        # Jitter from a digest, not from chance: the same try always waits the same, which a simulation can replay.
        byte = hashlib.sha256(f"{self.id}|{self.tries}".encode()).digest()[0]
        return timedelta(seconds=seconds * (1 - JITTER + 2 * JITTER * byte / 255))
