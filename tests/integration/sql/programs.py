"""Small programs of port operations: three units of work, step by step, drawn by a seed, played on any database.

The fake is played first and says at each step who waits for whom. PostgreSQL is then played by the same steps: what
went on there must go on here with an equal result, and what waited must wait.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from application.ports.storage import AlreadyExists, Moved, UnitOfWork
from domain.channels import ChannelNotice, Method
from domain.errors import NotFound, PitayaError
from domain.events import Event
from domain.idempotency import IdempotencyKey
from domain.notifications import Answer, Delivery, DeliveryStatus
from domain.orders import Order, OrderStatus
from domain.payments import SuspenseItem, Unattributed
from tests.contracts.books import INCOME, PENDING, RECEIVABLE, transfer
from tests.contracts.stage import NOW, Database, Stage, soon

STEPS = 14
WATCH_SECONDS = 0.02  # how long one who should wait is watched
TURNS = 120  # of the loop, after which whoever is not done in the fake waits for another

Deed = Callable[[UnitOfWork, int], Coroutine[Any, Any, Any]]


class Cast:
    """What the programs play with, equal on every database: some of it stored, some to be added, some of it rivals."""

    async def enter(self, database: Database) -> "Cast":
        self.stage = stage = await Stage(database).set()
        self.stored = [await stage.order(f"S-{n}", now=NOW + timedelta(seconds=n)) for n in range(3)]
        self.started = [
            await stage.attempt(order, next_at=NOW + timedelta(seconds=n)) for n, order in enumerate(self.stored)
        ]
        self.endpoint = await stage.endpoint()
        await stage.event(await stage.order("S-told"))
        rivals = stage.new_order("R"), stage.new_order("R"), stage.new_order("N")
        self.orders = [*self.stored, *rivals]
        number = stage.new_attempt(self.stored[0]).number
        self.attempts = [
            stage.new_attempt(self.stored[0], number=number, next_at=NOW + timedelta(seconds=11)),
            stage.new_attempt(self.stored[1], number=number, next_at=NOW + timedelta(seconds=12)),
            stage.new_attempt(self.stored[1], method=Method.ALIPAY_WAP, next_at=NOW + timedelta(seconds=13)),
        ]
        paid = stage.new_payment(self.stored[0], self.started[0], "T-1")
        self.payments = [
            paid,
            replace(paid, id=stage.ids.new("pay"), unattributed=Unattributed.SECOND),
            stage.new_payment(self.stored[0], self.started[0], "T-2"),
        ]
        self.items = [
            SuspenseItem(
                id=stage.ids.new("sus"),
                payment_id=payment.id,
                account_id=payment.account_id,
                mode=payment.mode,
                amount=payment.received,
                reason=Unattributed.LATE,
                created_at=NOW,
            )
            for payment in self.payments
        ]
        keys = [("K", b"1"), ("K", b"2"), ("L", b"1")]
        self.keys = [
            IdempotencyKey(merchant_id=stage.merchant.id, mode=paid.mode, key=key, fingerprint=fingerprint)
            for key, fingerprint in keys
        ]
        async with database.unit_of_work() as uow:  # the accounts are open: opening them is no part of the port
            await uow.ledger.post([transfer("open"), transfer("open-2", credit=INCOME)])
        return self

    def deeds(self) -> dict[str, Deed]:
        names = [name for name in vars(type(self)) if name.startswith("do_")]
        return {name.removeprefix("do_"): getattr(self, name) for name in names}

    # Orders

    async def do_place(self, uow: UnitOfWork, n: int) -> None:
        await uow.orders.add(self.orders[3 + n])

    async def do_look(self, uow: UnitOfWork, n: int) -> Any:
        with suppress(NotFound):
            return await uow.orders.get(self.orders[2 * n].id)
        return None

    async def do_find(self, uow: UnitOfWork, n: int) -> Any:
        with suppress(NotFound):
            return await uow.orders.placed(self.stage.merchant.id, self.orders[0].mode, ("R", "N", "S-0")[n])
        return None

    async def do_close(self, uow: UnitOfWork, n: int) -> Any:
        return await self._move(uow, n, lambda order: order.close("merchant", now=NOW), OrderStatus.PENDING)

    async def do_pay(self, uow: UnitOfWork, n: int) -> Any:
        method = Method.ALIPAY_QR
        return await self._move(
            uow, n, lambda order: order.pay(order.amount, method=method, paid_at=NOW, now=NOW), OrderStatus.PENDING
        )

    async def do_expire(self, uow: UnitOfWork, n: int) -> Any:
        now = NOW + timedelta(seconds=900 + n)
        return list(await uow.orders.claim_expired(now, retry_at=now + timedelta(hours=1), limit=n + 1))

    async def _move(self, uow: UnitOfWork, n: int, move: Callable[[Order], Order], when: OrderStatus) -> Any:
        with suppress(NotFound):
            order = await uow.orders.lock(self.orders[n].id)
            if order.status is when:
                await uow.orders.save(move(order))
            return order.status
        return None

    # Attempts and money

    async def do_start(self, uow: UnitOfWork, n: int) -> None:
        await uow.attempts.add(self.attempts[n])

    async def do_attempts(self, uow: UnitOfWork, n: int) -> Any:
        return list(await uow.attempts.of_order(self.stored[n].id))

    async def do_settle(self, uow: UnitOfWork, n: int) -> Any:
        number = (self.started[0], self.started[1], self.attempts[0])[n].number
        found = await uow.attempts.lock_numbered(number)
        if found is not None and found[1].live:
            await uow.attempts.save(found[1].succeeded(NOW))
        return found

    async def do_watch(self, uow: UnitOfWork, n: int) -> Any:
        number = (self.started[0], self.started[1], self.attempts[0])[n].number
        found = await uow.attempts.watch_numbered(number)
        if found is not None and found[1].live:
            await uow.attempts.save(found[1].succeeded(NOW))
        return found

    async def do_poll(self, uow: UnitOfWork, n: int) -> Any:
        return list(await uow.attempts.claim_due(NOW + timedelta(seconds=10 * n), limit=n + 1))

    async def do_receive(self, uow: UnitOfWork, n: int) -> None:
        await uow.payments.add(self.payments[n])

    async def do_known(self, uow: UnitOfWork, n: int) -> Any:
        return await uow.payments.find(self.stage.account.id, f"T-{n}")

    async def do_hold(self, uow: UnitOfWork, n: int) -> Any:
        found = await uow.payments.find(self.stage.account.id, self.payments[n].transaction_id)
        if found == self.payments[n]:
            await uow.suspense.add(self.items[n])
        return found

    async def do_post(self, uow: UnitOfWork, n: int) -> None:
        """The first two are one fact, the third is another fact under its key: a bug, told."""
        await uow.ledger.post([transfer("a", 100 + n // 2), transfer(f"b{n}", 7, credit=INCOME)])

    async def do_balance(self, uow: UnitOfWork, n: int) -> int:
        return await uow.ledger.balance((RECEIVABLE, PENDING, INCOME)[n])

    # Messages

    async def do_hear(self, uow: UnitOfWork, n: int) -> None:
        notice = ChannelNotice(f"notice {n // 2}", "payment", None)
        await uow.notices.add(self.stage.account.id, notice, body=b"%d" % n, outcome="nothing", received_at=NOW)

    async def do_fan_out(self, uow: UnitOfWork, n: int) -> Any:
        events = await uow.outbox.claim(limit=n + 1)
        for event in events:
            await uow.deliveries.add(self._delivery(event))
        await uow.outbox.done(events)
        return list(events)

    async def do_deliver(self, uow: UnitOfWork, n: int) -> Any:
        return list(await uow.deliveries.claim_due(NOW + timedelta(seconds=60 * n), limit=3, per_endpoint=n + 1))

    async def do_delivered(self, uow: UnitOfWork, n: int) -> Any:
        ids = [self._delivery(event).id for order in self.orders for event in order.close("x", now=NOW).events[-1:]]
        found = await uow.deliveries.lock(ids[: n + 1])
        for delivery in found.values():
            if delivery.status is DeliveryStatus.DUE:
                await uow.deliveries.save(delivery.answered(Answer(status_code=200), NOW), Answer(status_code=200), NOW)
        return found

    async def do_claim_key(self, uow: UnitOfWork, n: int) -> Any:
        return await uow.idempotency.claim(self.keys[n], now=NOW + timedelta(seconds=61 * (n // 2)))

    async def do_answer_key(self, uow: UnitOfWork, n: int) -> None:
        await uow.idempotency.answer(self.keys[n], 201, b"{}")

    async def do_release_key(self, uow: UnitOfWork, n: int) -> None:
        await uow.idempotency.release(self.keys[n])

    def _delivery(self, event: Event) -> Delivery:
        return self.stage.new_delivery(event, self.endpoint, id=f"dlv_{event.id}")

    async def final(self) -> list[Any]:
        """Everything that the ports show, when all units have ended."""
        async with self.stage.unit_of_work() as uow:
            state: list[Any] = [await self.do_find(uow, n) for n in range(3)]
            state += [await uow.orders.get(order.id) for order in self.stored]
            state += [await uow.attempts.of_order(order.id) for order in self.stored]
            state += [await uow.payments.of_order(order.id) for order in self.stored]
            state += [await self.do_balance(uow, n) for n in range(3)]
            state += [list(await uow.outbox.claim(limit=100))]
            state += [await uow.deliveries.claim_due(NOW + timedelta(days=9), limit=100, per_endpoint=100)]
        # By id: a lock alone gives PostgreSQL's transactions their number, in the fake only a write does.
        page = await self.stage.queries.events(self.stage.merchant.id, self.orders[0].mode, cursor=None, limit=100)
        return [*state, sorted(page.rows, key=lambda row: str(row["id"]))]


@dataclass
class Step:
    """Unit ``unit`` does ``deed`` with ``n``; ``done`` are the steps that are over by then, in any order."""

    unit: int
    deed: str
    n: int
    done: list[int] = field(default_factory=list)


class _RollBack(Exception):
    pass


class Actor:
    """One unit of work that does as it is told, one deed at a time."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._orders: asyncio.Queue[tuple[str, int, asyncio.Future[Any]]] = asyncio.Queue()
        self._doing: asyncio.Future[Any] | None = None
        self.task = asyncio.create_task(self._run())

    def tell(self, deed: str, n: int) -> "asyncio.Future[Any]":
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._orders.put_nowait((deed, n, result))
        return result

    async def _run(self) -> None:
        try:
            async with self._cast.stage.unit_of_work() as uow:
                await self._obey(uow)
        except _RollBack:
            outcome: Any = "rolled back"
        except (PitayaError, AlreadyExists, Moved, AssertionError) as error:
            outcome = _in_words(error)
        else:
            outcome = "committed"
        assert self._doing is not None
        self._doing.set_result(outcome)

    async def _obey(self, uow: UnitOfWork) -> None:
        deeds = self._cast.deeds()
        while True:
            deed, n, self._doing = await self._orders.get()
            if deed == "commit":
                return
            if deed == "roll back":
                raise _RollBack
            result = await deeds[deed](uow, n)
            await uow.merchants.get(self._cast.stage.merchant.id)  # a read: what was collected is sent before it
            self._doing.set_result(result)


def _in_words(error: Exception) -> str:
    if isinstance(error, AlreadyExists):
        return f"already exists: {error.constraint}"
    return "a bug of ours" if isinstance(error, AssertionError) else type(error).__name__


async def play_on_the_fake(cast: Cast, seed: int) -> tuple[list[Step], dict[int, Any]]:
    """Draw a program while playing it. Returns its steps and the result of each."""
    chance = random.Random(f"program {seed}")
    actors: dict[int, Actor] = {}
    steps: list[Step] = []
    running: dict[int, asyncio.Future[Any]] = {}
    results: dict[int, Any] = {}
    ended: set[int] = set()
    while len(ended) < 3 or running:
        waiting = {steps[at].unit for at in running}
        free = [unit for unit in range(3) if unit not in waiting | ended]
        unit = chance.choice(free)
        # While one waits the others only end: two in one queue would be a race, and its winner no property of ours.
        over = len(steps) >= STEPS or bool(waiting) or chance.random() < 0.12
        deed = chance.choice(("commit", "commit", "roll back")) if over else chance.choice(sorted(cast.deeds()))
        step = Step(unit, deed, chance.randrange(3))
        if unit not in actors:
            actors[unit] = Actor(cast)
        running[len(steps)] = actors[unit].tell(step.deed, step.n)
        steps.append(step)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        step.done = [at for at, future in running.items() if future.done()]
        for at in step.done:
            results[at] = running.pop(at).result()
        await asyncio.sleep(0)
        ended |= {number for number, actor in actors.items() if actor.task.done()}
    return steps, results


async def play_again(cast: Cast, steps: list[Step]) -> dict[int, Any]:
    """Play the same steps elsewhere. Raises AssertionError when one does not wait that should, or the other way."""
    actors: dict[int, Actor] = {}
    running: dict[int, asyncio.Future[Any]] = {}
    results: dict[int, Any] = {}
    for at, step in enumerate(steps):
        if step.unit not in actors:
            actors[step.unit] = Actor(cast)
        running[at] = actors[step.unit].tell(step.deed, step.n)
        for over in step.done:
            results[over] = await soon(running.pop(over))
        if at in running:
            await asyncio.sleep(WATCH_SECONDS)
        early = [number for number, future in running.items() if future.done()]
        assert not early, f"step {early} did not wait: {[running[number].result() for number in early]}"
    return results
