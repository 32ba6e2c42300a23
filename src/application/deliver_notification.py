"""Bring an event to a merchant's endpoint, again and again until it is taken or the schedule ends."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from application.batch import Batch
from application.crashpoints import crashpoint
from application.give_up_endpoint import give_up
from application.ports.storage import Moved, UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Courier, Vault, endpoint_context
from application.together import together
from domain.circuits import Circuit
from domain.events import Event
from domain.notifications import Answer, Delivery, DeliveryStatus, Disabled, Endpoint

STORED_WITHIN = 0.003  # seconds: answers come one by one, and are stored together


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a claimed delivery, tried at ``at``. No answer: its endpoint is disabled."""

    claimed: Delivery
    answer: Answer | None
    at: datetime

    def outcome(self, current: Delivery, now: datetime) -> Delivery:
        """The delivery after it. If the lease ran out, somebody else tries now: then only our success still counts."""
        if current.status is not DeliveryStatus.DUE:
            return current
        if self.answer is None:
            return current.cancelled()
        if self.answer.accepted or current.tries == self.claimed.tries:
            return current.answered(self.answer, now)
        return current


@dataclass(frozen=True, slots=True)
class Mail:
    """What the deliveries of one sweep bring, and to whom. Each secret is opened once, when it is first needed."""

    events: Mapping[str, Event]
    endpoints: Mapping[str, Endpoint]
    secrets: dict[str, Sequence[bytes]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class DeliverNotification:
    """One try of one claimed delivery. A crash in it costs one lease; the next try carries the same webhook-id.

    Tries side by side share their storing, so that the database sees a few transactions for many.
    """

    unit_of_work: UnitOfWorkFactory
    courier: Courier
    vault: Vault
    clock: Clock
    storing: Batch[Tried, Disabled | None] = field(
        default_factory=lambda: Batch(STORED_WITHIN), init=False, repr=False, compare=False
    )

    async def __call__(self, claimed: Delivery, mail: Mail) -> None:
        crashpoint("delivery.claimed")
        event, endpoint = mail.events[claimed.event_id], mail.endpoints[claimed.endpoint_id]
        now = self.clock.now()
        if not endpoint.enabled:
            await self.storing(Tried(claimed, None, now), self._store)
            return
        secrets = mail.secrets.get(endpoint.id) or mail.secrets.setdefault(endpoint.id, self._secrets(endpoint, now))
        answer = await self.courier.deliver(claimed.url, event, secrets, now=now)
        crashpoint("delivery.sent")
        reason = await self.storing(Tried(claimed, answer, now), self._store)
        if reason is not None:
            await give_up(self.unit_of_work, endpoint.id, reason, self.clock.now())

    async def _store(self, tried: Sequence[Tried]) -> Sequence[Disabled | None]:
        """For each, why its endpoint is to be given up, or None."""
        with suppress(Moved):
            # Whose endpoint fails has a circuit to lock first. The others are as they were claimed, nearly always.
            if all(one.answer and one.answer.accepted for one in tried):
                return await self._stored(tried, watching=True)
        return await self._stored(tried, watching=False)

    async def _stored(self, tried: Sequence[Tried], *, watching: bool) -> Sequence[Disabled | None]:
        now = self.clock.now()
        current = {one.claimed.id: one.claimed for one in tried}
        async with self.unit_of_work() as uow:
            if watching:
                await uow.deliveries.watch([one.claimed for one in tried])
            circuits = await self._mind(uow, tried, now)
            if not watching:
                current = await uow.deliveries.lock(current)
            for one in tried:
                delivery = one.outcome(current[one.claimed.id], now)
                await uow.deliveries.save(delivery, one.answer, one.at)
                current[delivery.id] = delivery
        return [self._verdict(one, circuits.get(one.claimed.lane), now) for one in tried]

    async def _mind(self, uow: UnitOfWork, tried: Sequence[Tried], now: datetime) -> dict[str, Circuit]:
        """Remember who failed and forget who works. Where all goes well, nothing is read and nothing locked."""
        works = {one.claimed.lane for one in tried if one.answer and one.answer.accepted}
        failed = [one.claimed for one in tried if one.answer and one.claimed.lane not in works]
        if works:
            await uow.circuits.close(works)
        if not failed:
            return {}
        circuits = await uow.circuits.lock({each.lane for each in failed})
        for each in failed:
            standing = circuits.get(each.lane)
            circuits[each.lane] = standing.failed(now) if standing else Circuit.first(each.lane, each.endpoint_id, now)
        await uow.circuits.save(list(circuits.values()))
        return circuits

    @staticmethod
    def _verdict(one: Tried, circuit: Circuit | None, now: datetime) -> Disabled | None:
        if one.answer is not None and one.answer.status_code == 410:
            return Disabled.GONE
        return Disabled.FAILING if circuit is not None and circuit.hopeless(now) else None

    def _secrets(self, endpoint: Endpoint, now: datetime) -> list[bytes]:
        """The current signing secret, and during a rotation the previous one after it."""
        context = endpoint_context(endpoint.id)
        secrets = [self.vault.open(context, endpoint.sealed)]
        if endpoint.previous_sealed and endpoint.previous_until and now < endpoint.previous_until:
            secrets.append(self.vault.open(context, endpoint.previous_sealed))
        return secrets


@dataclass(frozen=True, slots=True)
class DeliverDueNotifications:
    """One sweep: claim what is due, a few of each lane so that a slow one cannot crowd out the rest, and try it."""

    unit_of_work: UnitOfWorkFactory
    deliver: DeliverNotification
    clock: Clock
    batch: int = 100
    per_endpoint: int = 4

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            due = await uow.deliveries.claim_due(self.clock.now(), limit=self.batch, per_endpoint=self.per_endpoint)
        await self.try_all(due)
        return len(due)

    async def try_all(self, claimed: Sequence[Delivery]) -> None:
        """One try of each of these, side by side."""
        if claimed:
            async with self.unit_of_work() as uow:
                events = await uow.events.many({delivery.event_id for delivery in claimed})
                endpoints = await uow.endpoints.many({delivery.endpoint_id for delivery in claimed})
            await together(partial(self.deliver, mail=Mail(events, endpoints)), claimed)
