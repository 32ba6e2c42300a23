"""What operators change while people trade (suspensions, prices, routes), and what such a change must not touch."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from application.keep_accounts import CheckAccess, KeepAccounts
from application.keep_merchants import KeepMerchants
from application.keep_products import APPROVES, OVERRIDE, ChangePrices, ProposePrices
from application.open_merchant import OpenedMerchant
from application.propose import DecideProposal, Propose
from application.recent import KEPT_FOR
from domain.actors import Actor, ActorKind
from domain.attempts import Attempt
from domain.channels import Channel, Method
from domain.errors import Conflict, PitayaError
from domain.money import FeePlan, Rate
from domain.products import RateOverride
from tests.fakes.house import FEE_PLAN, House
from tests.fakes.rows import OrderRow
from tests.fakes.storage import Table
from tests.simulation.people import OFFERED
from tests.simulation.world import Lost, World

R = TypeVar("R")

MINA, CHEN = (
    Actor(kind=ActorKind.OPERATOR, id=f"opr_{name}", name=name, permissions=frozenset({APPROVES}))
    for name in ("mina", "chen")
)


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt as it was first committed, and when: what decided about it was read between its beginning and then."""

    attempt: Attempt
    at: datetime

    @property
    def frozen(self) -> tuple[object, ...]:
        return _frozen(self.attempt)


class Witness:
    """Sees every commit at its instant: when merchants and accounts were off, and what attempts were started with."""

    def __init__(self, world: World) -> None:
        self._clock, tables = world.clock, world.database.tables
        self.started: dict[str, Started] = {}
        self.placed: dict[str, datetime] = {}
        self.prices: list[tuple[datetime, RateOverride]] = []
        self.changed: list[str] = []
        self._off: defaultdict[str, list[list[datetime]]] = defaultdict(list)
        _watch(tables.attempts, self._attempt)
        _watch(tables.orders, self._order)
        _watch(tables.overrides, lambda row: self.prices.append((self._clock.now(), row)))
        _watch(tables.merchants, lambda row: self._switched(row.id, on=row.active))
        _watch(tables.accounts, lambda row: self._switched(row.id, on=row.enabled))

    def was_off(self, whose: str, since: datetime, until: datetime) -> bool:
        """Whether it was off from before ``since`` to after ``until``."""
        return any(span[0] < since and (len(span) == 1 or until < span[1]) for span in self._off[whose])

    def times_off(self, whose: str) -> int:
        return len(self._off[whose])

    def plans(self, started: Started) -> set[FeePlan]:
        """What an attempt could be priced at: several where a price was being committed at that moment."""
        attempt, at = started.attempt, started.attempt.created_at
        mine = [
            (committed, row)
            for committed, row in self.prices
            if (row.merchant_id, row.method) == (attempt.merchant_id, attempt.method) and row.valid_from <= at
        ]
        known = sorted((row.valid_from, n) for n, (committed, row) in enumerate(mine) if committed < at)
        standing = mine[known[-1][1]][1].plan if known else None
        coming = {row.plan or FEE_PLAN for committed, row in mine if at <= committed <= started.at}
        return {standing or FEE_PLAN} | coming

    def _order(self, row: OrderRow) -> None:
        self.placed.setdefault(row.order.id, self._clock.now())

    def _attempt(self, attempt: Attempt) -> None:
        first = self.started.setdefault(attempt.id, Started(attempt, self._clock.now()))
        if first.frozen != _frozen(attempt):
            self.changed.append(f"what is frozen on an attempt has changed: {first.frozen}, {_frozen(attempt)}")

    def _switched(self, whose: str, *, on: bool) -> None:
        spans, now = self._off[whose], self._clock.now()
        is_off = bool(spans) and len(spans[-1]) == 1
        if on and is_off:
            spans[-1].append(now)
        elif not on and not is_off:
            spans.append([now])


class Changes:
    """In some lives operators suspend, reprice and reroute. They have chances of their own, so that the other lives
    stay what they were."""

    def __init__(self, seed: int, world: World, merchants: Sequence[OpenedMerchant]) -> None:
        self._world, self._merchants = world, merchants
        self._chance = random.Random(f"changes in {seed}")
        self._happen = self._chance.random() < world.odds.changes
        self._witness = Witness(world)

    async def prepare(self) -> None:
        """Before anything runs: a second account at a channel, beside the first and of the same owner."""
        for channel in Channel if self._happen else ():
            if self._chance.random() < 0.6:
                await self._second_account(channel)

    def people(self) -> list[asyncio.Task[None]]:
        """The operators at work."""
        if not self._happen:
            return []
        kinds = (self._suspend, self._reprice, self._reroute)
        chosen = self._chance.sample(kinds, self._chance.choice((1, 2, 3)))
        return [asyncio.create_task(kind(self._chance.choice(self._merchants))) for kind in chosen]

    def verdict(self) -> Iterator[str]:
        """What no change may touch has stayed as it was, and each change was kept from its instant on."""
        witness, tables = self._witness, self._world.database.tables
        yield from witness.changed
        for row in tables.orders.committed.values():
            order = row.order
            if witness.was_off(order.merchant_id, order.created_at - KEPT_FOR, witness.placed[order.id]):
                yield f"an order was taken from a suspended merchant: {order}"
        for started in witness.started.values():
            attempt, since = started.attempt, started.attempt.created_at
            if witness.was_off(attempt.merchant_id, since, started.at):
                yield f"an attempt was started for a suspended merchant: {attempt}"
            if witness.was_off(attempt.account_id, since, started.at):
                yield f"started through an account that is switched off: {attempt}"
            if attempt.terms.fee_plan not in witness.plans(started):
                yield f"not the price of when it was started: {attempt}, {witness.plans(started)}"
        yield from self._booked()

    def _booked(self) -> Iterator[str]:
        witness, counts = self._witness, self._world.counts
        for payment in self._world.database.tables.payments.committed.values():
            if payment.unattributed is not None or payment.attempt_id is None:
                continue
            started = witness.started[payment.attempt_id]
            if payment.account_id != started.attempt.account_id:
                yield f"booked for another account than it was started through: {payment}"
            ppm, received = started.attempt.terms.fee_plan.rate.ppm, payment.received.minor
            if payment.fee.minor != min(received, (2 * received * ppm + 1_000_000) // 2_000_000):
                yield f"not booked at the price that was frozen: {payment}, {started.attempt.terms}"
            at = payment.recorded_at
            counts["paid while suspended"] += witness.was_off(started.attempt.merchant_id, at, at)
            counts["paid through a switched-off account"] += witness.was_off(payment.account_id, at, at)
            counts["paid at an earlier price"] += any(
                row.merchant_id == started.attempt.merchant_id
                and row.method is started.attempt.method
                and started.attempt.created_at < row.valid_from <= at
                for _, row in witness.prices
            )

    # ── Operators ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _suspend(self, merchant: OpenedMerchant) -> None:
        whose = merchant.merchant.id
        await self._wait(0, 40)
        await self._insist(lambda house: _merchants(house).suspend(MINA, whose, "a complaint"))
        await self._wait(20, 300)
        await self._insist(lambda house: _merchants(house).reactivate(MINA, whose, "it is settled"))
        self._world.counts["suspensions"] += self._witness.times_off(whose)

    async def _reprice(self, merchant: OpenedMerchant) -> None:
        for _ in range(self._chance.choice((1, 2, 4))):
            await self._wait(0, 40)
            plan = self._chance.choice((FeePlan(Rate(self._chance.randrange(0, 20_000, 50))), None))
            lead = self._chance.choice((None, timedelta(seconds=5), timedelta(seconds=90)))
            method = self._chance.choice(OFFERED)
            await self._insist(partial(_override, whose=merchant.merchant.id, method=method, plan=plan, lead=lead))
            self._world.counts["price changes"] += 1

    async def _reroute(self, merchant: OpenedMerchant) -> None:
        accounts = sorted(
            each.id
            for each in self._world.database.tables.accounts.committed.values()
            if each.merchant_id in (None, merchant.merchant.id)
        )
        for _ in range(self._chance.choice((1, 2, 4))):
            await self._wait(0, 40)
            account_id = self._chance.choice(accounts)
            self._world.counts["reroutes"] += 1
            if self._chance.random() < 0.5:
                priority = self._chance.randrange(10)
                await self._insist(partial(_edit, account_id=account_id, priority=priority))
                continue
            await self._insist(partial(_edit, account_id=account_id, enabled=False))
            await self._wait(5, 200)
            await self._insist(partial(_edit, account_id=account_id, enabled=True))

    async def _second_account(self, channel: Channel) -> None:
        house, tables = self._world.house, self._world.database.tables
        first = next(each for each in tables.accounts.committed.values() if each.channel is channel)
        credential = replace(
            tables.credentials.committed[first.credential_id], id=house.ids.new("crd"), app_id=f"app-{channel}-2"
        )
        second = replace(
            first,
            id=house.ids.new("cha"),
            credential_id=credential.id,
            payee=f"payee-{channel}-2",
            priority=self._chance.choice((0, 5)),
        )
        async with house.database.unit_of_work() as uow:
            await uow.accounts.add_credential(credential)
            await uow.accounts.add(second)

    async def _wait(self, least: float, most: float) -> None:
        await self._world.sleep(self._chance.uniform(least, most))

    async def _insist(self, work: Callable[[House], Coroutine[Any, Any, Any]]) -> None:
        """Until it is answered, or was done by a call whose answer was lost."""
        while True:
            try:
                await self._world.ask(work)
            except Conflict:
                return
            except (Lost, PitayaError):
                await self._wait(0.2, 6)
                continue
            return


def _frozen(attempt: Attempt) -> tuple[object, ...]:
    return (
        attempt.order_id, attempt.account_id, attempt.number, attempt.method, attempt.mode, attempt.fund_mode,
        attempt.amount, attempt.terms, attempt.created_at,
    )  # fmt: skip


def _watch(table: Table[R], see: Callable[[R], object]) -> None:
    honest = table.apply

    def apply(pk: Any, row: R | None) -> None:
        honest(pk, row)
        if row is not None:
            see(row)

    table.apply = apply  # type: ignore[method-assign]


def _merchants(house: House) -> KeepMerchants:
    return KeepMerchants(house.database.unit_of_work, house.vault, house.clock, house.ids)


def _accounts(house: House) -> KeepAccounts:
    check = CheckAccess(house.channels, house.ids)
    return KeepAccounts(house.database.unit_of_work, house.channels, house.vault, house.clock, house.ids, check)


async def _edit(house: House, account_id: str, **changes: Any) -> None:
    await _accounts(house).edit(MINA, account_id, **changes)


async def _override(house: House, *, whose: str, method: Method, plan: FeePlan | None, lead: timedelta | None) -> None:
    """Proposed by one and approved by another, as any price is."""
    unit_of_work, clock, ids = house.database.unit_of_work, house.clock, house.ids
    executors = {OVERRIDE: ChangePrices(clock, ids).override}
    proposing = ProposePrices(unit_of_work, Propose(unit_of_work, executors, clock, ids), clock)
    start = None if lead is None else clock.now() + lead
    asked = await proposing.override(MINA, whose, method, plan, start)
    await DecideProposal(unit_of_work, executors, clock, ids).approve(CHEN, asked.id)
