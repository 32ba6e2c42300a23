"""Fake repositories of what comes in and goes out: notices, events, outbox, deliveries, idempotency keys."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.channels import ChannelNotice
from domain.circuits import Circuit
from domain.errors import NotFound
from domain.events import Event
from domain.idempotency import RUNNING, IdempotencyKey, IdempotentCall
from domain.kept_notices import KEPT_AN_HOUR, KeptNotice, RefusedNotice
from domain.notifications import Answer, Delivery, DeliveryStatus, Endpoint
from tests.fakes.rows import CallRow, StoredNotice, Tables, Try, call_id
from tests.fakes.storage import Transaction


class FakeNotices:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def add(
        self,
        account_id: str,
        notice: ChannelNotice,
        *,
        body: bytes,
        outcome: str,
        received_at: datetime,
        fresh: bool = False,
    ) -> None:
        await self._transaction.statement("notices.add")
        row = StoredNotice(account_id, notice, body, outcome, received_at)
        await self._transaction.insert(self._tables.notices, row, ignoring=None if fresh else "pk_notice")

    async def get(self, account_id: str, notice_id: str) -> KeptNotice:
        await self._transaction.statement("notices.get")
        found = self._transaction.get(self._tables.notices, (account_id, notice_id))
        if found is None:
            raise NotFound(f"no notice {notice_id} of {account_id}")
        return KeptNotice(
            account_id=account_id, headers=found.notice.headers, body=found.body, received_at=found.received_at
        )

    async def refuse(self, notice: RefusedNotice) -> bool:
        await self._transaction.statement("notices.refuse")
        since = notice.received_at - timedelta(hours=1)
        rows = self._transaction.rows(self._tables.refused_notices)
        if sum(row.account_id == notice.account_id and row.received_at > since for row in rows) >= KEPT_AN_HOUR:
            return False
        return await self._transaction.insert(self._tables.refused_notices, notice)

    async def refused(self, notice_id: str) -> RefusedNotice:
        await self._transaction.statement("notices.refused")
        found = self._transaction.get(self._tables.refused_notices, notice_id)
        if found is None:
            raise NotFound(f"no refused notice {notice_id}")
        return found

    async def refusals(self, *, limit: int) -> Sequence[RefusedNotice]:
        await self._transaction.statement("notices.refusals")
        rows = self._transaction.rows(self._tables.refused_notices)
        return sorted(rows, key=lambda row: (row.received_at, row.id), reverse=True)[:limit]

    async def purge_refused(self, before: datetime) -> int:
        await self._transaction.statement("notices.purge_refused")
        old = [row.id for row in self._transaction.rows(self._tables.refused_notices) if row.received_at < before]
        for id_ in old:
            await self._transaction.delete(self._tables.refused_notices, id_)
        return len(old)


class FakeEvents:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def get(self, event_id: str) -> Event:
        await self._transaction.statement("events.get")
        row = self._transaction.get(self._tables.events, event_id)
        if row is None:
            raise NotFound(f"no event {event_id}")
        return row.event

    async def many(self, event_ids: Collection[str]) -> Mapping[str, Event]:
        await self._transaction.statement("events.many")
        rows = [self._transaction.get(self._tables.events, event_id) for event_id in sorted(event_ids)]
        return {row.event.id: row.event for row in rows if row is not None}

    async def about(self, object_ids: Collection[str]) -> Sequence[Event]:
        await self._transaction.statement("events.about")
        rows = [row for row in self._transaction.rows(self._tables.events) if row.event.object_id in object_ids]
        return [row.event for row in sorted(rows, key=lambda row: (row.xid, row.row))]


class FakeOutbox:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def claim(self, *, limit: int) -> Sequence[Event]:
        await self._transaction.statement("outbox.claim")
        claimed: list[Event] = []
        for row in sorted(self._transaction.rows(self._tables.outbox), key=lambda row: row.row):
            if len(claimed) < limit and self._transaction.take(self._tables.outbox, row.event.id):
                claimed.append(row.event)
        return claimed

    async def done(self, events: Sequence[Event]) -> None:
        await self._transaction.statement("outbox.done")
        for event in events:
            await self._transaction.delete(self._tables.outbox, event.id)


class FakeDeliveries:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def add(self, delivery: Delivery) -> None:
        await self._transaction.statement("deliveries.add")
        await self._transaction.insert(self._tables.deliveries, delivery, ignoring="uq_delivery_event_endpoint")

    async def claim_due(self, now: datetime, *, limit: int, per_endpoint: int) -> Sequence[Delivery]:
        await self._transaction.statement("deliveries.claim_due")
        claimed: list[Delivery] = []
        circuits = {row.lane: row for row in self._transaction.rows(self._tables.circuits)}
        taken: dict[str, int] = {}
        for row in self._transaction.rows(self._tables.deliveries):
            if row.status is DeliveryStatus.DUE and row.in_flight and row.next_at is not None and row.next_at > now:
                taken[row.lane] = taken.get(row.lane, 0) + 1
        due = [
            (row.next_at, row.id, row)
            for row in self._transaction.rows(self._tables.deliveries)
            if row.status is DeliveryStatus.DUE and row.next_at is not None and row.next_at <= now
        ]
        for _, _, delivery in sorted(due, key=lambda each: each[:2]):
            if len(claimed) == limit:
                break
            lane = delivery.lane
            room = circuits[lane].room(now, per_endpoint) if lane in circuits else per_endpoint
            if taken.get(lane, 0) < room and self._transaction.take(self._tables.deliveries, delivery.id):
                taken[lane] = taken.get(lane, 0) + 1
                claimed.append(delivery.leased(now))
                await self._transaction.update(self._tables.deliveries, claimed[-1])
        return claimed

    async def lock(self, delivery_ids: Collection[str]) -> dict[str, Delivery]:
        await self._transaction.statement("deliveries.lock")
        locked: dict[str, Delivery] = {}
        for id_ in sorted(delivery_ids):
            delivery = await self._transaction.lock(self._tables.deliveries, id_)
            if delivery is not None:
                locked[id_] = delivery
        return locked

    async def watch(self, deliveries: Sequence[Delivery]) -> None:
        rows = [(self._tables.deliveries, delivery.id, delivery) for delivery in deliveries]
        self._transaction.watch(*sorted(rows, key=lambda row: row[1]), by_value=True)

    async def save(self, delivery: Delivery, answer: Answer | None, at: datetime) -> None:
        await self._transaction.statement("deliveries.save")
        await self._transaction.update(self._tables.deliveries, delivery)
        if answer is not None:
            row = Try(delivery.id, delivery.tries, at, answer, self._transaction.engine.next_row())
            await self._transaction.insert(self._tables.tries, row)

    async def cancel_due(self, endpoint_id: str, *, limit: int) -> int:
        await self._transaction.statement("deliveries.cancel_due")
        cancelled = 0
        for row in sorted(self._transaction.rows(self._tables.deliveries), key=lambda row: row.id):
            theirs = row.endpoint_id == endpoint_id and row.status is DeliveryStatus.DUE
            if theirs and cancelled < limit and self._transaction.take(self._tables.deliveries, row.id):
                await self._transaction.update(self._tables.deliveries, row.cancelled())
                cancelled += 1
        return cancelled

    async def missed(
        self, endpoint: Endpoint, since: datetime, until: datetime, *, limit: int
    ) -> Sequence[tuple[Event, Delivery | None]]:
        await self._transaction.statement("deliveries.missed")
        queued = {row.event.id for row in self._transaction.rows(self._tables.outbox)}
        theirs = {
            row.event_id: row
            for row in self._transaction.rows(self._tables.deliveries)
            if row.endpoint_id == endpoint.id
        }
        found: list[tuple[Event, Delivery | None]] = []
        for row in sorted(self._transaction.rows(self._tables.events), key=lambda row: (row.xid, row.row)):
            event, delivery = row.event, theirs.get(row.event.id)
            if (
                (event.merchant_id, event.mode) == (endpoint.merchant_id, endpoint.mode)
                and event.announced
                and since <= event.at < until
                and event.id not in queued
                and replace(endpoint, enabled=True).target(event)
                and (delivery is None or delivery.status in (DeliveryStatus.EXHAUSTED, DeliveryStatus.CANCELLED))
                and len(found) < limit
            ):
                if delivery is not None:
                    await self._transaction.lock(self._tables.deliveries, delivery.id)
                found.append((event, delivery))
        return found


class FakeCircuits:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def lock(self, lanes: Collection[str]) -> dict[str, Circuit]:
        await self._transaction.statement("circuits.lock")
        locked: dict[str, Circuit] = {}
        for lane in sorted(lanes):
            circuit = await self._transaction.lock(self._tables.circuits, lane)
            if circuit is not None:
                locked[lane] = circuit
        return locked

    async def save(self, circuits: Sequence[Circuit]) -> None:
        await self._transaction.statement("circuits.save")
        for circuit in sorted(circuits, key=lambda each: each.lane):
            if not await self._transaction.insert(self._tables.circuits, circuit, ignoring="pk_circuit"):
                await self._transaction.update(self._tables.circuits, circuit)

    async def close(self, lanes: Collection[str]) -> None:
        await self._transaction.statement("circuits.close")
        for lane in sorted(lanes):
            if self._transaction.get(self._tables.circuits, lane) and self._transaction.take(
                self._tables.circuits, lane
            ):
                await self._transaction.delete(self._tables.circuits, lane)


class FakeIdempotentCalls:
    def __init__(self, tables: Tables, transaction: Transaction) -> None:
        self._tables, self._transaction = tables, transaction

    async def claim(self, key: IdempotencyKey, *, now: datetime) -> IdempotentCall | None:
        await self._transaction.statement("idempotency.claim")
        ours = CallRow(IdempotentCall(key=key, locked_until=now + RUNNING), now)
        while not await self._transaction.insert(self._tables.calls, ours, ignoring="pk_idempotency_key"):
            standing = await self._transaction.lock(self._tables.calls, call_id(key))
            if standing is None:
                continue  # released while we waited for its lock
            call = standing.call
            abandoned = call.status is None and call.locked_until <= now
            if not abandoned or call.key.fingerprint != key.fingerprint:
                return call
            await self._transaction.update(self._tables.calls, CallRow(ours.call, standing.created_at))
            return None
        return None

    async def answer(self, key: IdempotencyKey, status: int, body: bytes) -> None:
        await self._transaction.statement("idempotency.answer")
        row = await self._transaction.lock(self._tables.calls, call_id(key))
        if row is not None:
            answered = replace(row, call=replace(row.call, status=status, body=body))
            await self._transaction.update(self._tables.calls, answered)

    async def release(self, key: IdempotencyKey) -> None:
        await self._transaction.statement("idempotency.release")
        await self._transaction.delete(self._tables.calls, call_id(key))

    async def purge(self, before: datetime) -> int:
        await self._transaction.statement("idempotency.purge")
        old = [call_id(row.call.key) for row in self._transaction.rows(self._tables.calls) if row.created_at < before]
        return sum([await self._transaction.delete(self._tables.calls, key) for key in sorted(old)])
