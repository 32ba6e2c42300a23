"""A merchant's webhook endpoints: add, switch, test, rotate the secret, show the secret."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from application.give_up_endpoint import cancel_due
from application.ports.storage import AlreadyExists, UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Hints, Ids, Vault, endpoint_context
from domain.actors import Actor
from domain.channels import Mode
from domain.errors import Conflict
from domain.events import Event
from domain.merchants import Caller
from domain.notifications import Delivery, Endpoint
from domain.webhooks import SECRET_LENGTH, encode_secret

# How long the previous secret goes on signing beside the new one.
ROTATION = timedelta(hours=24)
MOST = 16


def new_secret(vault: Vault, ids: Ids, endpoint_id: str) -> bytes:
    """A fresh signing secret, sealed for this endpoint."""
    return vault.seal(endpoint_context(endpoint_id), ids.token(SECRET_LENGTH).encode())


def nameless_endpoint(vault: Vault, ids: Ids, merchant_id: str, mode: Mode, now: datetime) -> Endpoint:
    """The one without an address of its own: it signs what goes to the notify_url that an order names."""
    endpoint_id = ids.new("whe")
    sealed = new_secret(vault, ids, endpoint_id)
    return Endpoint(id=endpoint_id, merchant_id=merchant_id, mode=mode, url=None, sealed=sealed, created_at=now)


@dataclass(frozen=True, slots=True)
class AddEndpoint:
    """Register an address. ``check_url`` raises InvalidRequest for one that we would never connect to."""

    unit_of_work: UnitOfWorkFactory
    vault: Vault
    clock: Clock
    ids: Ids
    check_url: Callable[[str], None]

    async def __call__(self, caller: Caller, url: str, event_types: frozenset[str] = frozenset()) -> Endpoint:
        self.check_url(url)
        now = self.clock.now()
        endpoint_id = self.ids.new("whe")
        endpoint = Endpoint(
            id=endpoint_id,
            merchant_id=caller.merchant_id,
            mode=caller.mode,
            url=url,
            sealed=new_secret(self.vault, self.ids, endpoint_id),
            created_at=now,
            enabled_at=now,
            event_types=event_types,
        )
        try:
            async with self.unit_of_work() as uow:
                if len(await uow.endpoints.of_merchant(caller.merchant_id, caller.mode)) >= MOST:
                    raise Conflict(f"a merchant has at most {MOST} endpoints", code="too_many_endpoints")
                await uow.endpoints.add(endpoint)
        except AlreadyExists:
            return await self._earlier(caller, endpoint)
        return endpoint

    async def _earlier(self, caller: Caller, wanted: Endpoint) -> Endpoint:
        async with self.unit_of_work() as uow:
            standing = await uow.endpoints.of_merchant(caller.merchant_id, caller.mode)
        earlier = next(endpoint for endpoint in standing if endpoint.url == wanted.url)
        if earlier.event_types != wanted.event_types:
            raise Conflict("this address is registered with other event types", code="endpoint_exists", pointer="/url")
        return earlier


@dataclass(frozen=True, slots=True)
class KeepEndpoints:
    """What a merchant does with the endpoints it has. Another's endpoint is NotFound."""

    unit_of_work: UnitOfWorkFactory
    vault: Vault
    clock: Clock
    ids: Ids
    hints: Hints

    async def all(self, caller: Caller) -> Sequence[Endpoint]:
        async with self.unit_of_work() as uow:
            return await uow.endpoints.of_merchant(caller.merchant_id, caller.mode)

    async def get(self, caller: Caller, endpoint_id: str) -> Endpoint:
        async with self.unit_of_work() as uow:
            return caller.own(await uow.endpoints.get(endpoint_id))

    async def switch(self, caller: Caller, endpoint_id: str, *, enabled: bool, by: Actor | None = None) -> Endpoint:
        """On or off. What is due for one that is switched off is cancelled; on again, it can be resent."""
        async with self.unit_of_work() as uow:
            standing = caller.own(await uow.endpoints.lock(endpoint_id))
            endpoint = standing.switched(self.clock.now(), enabled=enabled)
            if endpoint != standing:
                await uow.endpoints.save(endpoint)
                action = "webhook_endpoint.enabled" if enabled else "webhook_endpoint.disabled"
                await self._record(uow, by or caller.actor, action, endpoint)
                await uow.circuits.close([endpoint.lane(endpoint.url)] if endpoint.url else [])
        if not enabled:
            await cancel_due(self.unit_of_work, endpoint.id)
        return endpoint

    async def rotate(self, caller: Caller, endpoint_id: str) -> Endpoint:
        """A new secret at once; the previous one signs beside it for a day. One rotation at a time."""
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            endpoint = caller.own(await uow.endpoints.lock(endpoint_id))
            if endpoint.previous_until is not None and now < endpoint.previous_until:
                raise Conflict("the last rotation of this secret has not ended yet", code="rotation_in_progress")
            sealed = new_secret(self.vault, self.ids, endpoint.id)
            endpoint = replace(endpoint, sealed=sealed, previous_sealed=endpoint.sealed, previous_until=now + ROTATION)
            await uow.endpoints.save(endpoint)
            await self._record(uow, caller.actor, "webhook_endpoint.secret_rotated", endpoint)
        return endpoint

    async def end_rotation(self, caller: Caller, endpoint_id: str) -> Endpoint:
        """The previous secret signs no more, from now on: everybody knows the new one, or somebody knew the old one."""
        async with self.unit_of_work() as uow:
            endpoint = caller.own(await uow.endpoints.lock(endpoint_id))
            if endpoint.previous_sealed is not None:
                endpoint = replace(endpoint, previous_sealed=None, previous_until=None)
                await uow.endpoints.save(endpoint)
                await self._record(uow, caller.actor, "webhook_endpoint.rotation_ended", endpoint)
        return endpoint

    async def test(self, caller: Caller, endpoint_id: str, *, by: Actor | None = None) -> Event:
        """Send it a ``webhook.test`` event on the way that every event takes. Returns the event."""
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            endpoint = caller.own(await uow.endpoints.lock(endpoint_id)).tested(now)
            (event,) = endpoint.events
            await uow.endpoints.save(endpoint)
            assert endpoint.url is not None
            await self._record(uow, by or caller.actor, "webhook_endpoint.tested", endpoint, event_id=event.id)
            await uow.deliveries.add(Delivery.of(event, endpoint, endpoint.url, id=self.ids.new("dlv"), now=now))
        await self.hints.work("deliver_notifications")
        return event

    async def secret(self, caller: Caller, endpoint_id: str) -> str:
        """The current signing secret as ``whsec_…``."""
        endpoint = await self.get(caller, endpoint_id)
        return encode_secret(self.vault.open(endpoint_context(endpoint.id), endpoint.sealed))

    async def _record(self, uow: UnitOfWork, actor: Actor, action: str, endpoint: Endpoint, **more: str) -> None:
        shown = {"url": endpoint.url, "enabled": endpoint.enabled, "mode": str(endpoint.mode)}
        id_, now = self.ids.new("aud"), self.clock.now()
        record = actor.did(action, endpoint.id, id=id_, at=now, merchant_id=endpoint.merchant_id, after=shown | more)
        await uow.audit.add(record)
